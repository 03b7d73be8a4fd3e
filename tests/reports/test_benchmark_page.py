"""The page of a network on several devices."""

import re
from pathlib import Path
from typing import Any

import pytest

from harness.reports.benchmark_page import save_benchmark_page
from tests.reports.conftest import NASTY


def result(device: str, value_ns: int, **more: Any) -> dict[str, Any]:
    """As `harness benchmark` keeps it, of visits that differ by 10 %."""
    statistics = {
        **{f"{name}_ns": value_ns for name in ("value", "low", "first_half", "second_half")},
        **{f"{name}_ns": round(1.1 * value_ns) for name in ("high", "median", "max")},
        "lower_quartile_ns": value_ns,
        "visits": 30,
        "runs": 150,
    }
    return {
        "model": {"name": "net.pt", "sha256": "0" * 64},
        "device": device,
        "identity": {"runtime": "mnn", "precision": "float32", "clock": "wall", "batch": 1},
        "statistics": {"wall": statistics},
        "suspect": [],
        "campaign": {},
    } | more


@pytest.fixture
def page(tmp_path: Path) -> str:
    accuracy = {"top1": 0.5, "top1_95": [0.4, 0.6], "total": 80}
    results = [
        result("slow", 4_000_000, suspect=["busy (3 of 3)", "busy (2 of 6)"]),
        result(NASTY, 1_000_000, accuracy=accuracy, file_bytes=2_500_000),
        result("middle", 2_000_000, start={n: [3.0] for n in ("load_ms", "first_ms", "memory_mb")}),
    ]
    save_benchmark_page(results, tmp_path / "page.html")
    return (tmp_path / "page.html").read_text()


def test_the_fastest_comes_first_and_bars_are_as_long_as_times(page: str) -> None:
    widths = [float(each) for each in re.findall(r'fill" style="width:([\d.]+)%', page)]
    assert widths == sorted(widths)
    assert widths[1] == pytest.approx(2 * widths[0], abs=0.02)
    assert widths[2] == pytest.approx(4 * widths[0], abs=0.02)
    ends = re.findall(r'ends" style="left:([\d.]+)%;width:([\d.]+)%', page)
    for width, (left, across) in zip(widths, ends, strict=True):
        assert float(left) < width < float(left) + float(across) <= 100.01


def test_memory_file_and_accuracy_are_told_where_they_are_known(page: str) -> None:
    assert "on 80 images" in page
    assert '50.0<span class="ends">40.0&ndash;60.0</span>' in page
    assert "<td>2.5</td>" in page
    assert page.count("<td>&ndash;</td>") >= 5
    assert "<b>busy</b>: slow</li>" in page


def test_names_are_text(page: str) -> None:
    assert NASTY not in page
    assert "script-src 'unsafe-inline'" in page
