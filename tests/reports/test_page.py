import base64
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from harness.deploy.front import Front, gaps
from harness.reports.figures import save_pareto
from harness.reports.page import describe_arch, save_page
from harness.spaces.digits import DIGITS
from tests.deploy.test_front import measured, point

NASTY = "<script>alert('x')</script>"


@pytest.fixture
def front() -> Front:
    points = tuple(measured(point(0.5 * n, 70 + n), 0.51 * n, 69.5 + n) for n in range(1, 11))
    campaign = {"started_at": "2026-01-01T00:00:00+00:00", "wall_over_cpu": 1.01, "slowdown": 1.2}
    error = ("within_5", "within_10", "mape", "spearman")
    floor = ("floor_within_5", "floor_within_10", "floor_mape")
    calibration = ("p95", "scale", "per_block_ns", "per_parameter_ns", "offset_ns", "anchors")
    return Front(
        device=NASTY,
        space="digits",
        settings={
            "command": f"harness run --device {NASTY}",
            "effort": {"name": "quick"},
            "device": {"title": NASTY, "identity": {"processor": NASTY}},
        },
        table=dict.fromkeys((*error, *floor, *calibration), 0.875)
        | {"scales": {}, "source": None, "networks": 20, "campaign": campaign, "clock": "thread"},
        accuracy_predictor={
            "rmse": 1.234,
            "median_error": 0.5,
            "spearman": 0.9,
            "held_out": 20,
            "trained_on": 80,
        },
        points=points,
        cloud=({"latency_ms": 1.0, "accuracy": 60.0},),
        verification={"test_images": 1400, "test_originals": 350} | gaps(points),
    )


def test_a_page_is_one_file_that_shows_everything_and_escapes_it(
    tmp_path: Path, front: Front
) -> None:
    save_pareto(front, tmp_path)
    page = save_page(front, DIGITS, tmp_path).read_text()
    assert NASTY not in page
    assert "&lt;script&gt;" in page
    for wanted in ("88 % of 20 holdout", "RMSE 1.23", "1400 images", "quick first look"):
        assert wanted in page, wanted
    assert page.count("<tr>") == len(front.points) + 1
    assert not re.findall(r'(?:src|href)="(?!data:)', page)
    assert "http" not in re.sub(r'src="data:[^"]*"', "", page)
    parser = HTMLParser()
    parser.feed(page)
    parser.close()


def test_the_plot_is_a_png_and_an_svg_without_scripts(tmp_path: Path, front: Front) -> None:
    png, svg = save_pareto(front, tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    text = svg.read_text()
    assert "<svg" in text
    assert "<script" not in text
    page = save_page(front, DIGITS, tmp_path).read_text()
    assert base64.b64encode(svg.read_bytes()).decode() in page


def test_the_same_front_gives_the_same_files(tmp_path: Path, front: Front) -> None:
    for folder in ("a", "b"):
        save_pareto(front, tmp_path / folder)
        save_page(front, DIGITS, tmp_path / folder)
    for name in ("pareto.svg", "index.html"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_a_front_that_is_not_verified_yet_says_so(tmp_path: Path, front: Front) -> None:
    from dataclasses import replace

    predicted = replace(front, points=(point(1, 70), point(2, 80)), verification=None)
    save_pareto(predicted, tmp_path)
    assert "not verified yet" in save_page(predicted, DIGITS, tmp_path).read_text()


def test_an_arch_is_told_stage_by_stage() -> None:
    assert describe_arch(DIGITS, point(1, 1).arch) == "k3e3 | k5e6 k7e4 | k3e3"
