from pathlib import Path
from typing import Any

import yaml
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import UsageError
from harness.reports.card import card

FILE = {
    "format": "onnx",
    "file": "network.onnx",
    "size_bytes": 1_000_000,
    "largest_difference": 1e-6,
    "same_answers": 1.0,
    "accuracy": 91.2,
    "compared": True,
    "second_reader": "",
}
FACTS: dict[str, Any] = {
    "harness": "1.0",
    "space": "digits",
    "macs": 5_000_000,
    "params": 100_000,
    "peak_activations_bytes": {"float32": 1000},
    "preprocessing": {"resolution": 28, "mean": [0.5], "std": [0.5]},
    "classes": ["a", "b"],
    "data": "photos: mine",
    "judged_on": 100,
    "files": [FILE, FILE | {"format": "tflite-int8", "file": "network-int8.tflite"}],
    "latency": {
        "device": "cpu",
        "network": "front:3",
        "images_per_run": 1,
        "predicted_ms": 1.0,
        "told": "measured",
        "measured_ms": 1.25,
        "measured_ms_interval": (1.2, 1.3),
        "accuracy": None,
    },
}


def head(text: str) -> Any:
    start, content, rest = text.split("---\n", 2)
    assert start == ""
    assert "# A network of digits" in rest
    return yaml.safe_load(content)


def test_a_published_card_has_the_metadata_that_hubs_read() -> None:
    """https://huggingface.co/docs/hub/model-cards#model-card-metadata"""
    found = head(card(FACTS, "apache-2.0"))
    assert found["license"] == "apache-2.0"
    assert {"onnx", "tflite"} <= set(found["tags"])
    (model,) = found["model-index"]
    metrics = [result["metrics"][0] for result in model["results"]]
    assert [each["value"] for each in metrics] == [91.2, 91.2, 1.25]
    assert "1.2 to 1.3 (95 %)" in metrics[2]["name"]
    assert all(result["source"]["name"] == "harness 1.0" for result in model["results"])


def test_what_nobody_measured_is_no_metric() -> None:
    nothing = FACTS | {"files": [FILE | {"accuracy": None}], "latency": None, "data": None}
    assert "model-index" not in head(card(nothing, "mit"))


def test_without_a_license_the_card_has_no_head() -> None:
    assert card(FACTS).startswith("# A network of digits")


def test_a_folder_of_any_name_stays_one_value() -> None:
    found = head(card(FACTS | {"data": "x\n---\ntags: [evil]"}, "mit"))
    assert found["model-index"][0]["results"][0]["dataset"]["name"] == "x --- tags: [evil]"
    assert found["tags"] == ["once-for-all", "image-classification", "onnx", "tflite"]


def test_a_license_that_is_no_name_is_one_line(tmp_path: Path) -> None:
    words = ["export", str(tmp_path / "out"), "--network", "x.pt", "--readme", "x\n---"]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, UsageError)
    assert "a license by its name" in str(done.exception)
