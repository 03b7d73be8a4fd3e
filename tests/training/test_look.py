"""What a look at some images tells."""

from pathlib import Path

import pytest
from PIL import Image

from harness.errors import FileFormatError
from harness.training.look import LOOKED_AT, look


def saved(path: Path, mode: str, size: tuple[int, int] = (30, 20)) -> str:
    Image.new(mode, size).save(path)
    return str(path)


@pytest.mark.parametrize("mode", ["L", "1", "LA", "I;16"])
def test_images_are_grey_where_all_are(tmp_path: Path, mode: str) -> None:
    grey = [saved(tmp_path / "a.png", mode), saved(tmp_path / "b.png", "L")]
    assert look(grey).channels == 1
    assert look([*grey, saved(tmp_path / "c.png", "RGB")]).channels == 3


def test_size_is_the_median_of_the_shorter_sides_of_some(tmp_path: Path) -> None:
    sizes = ((30, 20), (64, 200), (500, 400))
    paths = [saved(tmp_path / f"{n}.png", "RGB", size) for n, size in enumerate(sizes)]
    assert look(paths).pixels == 64
    assert look([*paths[1:2] * LOOKED_AT, paths[0]]).pixels == 64


def test_damaged_images_tell_nothing_and_nothing_else_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(b"no image")
    bad, good = str(tmp_path / "bad.png"), saved(tmp_path / "good.png", "L")
    assert look([bad, good]) == look([good])
    with pytest.raises(FileFormatError, match=r"no image can be read, among them .*bad\.png"):
        look([bad, str(tmp_path / "nowhere.png")])
