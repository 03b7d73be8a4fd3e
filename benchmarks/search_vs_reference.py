"""Our search for a whole front against the reference's search, constraint by constraint.

Both see the Note10 latency table and the accuracy predictor that the OFA authors published, with
one thread, in one process. The reference is the evolution finder of the PyPI package `ofa` (`pip
install --no-deps ofa tqdm`). Prints a table and, as its last line, one JSON object.

    python benchmarks/search_vs_reference.py

What is patched in the reference, and why:
- the `__init__` files of `ofa.tutorial` and `ofa.utils` are not run: they import torchvision and
  a data loader, which the search does not use
- `download_url` gives the local files instead of downloading them
- `yaml.load` is called without a loader, which PyYAML 6 refuses: it gets the safe one
"""

import os

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import argparse
import json
import random
import sys
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
import yaml
from rich.console import Console
from rich.table import Table

from harness.predictors.block_table import BlockTablePredictor
from harness.predictors.released_accuracy import load_released_accuracy
from harness.searching.archive import search_front
from harness.searching.objectives import Cost, Objectives
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.tables.ofa import read_published

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[2] / "shared" / "data")) / "ofa"
LIMITS_MS = (15, 20, 25, 30, 35)
RESOLUTIONS = (160, 176, 192, 208, 224)  # the reference's
EVALUATIONS = {"quick": 20_000, "thorough": 170_000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="of ours")
    parser.add_argument("--without-reference", action="store_true")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = {}
    if not arguments.without_reference:
        rows["reference"] = reference()
    objectives = ours()
    for name, evaluations in EVALUATIONS.items():
        rows[name] = mean_over_seeds(objectives, evaluations, arguments.seeds)
    show(rows)


def reference() -> tuple[float, dict[int, float]]:
    """Seconds of all searches together, and the accuracy of each, percent."""
    evolution, accuracies, latencies = reference_modules()
    table = latencies.LatencyTable(device="note10")
    predictor = accuracies.AccuracyPredictor(device="cpu")
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 - what the reference draws from
    found, seconds = {}, 0.0
    for limit_ms in LIMITS_MS:
        finder = evolution.EvolutionFinder("note10", limit_ms, table, predictor)
        started = time.perf_counter()
        best, _ = finder.run_evolution_search()
        seconds += time.perf_counter() - started
        found[limit_ms] = float(best[-1]) * 100
    return seconds, found


def reference_modules() -> list[ModuleType]:
    """The reference's code, with the patches that the head of this file names."""
    spec = find_spec("ofa")
    if spec is None or spec.origin is None:
        sys.exit("the reference is missing: pip install --no-deps ofa tqdm")
    for name in ("tutorial", "utils"):
        package = ModuleType(f"ofa.{name}")
        package.__path__ = [str(Path(spec.origin).parent / name)]
        sys.modules[f"ofa.{name}"] = package
    sys.modules["ofa.utils"].download_url = local_file  # type: ignore[attr-defined]
    strict = yaml.load

    def load(stream: Any, Loader: Any = yaml.SafeLoader) -> Any:  # noqa: N803
        return strict(stream, Loader)

    yaml.load = load
    names = ("evolution_finder", "accuracy_predictor", "latency_table")
    return [import_module(f"ofa.tutorial.{name}") for name in names]


def local_file(url: str, *_: Any, **__: Any) -> str:
    name = url.rsplit("/", 1)[-1]
    if name.endswith("_lookup_table.yaml"):
        return str(DATA / "note10" / name.replace("_lookup_table", ""))
    return str(DATA / name)


def ours() -> Objectives:
    space = OFA_MBV3_W1_2.at(RESOLUTIONS)
    table = read_published([DATA / "note10"], OFA_MBV3_W1_2, "note10-published", "OFA").table
    latency = BlockTablePredictor.from_table(table, space, table.clock)
    accuracy = load_released_accuracy(DATA / "acc_predictor.pth", space)
    cost = Cost("latency", "ms", latency.predict, *latency.smallest())
    return Objectives(space, accuracy.accuracy, cost)


def mean_over_seeds(
    objectives: Objectives, evaluations: int, seeds: int
) -> tuple[float, dict[int, float]]:
    """Seconds of one search, and the accuracies at each limit, percent; means over seeds."""
    found, seconds = [], []
    for seed in range(seeds):
        started = time.perf_counter()
        front = search_front(objectives, evaluations, seed)
        seconds.append(time.perf_counter() - started)
        found.append([front.accuracy[front.cost <= limit].max() for limit in LIMITS_MS])
    means = [float(mean) for mean in np.mean(found, axis=0)]
    return float(np.mean(seconds)), dict(zip(LIMITS_MS, means, strict=True))


def show(rows: dict[str, tuple[float, dict[int, float]]]) -> None:
    printed = Table(title="predicted accuracy within a latency on the Note10, %")
    for heading in ("search", "seconds", *(f"{limit} ms" for limit in LIMITS_MS)):
        printed.add_column(heading, justify="right")
    figures: dict[str, Any] = {}
    for name, (seconds, accuracy) in rows.items():
        printed.add_row(name, f"{seconds:.2f}", *(f"{value:.2f}" for value in accuracy.values()))
        figures[f"seconds_{name}"] = seconds
        figures[f"accuracy_{name}"] = {str(limit): value for limit, value in accuracy.items()}
    Console().print(printed)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
