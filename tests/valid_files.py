"""Valid files of every kind that harness reads, made by the code that writes them.

`benchmarks/fuzz.py` changes their values.
"""

import csv
import json
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from harness.deploy.front import Front, Point
from harness.device.profile import load_profile
from harness.files import read_json
from harness.networks.build import build_random
from harness.networks.file import NetworkFile, Preprocessing, save_tensors
from harness.networks.published import PublishedNetwork
from harness.pipeline import benchmark
from harness.predictors.accuracy import AccuracyPredictor, fit
from harness.predictors.accuracy_source import read_csv
from harness.runtimes.dpu.measurements import read as read_measurements
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.tables.hat import read_hat
from harness.tables.journal import Journal
from harness.tables.ofa import read_published
from harness.tables.ofa_keys import block_key
from harness.tables.record import Record, Statistics
from harness.tables.table import Table
from harness.tables.table_format import FORMATS, ImportRequest
from harness.training.recipe_files import load_recipe, shipped_recipes
from tests import hat_rows

SMALL = 20  # numbers of an array that are changed


@dataclass(frozen=True)
class Kind:
    """A kind of file: a valid one, parsed; how a changed one is written; what reads it."""

    value: Any
    write: Callable[[Any, Path], None]
    read: Callable[[Path], Any]
    name: str


def kinds(folder: Path) -> Iterator[Kind]:
    table = made_table()
    table.save(folder / "made")
    lines = [json.loads(line) for line in (folder / "made").read_text().splitlines()]
    yield Kind(lines, as_lines, Table.load, "table.jsonl")
    yield Kind(JOURNAL, as_lines, read_journal, "journal.jsonl")
    made_front(table).save(folder / "made")
    value = json.loads((folder / "made").read_text())
    yield Kind(value, as_json, lambda path: Front.load(path, DIGITS), "front.json")
    yield Kind(result(table), as_json, benchmark.load, "baseline.json")
    yield Kind({"r": 16, "d": [1], "ks": [3], "e": [3]}, as_json, read_arch, "arch.json")
    rows = {
        block_key(block): {"mean": 1.5, "std": 0.1, "count": 50}
        for block in DIGITS.distinct_blocks()[:40]
    }
    stems = {block_key(next(DIGITS.blocks_at(0, (r,)))): rows_of(1.0) for r in (12, 16, 20)}
    yield Kind(rows | stems, as_json, published, "published.json")
    yield Kind(rows | stems, as_json, published, "published.yaml")
    translators = hat_rows.archs(30)
    translated = [list(hat_rows.COLUMNS), *(hat_rows.row(arch) for arch in translators)]
    yield Kind(translated, as_csv, published_hat, "hat.csv")
    yield Kind(translators[0].to_json(), as_json, read_arch, "translator.json")
    yield Kind(PERF, as_json, imported_from("ai_hub"), "perf.json")
    yield Kind(NCNN, as_csv, imported_from("ncnn"), "benchncnn.csv")
    (folder / "devices").mkdir()
    yield Kind(PROFILE, as_toml, lambda path: load_mine(path, folder), "profile.toml")
    recipe = tomllib.loads(shipped_recipes()["digits"].read_text())
    yield Kind(recipe, as_toml, lambda path: load_recipe(str(path)), "recipe.toml")
    yield Kind(net_config(), as_json, net_config_of, "net.config")
    networks = [
        ["r", "d", "ks", "e", "accuracy"],
        *(row_of(arch) for arch in dict.fromkeys(archs(120))),
    ]
    yield Kind(networks, as_csv, lambda path: read_csv(path, DIGITS), "accuracies.csv")
    yield Kind(MEASUREMENTS, as_csv, read_measurements, "measurements.csv")
    yield Kind(network_content(), as_network, NetworkFile.load, "network.pt")
    made_predictor().save(folder / "made")
    with np.load(folder / "made") as content:
        arrays = dict(content.items())
    small = {name: each.tolist() for name, each in arrays.items() if each.size < SMALL}
    yield Kind(small, partial(as_arrays, arrays), load_predictor, "predictor.npz")


def as_json(value: Any, path: Path) -> None:
    path.write_text(json.dumps(value))


def as_lines(value: Any, path: Path) -> None:
    lines = value if isinstance(value, list) else [value]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def rows_of(mean_ms: float) -> dict[str, float]:
    return {"mean": mean_ms, "std": 0.1, "count": 50}


def published(path: Path) -> Table:
    return read_published([path], DIGITS, "x-published", "somebody", "ms").table


def published_hat(path: Path) -> Table:
    return read_hat([path], hat_rows.SPACE, "x-published", "somebody").table


def imported_from(name: str) -> Callable[[Path], Any]:
    """What reads a format of whole networks."""
    read = FORMATS.find(name).read
    return lambda path: read(ImportRequest([path], "x-published", "somebody", DIGITS))


def read_journal(path: Path) -> Any:
    journal = Journal(path)
    journal.close()
    return journal.visits, journal.readings, list(journal.sustained.values())


def read_arch(path: Path) -> Arch:
    return Arch.from_json(read_json(path))


def load_mine(path: Path, root: Path) -> Any:
    path.replace(root / "devices" / "mine.toml")
    return load_profile("mine", root).model_dump()


def as_toml(value: Any, path: Path) -> None:
    """Inline: every value is one of JSON's, or nan and inf, as TOML has them."""
    if not isinstance(value, dict):
        raise TypeError(value)
    path.write_text("\n".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()))


def inline(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {inline(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline, value)) + "]"
    if value is None:
        raise TypeError(value)
    return json.dumps(value) if not isinstance(value, float) else repr(value)


PROFILE = {
    "title": "Mine",
    "aliases": ["my-own"],
    "transport": "local",
    "runtime": "torch",
    "runtime_options": {"num_threads": 1, "cpus": "one", "precision": "float32", "batch": 1},
    "conditions": {"max_temperature_c": 80.0, "pause_s": 0.5},
    "torch": {"device": "cpu", "memory_format": "contiguous"},
}
JOURNAL: list[Any] = [
    {"round": 0, "conditions": {"load_1m": 0.5, "governor": None}, "at_work": True},
    [0, 0, 1795701300015162112, {"wall": [21632, 12288], "thread": [18017, 11186]}],
    [1, 0, 1795701300025162112, {"wall": [31632], "net": [-5]}, 40, 1.5],
    [0, 1, 1795701300035162112, {"wall": [21632, 12288], "thread": [18017, 11186]}],
    [1, 1, 1795701300045162112, {"wall": [31632]}, 40, 1.5],
    {
        "sustained": {
            "entry": 1,
            "at_ns": 1795701300055162112,
            "seconds": 2.5,
            "runs": 90,
            "latency_ns": 31000,
            "steady": True,
        }
    },
]


def made_table() -> Table:
    times = {block: 10_000 + 100 * n for n, block in enumerate(DIGITS.distinct_blocks()[:8])}
    records = [record("block", (block,), ns) for block, ns in times.items()]
    genomes = sample(DIGITS, 3, np.random.default_rng(0))
    archs = [decode(DIGITS, genome) for genome in genomes]
    records += [record("anchor", DIGITS.blocks(arch), 90_000, arch) for arch in archs]
    facts = {
        "started_at": "2026-11-26T13:19:38+00:00",
        "rounds": 12,
        "took_s": 4.4,
        "finished": True,
        "environment": {"os": "Linux", "torch": "2.13.0"},
        "conditions_before": {"load_1m": 3.4, "governor": None},
        "conditions_after": {"load_1m": 3.2, "governor": "performance"},
        "slowdown": 1.1,
        "wall_over_cpu": 1.03,
        "missed": 0.0,
        "moved": [next(iter(times)).key],
        "infeasible": {next(iter(times)).key: "a buffer is too small"},
    }
    identity = {"processor": "x", "runtime": "torch", "clock": "thread", "batch": 1}
    return Table("cpu", "digits", identity, {"c": facts}, tuple(records))


def record(role: str, blocks: tuple[Any, ...], ns: int, arch: Arch | None = None) -> Record:
    told = Statistics(ns, ns - 5, ns + 9, ns, ns, ns, ns, ns, 10, 30, 1.5, ns, ns, None, ns)
    return Record(role, blocks, arch, "latency", "wall", "c", told)


def made_front(table: Table) -> Front:
    facts = table.campaigns["c"]
    archs = [each.arch for each in table.records if each.arch is not None]
    points = tuple(
        Point(
            *(arch, 100, 10, 1.0, 1.1, (0.9, 1.2), 80.0, (75.0, 85.0), 1.1, (1.0, 1.2), 1.3),
            seen_ms={"p50": (1.2, 1.1, 1.3)},
            seen_ms_measured={"p90": (1.4, 1.3, 1.5)},
            accuracy_measured=79.0,
            accuracy_measured_interval=(77.0, 81.0),
        )
        for arch in archs
    )
    settings = {
        "command": "harness run --device cpu --seed 0",
        "seed": 0,
        "distill": 0.0,
        "effort": {"name": "quick", "evaluations": 20_000},
        "supernet": "digits-0",
        "accuracy": None,
        "device": {"title": "Mine", "identity": table.identity},
        "resolutions": [12, 16, 20],
        "limits": [["cpu", 5.0, "p90"]],
        "rounds": 1,
        "search_s": 1.5,
    }
    told = {"networks": 10, "p95": 0.2, "rests_on": "ten networks", "clock": "thread"}
    shares = ("latency_within_5", "latency_within_10", "latency_mape", "latency_within_interval")
    verification = {"campaign": facts, **dict.fromkeys(shares, 0.5), "latency_span": 3.0}
    return Front(
        "cpu",
        "digits",
        settings,
        told | {"campaign": facts},
        {"rmse": 2.1, "describe": "a predictor", "held_out": 20},
        points,
        ({"latency_ms": 1.0, "accuracy": 70.0},),
        verification,
    )


def result(table: Table) -> dict[str, Any]:
    told = {clock: table.records[0].statistics.to_json("ns") for clock in ("wall", "thread")}
    return {
        "kind": "benchmark",
        "schema": 1,
        "model": {"name": "network.onnx", "sha256": "7" * 64},
        "device": "cpu",
        "identity": table.identity,
        "statistics": told,
        "reference": told,
        "references": {"wall": {table.records[0].blocks[0].key: 9000}},
        "suspect": [],
        "campaign": table.campaigns["c"],
    }


def archs(count: int) -> list[Arch]:
    return [decode(DIGITS, genome) for genome in sample(DIGITS, count, np.random.default_rng(1))]


def row_of(arch: Arch) -> list[Any]:
    """Of a CSV of evaluated networks."""
    told = arch.to_json()
    return [told["r"], *(" ".join(map(str, told[key])) for key in ("d", "ks", "e")), 91.5]


def as_csv(value: Any, path: Path) -> None:
    with path.open("w", newline="", errors="surrogatepass") as file:
        csv.writer(file).writerows(row if isinstance(row, list) else [row] for row in value)


def network_content() -> dict[str, Any]:
    """Of a network file; its weights are added where it is written."""
    arch = archs(1)[0]
    return {
        "schema": 1,
        "kind": "network",
        "space": "digits",
        "arch": arch.to_json(),
        "blocks": [block.key for block in DIGITS.blocks(arch)],
        "preprocessing": vars(Preprocessing(arch.resolution, 0.5, 0.5)),
        "classes": [str(number) for number in range(10)],
        "origin": {"seed": 0, "bn_images": 300},
    }


def as_network(value: Any, path: Path) -> None:
    if not isinstance(value, dict):
        raise TypeError(value)
    save_tensors({"weights": weights(), **value}, path)


@cache
def weights() -> dict[str, Any]:
    return dict(build_random(DIGITS.blocks(archs(1)[0]), 0).state_dict())


def made_predictor() -> AccuracyPredictor:
    genomes = sample(DIGITS, 40, np.random.default_rng(2))
    accuracies = np.random.default_rng(3).uniform(80, 95, len(genomes))
    return fit(DIGITS, genomes, accuracies, 0)


def load_predictor(path: Path) -> Any:
    return AccuracyPredictor.load(path, DIGITS)


def as_arrays(valid: dict[str, Any], value: Any, path: Path) -> None:
    """The large arrays as they were."""
    if not isinstance(value, dict):
        raise TypeError(value)
    large = {name: each for name, each in valid.items() if each.size >= SMALL}
    arrays = large | {str(name): np.array(part) for name, part in value.items()}
    if any(array.dtype == object for array in arrays.values()):
        raise TypeError(value)
    with path.open("wb") as file:
        np.savez(file, **arrays)


def net_config() -> dict[str, Any]:
    """Of a small network, as the OFA authors describe theirs."""

    def layer(channels: int, out: int, kernel: int, stride: int) -> dict[str, Any]:
        fields = {"in_channels": channels, "out_channels": out, "kernel_size": kernel}
        return fields | {"stride": stride, "act_func": "relu6", "use_bn": True}

    inner = layer(8, 8, 5, 1) | {"name": "MBInvertedConvLayer", "expand_ratio": 3}
    return {
        "first_conv": layer(3, 8, 3, 2),
        "blocks": [
            {"mobile_inverted_conv": inner, "shortcut": {"name": "IdentityLayer"}},
            {"mobile_inverted_conv": {"name": "ZeroLayer"}, "shortcut": None},
        ],
        "feature_mix_layer": layer(8, 16, 1, 1),
        "classifier": {"in_features": 16, "out_features": 5},
        "bn": {"eps": 1e-5},
    }


def net_config_of(path: Path) -> Any:
    network = PublishedNetwork.load(path, 32)
    return list(network.blocks), network.bn_eps


MEASUREMENTS: list[Any] = [
    ["block_type", *("cin", "h", "w", "cout", "kernel", "expand", "stride", "act", "se", "hw_ms")],
    ["conv", 192, 7, 7, 1152, 1, 0, 1, "h_swish", 0, 0.47],
    ["mbconv", 24, 56, 56, 40, 5, 6, 2, "relu", 1, 1.25],
    ["linear", 1280, "", "", 1000, "", "", "", "", "", 0.3],
    ["pool", 960, 7, 7, "", "", "", "", "", "", 0.1],
]

NCNN: list[Any] = [
    [
        *("device", "run", "num_threads", "powersave", "gpu_device"),
        *("model", "min_ms", "max_ms", "avg_ms"),
    ],
    ["Phone", 1, 4, 2, -1, "mobilenet_v2", 5.08, 5.19, 5.13],
    ["Phone", 2, 1, 0, 0, "mobilenet_v2", 6.1, 7.0, 6.6],
]
PERF: dict[str, Any] = {
    "precisions": {
        "float": {
            "components": {
                "MobileNet-v2": {
                    "performance_metrics": {
                        "Phone": {
                            "tflite": {
                                "inference_time_milliseconds": 0.556,
                                "estimated_peak_memory_range_mb": {"min": 0, "max": 151},
                                "primary_compute_unit": "NPU",
                            }
                        }
                    }
                }
            }
        }
    },
    "models": [
        {
            "name": "EfficientNet-B0",
            "performance_metrics": [
                {
                    "torchscript_onnx_tflite": {
                        "inference_time": 1631.0,
                        "primary_compute_unit": "NPU",
                        "precision": "fp16",
                    },
                    "reference_device_info": {"name": "Older phone"},
                }
            ],
        }
    ],
}
