"""A benchmark's result in words, and as a row of a table."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from harness.tables.batch import an_image, images_per_run, of_batch
from harness.tables.record import SEEN, Statistics
from harness.tables.repeat import Repeat

STARTED = {"load_ms": "loads in", "first_ms": "first run", "memory_mb": "memory grows by"}


def describe(result: dict[str, Any]) -> str:
    clock = result["identity"]["clock"]
    what, images = f"{result['model']['name']} on {result['device']}", 1
    if (batch := images_per_run(result["identity"])) > 1:
        # Other files may have a batch of their own.
        ours = result["model"]["name"].lower().endswith(".pt")
        images = batch if ours else 1
        what += f", runs{of_batch(batch)}{'' if ours else ', unless the file has its own'}"
    if simulated := result["campaign"].get("simulated"):
        value_ms = result["statistics"][clock]["value_ns"] / 1e6
        return f"{what}: {value_ms:.4f} ms{an_image(value_ms, images)}, {simulated}"
    times, wall = result["statistics"][clock], result["statistics"]["wall"]
    memory_mb = wall.get("memory_mb")
    memory = "" if memory_mb is None else f", memory grows by {memory_mb:.1f} MB"
    doubts = "".join(f"; suspect: {why}" for why in result["suspect"])
    statistics = Statistics.from_json(times, "ns")
    low, high = Repeat("full").interval(statistics) or (statistics.low, statistics.high)
    quantiles = {at: wall.get(f"{at}_ns") for at in SEEN}
    quantiles = {at: ns for at, ns in quantiles.items() if ns is not None} or {
        "median": wall["median_ns"]
    }
    seen = [f"{at} {ns / 1e6:.4f} ms{an_image(ns / 1e6, images)}" for at, ns in quantiles.items()]
    right = "" if "accuracy" not in result else f"; top-1 {_top1(result['accuracy'])['top1']:.1f} %"
    return (
        f"{what}: {times['value_ns'] / 1e6:.4f} ms{an_image(times['value_ns'] / 1e6, images)} at "
        f"full speed ({clock} clock, measured again {low / 1e6:.4f} to {high / 1e6:.4f}); "
        f"on the wall clock {', '.join(seen)}; "
        f"{times['visits']} visits of {times['runs'] // times['visits']} runs{memory}{doubts}"
        f"{_started(result)}{_throughput(result)}{_played(result)}{right}"
    )


FIGURES = {
    "single-stream": "90 % of queries within",
    "multi-stream": "99 % of queries of 8 runs within",
    "offline": "runs/s",
}


def _played(result: Mapping[str, Any]) -> str:
    """MLPerf's scenarios, by its own LoadGen."""
    text = ""
    for each in result.get("scenarios", ()):
        words, value = FIGURES[each["scenario"]], each["value"]
        figure = f"{value:.4g} {words}" if each["scenario"] == "offline" else ""
        figure = figure or f"{words} {value / 1e6:.4g} ms"
        doubt = "" if each["valid"] else ", too few runs for LoadGen"
        text += f"; MLPerf's {each['scenario']}: {figure}{doubt}"
    return text


def _throughput(result: Mapping[str, Any]) -> str:
    throughput = result.get("throughput")
    if throughput is None:
        return ""
    side = (
        "in one stream"
        if throughput["streams"] == 1
        else f"in {throughput['streams']} streams side by side"
    )
    return f"; {throughput['runs_per_s']:.4g} runs/s {side}"


def _started(result: Mapping[str, Any]) -> str:
    """How it starts: the middle of a few times, and what they spread over."""
    started = result.get("start")
    if not started:
        return ""
    parts = []
    for name, word in STARTED.items():
        values = [each for each in started[name] if each is not None]
        if values:
            unit = name.rpartition("_")[2].replace("mb", "MB")
            spread = f"{min(values):.4g} to {max(values):.4g}"
            parts.append(f"{word} {median(values):.4g} {unit} ({spread})")
    return f"; started anew {len(started['load_ms'])} times: {', '.join(parts)}"


def _top1(accuracy: Mapping[str, Any] | None) -> dict[str, float | None]:
    """With the ends of its interval, percent."""
    if accuracy is None:
        return dict.fromkeys(("top1", "top1_low", "top1_high"))
    low, high = accuracy["top1_95"]
    shares = {"top1": accuracy["top1"], "top1_low": low, "top1_high": high}
    return {name: 100 * share for name, share in shares.items()}


def to_row(result: Mapping[str, Any]) -> dict[str, Any]:
    """A result without parts in parts, in ms and MB: intervals are of another campaign, 95 %;
    simulated times have none."""
    clock = result["identity"]["clock"]
    statistics = Statistics.from_json(result["statistics"][clock], "ns")
    wall = result["statistics"].get("wall", {})
    simulated = result["campaign"].get("simulated")
    ends = Repeat("full").interval(statistics) or (statistics.low, statistics.high)
    low, high = (None, None) if simulated else (end / 1e6 for end in ends)
    started = result.get("start") or {}
    known = {n: [each for each in started.get(n, ()) if each is not None] for n in STARTED}
    return {
        "model": result["model"]["name"],
        "device": result["device"],
        "full_ms": statistics.value / 1e6,
        "full_ms_low": low,
        "full_ms_high": high,
        **{f"{at}_ms": None if (ns := wall.get(f"{at}_ns")) is None else ns / 1e6 for at in SEEN},
        **{n: median(values) if values else None for n, values in known.items()},
        "streams": (result.get("throughput") or {}).get("streams"),
        "runs_per_s": (result.get("throughput") or {}).get("runs_per_s"),
        "file_mb": None if (size := result.get("file_bytes")) is None else size / 1e6,
        **_top1(result.get("accuracy")),
        "images_per_run": images_per_run(result["identity"]),
        "evidence": simulated or "measured",
        "suspect": "; ".join(result["suspect"]),
    }
