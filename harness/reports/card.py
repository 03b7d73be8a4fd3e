"""The README of a bundle: what its files are, and what they are worth."""

from collections.abc import Iterator
from typing import Any

import yaml

from harness.reports.page import templates


def card(facts: dict[str, Any], license_name: str | None = None) -> str:
    """From the content of `bundle.json`; with a license, what model hubs read is in its head."""
    text = templates().get_template("card.md").render(facts)
    return text if license_name is None else f"{_head(facts, license_name)}\n{text}"


def _head(facts: dict[str, Any], license_name: str) -> str:
    """Metadata of huggingface.co/docs/hub/model-cards: license, tags, metrics with their source."""
    formats = sorted({str(file["format"]).partition("-")[0] for file in facts["files"]})
    name = f"{facts['space']} {facts['macs'] / 1e6:.1f}M MACs"
    task = "translation" if facts.get("unit") == "tokens" else "image-classification"
    results = [
        {
            "task": {"type": task},
            "dataset": {"name": dataset, "type": dataset},
            "metrics": [metric],
            "source": {"name": f"harness {facts['harness']}", "url": "bundle.json"},
        }
        for dataset, metric in _metrics(facts)
    ]
    value: dict[str, Any] = {
        "license": license_name,
        "library_name": "harness",
        "pipeline_tag": task,
        "tags": ["once-for-all", task, *formats],
    }
    if results:
        value["model-index"] = [{"name": name, "results": results}]
    return f"---\n{yaml.safe_dump(value, sort_keys=False, allow_unicode=True)}---\n"


def _metrics(facts: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What was measured, and on what: each file's accuracy, the network's time when verified."""
    for file in facts["files"]:
        if file["accuracy"] is not None:
            words = f"top-1 of {file['file']}, %"
            yield " ".join(str(facts["data"]).split()), _metric("accuracy", file["accuracy"], words)
    latency = facts.get("latency")
    if latency and latency["measured_ms"] is not None:
        words = f"ms a run on {latency['device']}, {latency['told']} at full speed"
        if ends := latency["measured_ms_interval"]:
            words += f", {ends[0]:.4g} to {ends[1]:.4g} (95 %)"
        yield "none", _metric("latency", latency["measured_ms"], words)


def _metric(kind: str, value: float, words: str) -> dict[str, Any]:
    return {"type": kind, "value": value, "name": words}
