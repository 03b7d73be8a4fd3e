"""The page of what a model file is predicted to take, and times of its nodes for other viewers."""

import re
from collections import Counter
from pathlib import Path

import pytest

from harness.predictors.kernel_networks import NetworkLatency, Part
from harness.predictors.kernel_savings import Saving
from harness.predictors.model_prediction import ModelPrediction
from harness.reports.prediction_page import save_prediction_page
from harness.spaces.kernel import Kernel, Tensor
from tests.reports.conftest import NASTY


def part(name: str, op: str, ms: float | None, share: float, log_sd: float = 0.1) -> Part:
    tensor = Tensor("float32", (1, 8, 4, 4))
    return Part(name, Kernel(op, (tensor,), (tensor,)), ms, log_sd, share)


def prediction(*parts: Part, unknown: str | None = None) -> ModelPrediction:
    savings = (Saving(NASTY, 64, 48, 3.0, 0.5),)
    latency = NetworkLatency(4.0, (3.0, 5.0), parts, Counter([unknown] if unknown else []))
    return ModelPrediction("in/net.onnx", NASTY, latency, 1.0, 10, 20, "a table", savings)


@pytest.fixture
def page(tmp_path: Path) -> str:
    known = part("slow", "Conv", 3.0, 0.75), part(NASTY, "Relu", 1.0, 0.25, 0)
    found = prediction(*known, part("odd", "Celu", None, 0, 0), unknown="Celu")
    save_prediction_page([found], tmp_path / "page.html", 2.0)
    return (tmp_path / "page.html").read_text()


def test_kernels_are_as_tall_as_their_shares_in_the_order_of_execution(page: str) -> None:
    bars = re.findall(r'<rect x="(\d+)" y="[\d.]+" width="7" height="([\d.]+)" fill="(\S+)"', page)
    assert [int(left) for left, _, _ in bars] == [0, 8, 16]
    tall = [float(height) for _, height, _ in bars]
    assert tall[0] == pytest.approx(3 * tall[1], abs=0.1)
    assert bars[2][2] == "none"  # not known


def test_what_is_not_known_what_was_timed_and_what_would_save_is_told(page: str) -> None:
    assert "Celu x1" in page
    assert "more than 4 ms" in page
    assert page.count('<td colspan="3">not known</td>') == 1
    assert "2.466&ndash;3.65" in page  # 3 ms, 10 % either way in a standard deviation
    assert "<td>timed</td>" in page
    assert "2 ms over it" in page
    assert "<td>0.5</td><td>48</td><td>64</td>" in page


def test_names_of_others_stay_text_and_nothing_is_loaded(page: str) -> None:
    assert NASTY not in page
    assert "default-src 'none'" in page
    assert not re.search(r'(?:src|href)="', page)


def test_a_network_of_a_thousand_kernels_is_a_small_page(tmp_path: Path) -> None:
    parts = [part(f"/features/stage/unit{n}/Conv", "Conv", 0.004, 0.001) for n in range(1000)]
    save_prediction_page([prediction(*parts)], tmp_path / "page.html")
    assert (tmp_path / "page.html").stat().st_size < 1e6
