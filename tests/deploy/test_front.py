from dataclasses import replace
from pathlib import Path

import pytest

from harness.deploy.front import Front, Point, gaps, verification_entries
from harness.errors import FileFormatError, UsageError
from harness.measuring.plan import calibration_entries
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS


def point(latency_ms: float, accuracy: float) -> Point:
    return Point(
        arch=Arch(12, (1, 2, 1), (3, 0, 0, 5, 7, 0, 3, 0, 0), (3, 0, 0, 6, 4, 0, 3, 0, 0)),
        macs=100,
        params=10,
        latency_ms_searched=latency_ms,
        latency_ms=latency_ms,
        latency_ms_interval=(latency_ms * 0.9, latency_ms * 1.1),
        accuracy=accuracy,
        accuracy_interval=(accuracy - 1, accuracy + 1),
    )


def measured(unmeasured: Point, latency_ms: float, accuracy: float) -> Point:
    return replace(
        unmeasured,
        latency_ms_measured=latency_ms,
        latency_ms_measured_interval=(latency_ms * 0.99, latency_ms * 1.01),
        latency_ms_wall_median=latency_ms * 1.2,
        seen_ms_measured={
            "p50": (latency_ms * 1.2, latency_ms * 1.15, latency_ms * 1.25),
            "p90": (latency_ms * 1.3, latency_ms * 1.2, latency_ms * 1.4),
        },
        accuracy_measured=accuracy,
        accuracy_measured_interval=(accuracy - 2, accuracy + 2),
    )


def front(*points: Point) -> Front:
    settings = {
        "command": "harness run",
        "seed": 1,
        "distill": 0.0,
        "supernet": "x",
        "effort": {"name": "quick"},
    }
    dot = {"latency_ms": 1.0, "accuracy": 50.0}
    return Front("cpu", "digits", settings, {"mape": 0.1}, {"rmse": 1.0}, points, (dot,))


@pytest.mark.parametrize("points", [(point(1.0, 80.0),), (measured(point(1.0, 80.0), 1.1, 79.0),)])
def test_a_front_reads_back_as_it_was_written(tmp_path: Path, points: tuple[Point, ...]) -> None:
    written = front(*points)
    written.save(tmp_path / "front.json")
    loaded = Front.load(tmp_path / "front.json")
    assert [p.arch for p in loaded.points] == [p.arch for p in points]
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_text() == (tmp_path / "front.json").read_text()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": 2}', '{"schema": 1}'])
def test_what_is_no_front_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "front.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"front\.json"):
        Front.load(tmp_path / "front.json")


def test_gaps_are_the_differences_on_both_axes() -> None:
    points = (
        measured(point(1.0, 80), 1.04, 79),
        measured(point(2.0, 90), 2.16, 91),
        measured(point(4.0, 95), 5.00, 92),
    )
    found = gaps(points)
    assert found["latency_within_5"] == pytest.approx(1 / 3)
    assert found["latency_within_10"] == pytest.approx(2 / 3)
    assert found["accuracy_mean_difference"] == pytest.approx(-1)
    assert found["accuracy_mean_absolute_difference"] == pytest.approx(5 / 3)
    assert found["accuracy_gain_along_front"] == pytest.approx(13)
    assert found["latency_span"] == pytest.approx(5 / 1.04)


def test_an_unverified_front_is_what_the_search_left() -> None:
    searched = front(point(1.0, 80), point(2.0, 90))
    seen = tuple(replace(measured(p, 1.5, 70), latency_ms=9.9) for p in searched.points)
    assert replace(searched, points=seen, verification={"x": 1}).unverified() == searched


def test_no_point_of_the_front_calibrates_its_own_prediction() -> None:
    anchors = [entry for entry in calibration_entries(DIGITS, 10) if entry.role == "anchor"]
    on_front = replace(point(1.0, 80), arch=anchors[0].arch or point(1.0, 80).arch)
    found = verification_entries(front(on_front), DIGITS, [Path("network.pt")], 10)
    roles = [entry.role for entry in found]
    assert roles == ["sentinel", *["anchor"] * 9, "network"]
    assert [e.arch for e in found if e.role == "anchor"] == [e.arch for e in anchors[1:]]


def test_a_point_that_is_not_there_says_which_are() -> None:
    with pytest.raises(UsageError, match="0 to 1"):
        front(point(1, 80), point(2, 90)).point(2)
