"""What devices make of a search, as numbers along their fronts."""

import csv
from dataclasses import replace
from pathlib import Path

from harness.reports.choices import along, save_choices, varied
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from tests.reports.conftest import some_front

SMALL = Arch(12, (1, 1, 1), (3, 0, 0) * 3, (3, 0, 0) * 3)
LARGE = Arch(20, (1, 2, 1), (7, 0, 0, 3, 5, 0, 3, 0, 0), (3, 0, 0) * 3)


def test_what_is_left_out_does_not_count() -> None:
    assert along(LARGE, "d") == 4
    assert along(LARGE, "ks") == (7 + 3 + 5 + 3) / 4
    assert along(LARGE, "r") == 20
    assert along(SMALL, "e") == 3
    assert along(replace(SMALL, widths=(0, 2)), "w") == 1


def test_only_what_networks_differ_in_is_drawn_of_every_device(tmp_path: Path) -> None:
    front = some_front()
    two = [replace(front.points[0], arch=SMALL), replace(front.points[5], arch=LARGE)]
    fronts = [
        replace(front, device=name, points=tuple(two[:n])) for name, n in (("a", 1), ("b", 2))
    ]
    large = replace(LARGE, expands=(3, 0, 0, 3, 3, 0, 3, 0, 0))
    fronts[1] = replace(fronts[1], points=(two[0], replace(two[1], arch=large)))
    assert varied(fronts, DIGITS) == ["r", "d", "ks"]
    png, *_, data = save_choices(fronts, DIGITS, tmp_path)
    assert png.stat().st_size > 5000
    header, *rows = list(csv.reader(data.read_text().splitlines()))
    assert header == ["device", "accuracy", "r", "d", "ks"]
    assert [(row[0], *map(float, row[2:])) for row in rows] == [
        ("a", 12, 3, 3),
        ("b", 12, 3, 3),
        ("b", 20, 4, 4.5),
    ]
    assert save_choices(fronts[:1], DIGITS, tmp_path) == []
