"""Fronts to draw and to write pages of."""

import pytest

from harness.deploy.front import Front, gaps
from harness.reports.content import Shown
from harness.reports.trust import doubts
from harness.spaces.digits import DIGITS
from tests.deploy.test_front import measured, point

NASTY = "<script>alert('x')</script>"


def some_front(device: str = "cpu", factor: float = 1.0) -> Front:
    """Ten verified networks, each slower and more accurate than the one before."""
    points = tuple(
        measured(point(0.5 * n * factor, 70 + n), 0.51 * n * factor, 69.5 + n) for n in range(1, 11)
    )
    campaign = {
        "started_at": "2026-01-01T00:00:00+00:00",
        "rounds": 12,
        "wall_over_cpu": 1.01,
        "slowdown": 1.2,
        "took_s": 45.0,
        "environment": {"python": "3.11", "torch": "2.13"},
        "conditions_before": {"load_1m": 0.5, "governor": None},
        "conditions_after": {"load_1m": 0.7, "governor": None},
    }
    error = ("within_5", "within_10", "spearman")
    floor = ("floor_within_5", "floor_within_10", "floor_mape")
    calibration = ("p95", "scale", "per_block_ns", "per_parameter_ns", "offset_ns", "anchors")
    return Front(
        device=device,
        space="digits",
        settings={
            "command": f"harness run --device {device}",
            "seed": 0,
            "distill": 0.0,
            "supernet": "digits-1",
            "effort": {"name": "quick", "evaluations": 20_000},
            "device": {"title": device, "identity": {"processor": device, "runtime": "torch"}},
        },
        table=dict.fromkeys((*error, *floor, *calibration), 0.875)
        | {"networks": 20, "anchors": 20}
        | {"scales": {}, "source": None, "networks": 20, "campaign": campaign, "clock": "thread"}
        | {"mape": 0.02, "statements": {}},
        accuracy_predictor={
            "rmse": 1.234,
            "median_error": 0.5,
            "spearman": 0.9,
            "held_out": 20,
            "trained_on": 80,
            "describe": "accuracy predictor",
        },
        points=points,
        cloud=tuple({"latency_ms": 0.7 * factor * n, "accuracy": 65.0 + n} for n in range(1, 8)),
        verification={"test_images": 1400, "test_originals": 350, "campaign": campaign}
        | gaps(points),
    )


def shown(front: Front) -> Shown:
    return Shown(front, DIGITS, doubts(front, None))


@pytest.fixture
def front() -> Front:
    return some_front()


@pytest.fixture
def nasty() -> Front:
    return some_front(NASTY)
