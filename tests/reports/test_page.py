import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.deploy.front import Front
from harness.reports.content import commands, stages
from harness.reports.page import save_device_page, save_devices_page
from harness.reports.pareto import save_fronts, save_pareto
from harness.spaces.digits import DIGITS
from tests.deploy.test_front import point
from tests.reports.conftest import NASTY, shown, some_front


class Seen(HTMLParser):
    """What a browser would load, and the page's text and data."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.text: list[str] = []
        self.data = ""
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self._inside = found.get("id") or tag
        names = ("src",) if tag != "link" else ("src", "href")
        self.loads += [str(found[name]) for name in names if name in found]

    def handle_data(self, data: str) -> None:
        if self._inside == "data":
            self.data += data
        elif self._inside not in ("script", "style"):
            self.text.append(data)


def page_of(front: Front, folder: Path) -> str:
    figures = save_pareto(front, (), folder)
    cost = [("the search", "a second")]
    return save_device_page(shown(front), None, cost, figures, folder).read_text()


def test_a_page_is_one_file_that_shows_everything(tmp_path: Path, front: Front) -> None:
    seen = Seen(page_of(front, tmp_path))
    text = " ".join(" ".join(seen.text).split())
    for wanted in ("88 % of 20 holdout", "RMSE 1.23", "1400 images", "quick first look"):
        assert wanted in text, wanted
    assert seen.loads
    assert all(address.startswith("data:") for address in seen.loads)
    svg = base64.b64encode((tmp_path / "pareto.svg").read_bytes()).decode()
    assert any(svg in address for address in seen.loads)


def test_names_with_html_in_them_are_text_in_pages_and_data(tmp_path: Path, nasty: Front) -> None:
    page = page_of(nasty, tmp_path)
    assert NASTY not in page
    seen = Seen(page)
    assert any(NASTY in text for text in seen.text)
    assert json.loads(seen.data)["fronts"][0]["device"] == NASTY


def test_a_page_of_several_devices_shows_each_and_escapes_it(tmp_path: Path, nasty: Front) -> None:
    fronts = [some_front(), nasty]
    figures = save_fronts(fronts, tmp_path)
    page = save_devices_page([shown(each) for each in fronts], (), figures, tmp_path).read_text()
    assert NASTY not in page
    seen = Seen(page)
    assert [each["device"] for each in json.loads(seen.data)["fronts"]] == ["cpu", NASTY]
    assert all(address.startswith("data:") for address in seen.loads)


def test_figures_are_png_svg_and_pdf_with_their_data(tmp_path: Path, front: Front) -> None:
    png, svg, pdf, csv = save_pareto(front, (), tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in svg.read_text()
    assert "<script" not in svg.read_text()
    assert pdf.read_bytes().startswith(b"%PDF")
    header, *rows = csv.read_text().splitlines()
    assert header.startswith("device,what,name,images_per_run,latency_ms,latency_ms_measured")
    assert len(rows) == len(front.points) + len(front.cloud)
    assert all(row.count(",") <= header.count(",") for row in rows)


def test_the_same_front_gives_the_same_files(tmp_path: Path, front: Front) -> None:
    for folder in ("a", "b"):
        page_of(front, tmp_path / folder)
    for name in ("pareto.svg", "pareto.pdf", "index.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_front_that_is_not_verified_yet_says_so(tmp_path: Path, front: Front) -> None:
    assert "not verified yet" in page_of(front.unverified(), tmp_path)


def test_a_verified_front_is_exported_from_by_budget_others_by_network(front: Front) -> None:
    verified = commands(shown(front))
    assert (
        verified["best"] == "harness export my-network --device cpu --max-latency-ms {ms} --at {at}"
    )
    assert "first" not in verified
    early = commands(shown(front.unverified()))
    assert "harness extract front:{number}" in early["one"]
    assert early["first"] == "harness verify --device cpu"
    assert "best" not in early


def test_names_that_a_shell_would_act_on_are_quoted_in_commands() -> None:
    assert "--device 'a; rm -rf b' " in commands(shown(some_front("a; rm -rf b")))["best"]


def test_an_arch_is_told_stage_by_stage() -> None:
    assert stages(DIGITS, point(1, 1).arch) == ["k3e3", "k5e6 k7e4", "k3e3"]


@pytest.mark.parametrize("name", ["base", "compare", "device", "devices", "interactive", "parts"])
def test_templates_name_no_address(name: str) -> None:
    folder = Path(__file__).parents[2] / "harness" / "reports" / "templates"
    assert not re.search(r"https?://|//cdn", (folder / f"{name}.html").read_text())
