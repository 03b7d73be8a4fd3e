import shutil
from pathlib import Path

import pytest

from harness.errors import MissingExtra
from harness.reports.pdf import BROWSERS, save_pdf


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no browser that prints")
def test_a_page_is_printed(tmp_path: Path) -> None:
    (tmp_path / "index.html").write_text("<h1>A front</h1>")
    path = save_pdf(tmp_path / "index.html")
    assert path.read_bytes().startswith(b"%PDF-")


def test_without_a_browser_the_page_s_pdf_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtra, match="--pdf needs a browser"):
        save_pdf(tmp_path / "index.html")
