"""How well are networks predicted that nobody timed, of families that no fit has seen?

The device's table of kernels (`harness measure --kernels`) predicts the networks of `zoo.py`: those
of families that its kernels and anchors were taken from, anchors themselves left out, and those of
other families. Beside it yardsticks that are fitted to all known networks: multiply-accumulates;
those and bytes; a roofline; gradient boosting on features of whole networks. Times of networks are
kept beside their files and gone on with, so that a run may be in parts.

    python benchmarks/zoo.py FOLDER
    harness measure --kernels --device cpu-onnxruntime --budget 9m
    python benchmarks/any_network.py --device cpu-onnxruntime --networks 120 --folder FOLDER

Prints a table and, as its last line, one JSON object.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls
from zoo import asked_of
from zoo_networks import EARLIER, FRESH, KNOWN, UNSEEN, Network

from harness.device.device import Device
from harness.errors import HarnessError
from harness.files import LineLog, read_lines
from harness.graphs.graph import Graph
from harness.graphs.networks import anchors
from harness.graphs.reading import KERNEL_RUNTIMES, KernelRuntime, read_model
from harness.pipeline.kernels import PLAN
from harness.predictors.kernel_networks import NAME, KernelNetworks, NetworkLatency
from harness.runtimes.session import Session
from harness.tables.end_to_end import spearman
from harness.tables.table import Table
from harness.workspace import Workspace

Floats = npt.NDArray[np.float64]
VISITS, RUNS, LONGEST_S = 6, 3, 1.2  # of one network; visits end sooner where they take long


@dataclass(frozen=True)
class Judged:
    """A network, what it took, and what was said of it."""

    network: Network
    measured_ms: float
    floor: float  # first half of its visits against the second
    graph: Graph
    told: NetworkLatency

    @property
    def error(self) -> float:
        return self.told.latency_ms / self.measured_ms - 1

    @property
    def covered(self) -> bool:
        low, high = self.told.latency_ms_interval
        return low <= self.measured_ms <= high

    @property
    def half_width(self) -> float:
        """Of the interval, logarithm."""
        low, high = self.told.latency_ms_interval
        return float(np.log(high / low) / 2)


def measure(
    device: Device,
    runtime: KernelRuntime,
    networks: Sequence[Network],
    folder: Path,
    minutes: float,
) -> dict[str, tuple[float, float]]:
    """The fastest run of each network in each half of its visits, ms, by the name of its file."""
    path = folder / f"measured.{device.name}.jsonl"
    log = LineLog(path)
    found = {name: (first, second) for _, (name, first, second) in read_lines(path)}
    end = time.monotonic() + 60 * minutes
    for network in networks:
        file = network.path(folder, runtime.suffixes[0])
        if file.name in found or not file.exists() or time.monotonic() > end:
            continue
        one = replace(device, asked=asked_of(network, runtime))
        with one.open() as session:
            try:
                halves = _halves(session, file, one.clock)
            except HarnessError as error:
                print(f"{file.name}: {error}")
                continue
        log.append([file.name, *halves])
        found[file.name] = halves
    log.close()
    return found


def _halves(session: Session, file: Path, clock: str) -> tuple[float, float]:
    session.load(file)
    times: list[int] = []
    end = time.monotonic() + LONGEST_S
    while len(times) < 2 or (len(times) < VISITS and time.monotonic() < end):
        values = session.visit(file, RUNS).values
        times.append(min(values.get(clock) or values["wall"]))
    session.unload(file)
    return min(times[::2]) / 1e6, min(times[1::2]) / 1e6


def graph_of(network: Network, file: Path, runtime: KernelRuntime) -> Graph:
    return read_model(file, asked_of(network, runtime), runtime)


def features(graph: Graph) -> list[float]:
    """Of whole networks: what yardsticks know."""
    kernels = graph.kernels
    moved = sum(each.size for k in kernels for each in (*k.given, *k.outputs))
    stages = ("convolution", "depthwise", "product")
    by_stage = [sum(k.macs for k in kernels if k.stage == stage) for stage in stages]
    weights = sum(k.params for k in kernels)
    return [
        float(n) for n in (sum(by_stage), 4 * (moved + weights), weights, len(kernels), *by_stage)
    ]


def _linear(columns: Sequence[int]) -> Callable[[Floats, Floats, Floats], Floats]:
    def predict(known: Floats, times: Floats, unseen: Floats) -> Floats:
        one = np.column_stack([known[:, columns], np.ones(len(known))])
        rates, _ = nnls(one / times[:, None], np.ones(len(times)))
        return np.asarray(np.column_stack([unseen[:, columns], np.ones(len(unseen))]) @ rates)

    return predict


def _roofline(known: Floats, times: Floats, unseen: Floats) -> Floats:
    """The longer of computing and moving, at the two rates with the least mean absolute error."""

    def of(some: Floats, compute: float, move: float) -> Floats:
        return np.asarray(np.maximum(compute * some[:, 0], move * some[:, 1]))

    rates = [times.sum() / known[:, place].sum() for place in (0, 1)]
    steps = np.geomspace(0.1, 3, 60)
    best = min(
        ((rates[0] * a, rates[1] * b) for a in steps for b in steps),
        key=lambda pair: float(np.abs(of(known, *pair) / times - 1).mean()),
    )
    return of(unseen, *best)


def _boosting(known: Floats, times: Floats, unseen: Floats) -> Floats:
    from sklearn.ensemble import GradientBoostingRegressor

    model = GradientBoostingRegressor(
        n_estimators=300, max_depth=3, learning_rate=0.05, random_state=0
    )
    model.fit(np.log1p(known), np.log(times))
    return np.asarray(np.exp(model.predict(np.log1p(unseen))))


YARDSTICKS: dict[str, Callable[[Floats, Floats, Floats], Floats]] = {
    "MACs": _linear([0]),
    "MACs and bytes": _linear([0, 1]),
    "roofline": _roofline,
    "gradient boosting": _boosting,
}


def yardsticks(known: Sequence[Judged], unseen: Sequence[Judged]) -> dict[str, float]:
    """Mean absolute errors on unseen families."""
    seen, others = (np.array([features(each.graph) for each in some]) for some in (known, unseen))
    times, theirs = (np.array([each.measured_ms for each in some]) for some in (known, unseen))
    return {
        name: float(np.abs(predict(seen, times, others) / theirs - 1).mean())
        for name, predict in YARDSTICKS.items()
    }


def figures(some: Sequence[Judged], suffix: str) -> dict[str, float]:
    errors = np.abs([each.error for each in some])
    whole = [each for each in some if not each.told.unknown]
    of_whole = np.abs([each.error for each in whole])
    predicted = np.array([each.told.latency_ms for each in some])
    measured = np.array([each.measured_ms for each in some])
    return {
        f"networks_{suffix}": len(some),
        f"within_10_{suffix}": float((errors <= 0.1).mean()),
        f"within_20_{suffix}": float((errors <= 0.2).mean()),
        f"mape_{suffix}": float(errors.mean()),
        f"whole_{suffix}": len(whole) / len(some),
        f"within_10_of_whole_{suffix}": float((of_whole <= 0.1).mean()),
        f"mape_of_whole_{suffix}": float(of_whole.mean()),
        f"coverage_of_whole_{suffix}": float(np.mean([each.covered for each in whole])),
        f"spearman_{suffix}": spearman(predicted, measured),
        f"coverage_{suffix}": float(np.mean([each.covered for each in some])),
        f"half_width_{suffix}": float(np.mean([each.half_width for each in some])),
        f"floor_mape_{suffix}": float(np.mean([each.floor for each in some])),
    }


def judge(
    networks: Sequence[Network],
    times: dict[str, tuple[float, float]],
    predictor: KernelNetworks,
    folder: Path,
    runtime: KernelRuntime,
) -> list[Judged]:
    found = []
    for network in networks:
        file = network.path(folder, runtime.suffixes[0])
        if file.name not in times:
            continue
        try:
            graph = graph_of(network, file, runtime)
        except HarnessError as error:
            print(f"{file.name}: {error}")
            continue
        first, second = times[file.name]
        floor = abs(first / second - 1)
        found.append(Judged(network, min(first, second), floor, graph, predictor.predict(graph)))
    return found


def show(some: Sequence[Judged], title: str) -> None:
    print(f"\n{title}")
    for each in sorted(some, key=lambda each: each.error):
        low, high = each.told.latency_ms_interval
        unknown = ", ".join(f"{name} x{n}" for name, n in each.told.unknown.items())
        name = f"{each.network.family} {each.network.name} {each.network.pixels}"
        print(
            f"  {name:<52} {each.measured_ms:9.3f} ms, predicted {each.told.latency_ms:9.3f} "
            f"({low:.3f} to {high:.3f}) {each.error:+7.1%}{'' if each.covered else ' outside'}"
            f"{' unknown: ' + unknown if unknown else ''}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu-onnxruntime")
    parser.add_argument("--networks", type=int, default=120, help="half of them of unseen families")
    parser.add_argument("--fresh", action="store_true", help="judge by families nobody looked at")
    parser.add_argument("--earlier", action="store_true", help="judge by those looked at since")
    parser.add_argument("--folder", type=Path, required=True, help="of zoo.py's files")
    parser.add_argument("--root", type=Path, default=Path(), help="with the table of kernels")
    parser.add_argument("--minutes", type=float, default=60.0, help="of measuring, in this run")
    parser.add_argument("--only-measure", action="store_true")
    arguments = parser.parse_args()
    half = arguments.networks // 2
    device = Device.find(arguments.device, arguments.root)
    folder: Path = arguments.folder
    runtime = KERNEL_RUNTIMES[device.profile.runtime]
    known_networks, unseen_networks = KNOWN[:half], UNSEEN[:half]
    if arguments.fresh or arguments.earlier:
        unseen_networks = FRESH if arguments.fresh else EARLIER
    both = [*unseen_networks, *known_networks]
    times = measure(device, runtime, both, folder, arguments.minutes)
    if arguments.only_measure:
        print(f"{len(times)} networks measured")
        return
    table = Table.load(Workspace(arguments.root).table(device.name, NAME))
    started = time.perf_counter()
    predictor = KernelNetworks.of(table)
    fit_s = time.perf_counter() - started
    known, unseen = (
        judge(some, times, predictor, folder, runtime) for some in (known_networks, unseen_networks)
    )
    used = {(each.family, each.name) for each in anchors(runtime, PLAN.anchors)}
    fresh = [
        each
        for each in known
        if (each.network.family, f"{each.network.name}-{each.network.pixels}") not in used
    ]
    show(fresh, "networks of known families, none of them an anchor")
    show(unseen, "networks of families that no fit has seen")
    beside = yardsticks(known, unseen)
    beside_whole = yardsticks(known, [each for each in unseen if not each.told.unknown])
    for name, mape in beside.items():
        print(
            f"{name:<20} mean absolute error on unseen families {mape:.1%}, "
            f"on those known whole {beside_whole[name]:.1%}"
        )
    print(predictor.describe())
    told: dict[str, Any] = figures(unseen, "unseen")
    if fresh:  # all may be anchors
        told |= figures(fresh, "known")
    told |= {"coverage": told["coverage_unseen"], "best_yardstick_mape": min(beside.values())}
    told |= {"best_yardstick_mape_of_whole": min(beside_whole.values())}
    told |= {"yardsticks": beside, "table": predictor.facts(), "fit_s": round(fit_s, 2)}
    measuring_s = sum(float(each.get("took_s", 0)) for each in table.campaigns.values())
    print(json.dumps(told | {"table_took_s": measuring_s}))


if __name__ == "__main__":
    main()
