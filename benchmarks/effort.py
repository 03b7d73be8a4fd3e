"""What is a table worth of which only some blocks are visited, and is it what the plan expects?

One campaign visits all blocks, anchors, and unseen networks that judge. Each effort is then given
those of its blocks and anchors alone (more, where blocks turn out to be less alike than usual, as
`measure` does), fills in the rest, and predicts the same networks; blocks
that it fills in were visited, too, and judge their intervals. `--device simulated` are the table of
a phone that the OFA authors published (below HARNESS_DATA; a network takes the sum of its blocks
and 5 % for fetching weights) and an FPGA by its cost model, which rounds up channels, so that
neighbours tell less; both take longer by about `--noise` in a visit. Prints a table and, as its
last line, one JSON object: by table and effort the share of visits, mean errors of networks (and
with all blocks), what the plan expected, the same of what filling in adds alone, the share of
filled blocks within their interval of 95 %.

    python benchmarks/effort.py
    python benchmarks/effort.py --device cpu-onnxruntime --networks 60 --resolutions 160,192,224
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from campaigns import judging_networks, measured, table_of
from rich.console import Console
from rich.table import Table as Printed

from harness.device.device import Device
from harness.effort import EFFORTS, FULL, Effort
from harness.measuring.forecast import network_error, time_error
from harness.measuring.plan import calibration_entries, refit_entries, table_entries
from harness.measuring.rounds import Visits
from harness.pipeline.table import ODD
from harness.predictors.block_table import BlockTablePredictor
from harness.progress import Progress, silent
from harness.runtimes.session import Samples, Session, SimulatedSession, Workload
from harness.spaces.catalogue import find_space, part_of
from harness.spaces.genome import encode
from harness.spaces.space import Space
from harness.tables.filling import choose, oddness
from harness.tables.ofa import read_published
from harness.tables.table import Table

DATA = Path(os.environ.get("HARNESS_DATA", "../shared/data"))
PHONE, FPGA = "note10", "zu3eg"
WEIGHTS = 0.05  # of a simulated network's time


class Restless:
    """What a campaign asks of a session: times that are told, longer in most visits."""

    resident = False
    infers_on = "nowhere"
    visit_cost_ns = 0
    environment: Mapping[str, str] = {"processor": "simulated"}

    def __init__(self, latency_ns: Callable[[Workload], float], noise: float) -> None:
        self._latency_ns, self._noise = latency_ns, noise
        self._rng = np.random.default_rng(0)

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        pass

    def load(self, workload: Workload) -> int:
        return round(self._latency_ns(workload))

    def visit(self, workload: Workload, runs: int) -> Samples:
        slow = 1 + self._noise * (self._rng.exponential() + self._rng.exponential(size=runs) / 3)
        times = tuple(int(each) for each in self.load(workload) * slow)
        return Samples(time.time_ns(), {"wall": times, "thread": times})

    def conditions(self) -> dict[str, float | str | None]:
        return {"load_1m": 0.0}


@dataclass(frozen=True)
class Measured:
    """A whole table, with networks that judge, and what the plan of each effort expected."""

    table: Table
    space: Space
    time_error: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="simulated")
    parser.add_argument("--networks", type=int, default=60, help="unseen networks that judge")
    parser.add_argument("--space", default="ofa-mbv3-w1.2", help="of networks")
    parser.add_argument("--resolutions", default="160,192,224")
    parser.add_argument("--noise", type=float, default=0.03, help="of simulated devices")
    asked = parser.parse_args()
    tables = dict(simulated(asked) if asked.device == "simulated" else real(asked))
    found: dict[str, Any] = {
        name: {effort.name: judged(whole, effort) for effort in EFFORTS.values()}
        for name, whole in tables.items()
    }
    show(found)
    print(json.dumps(found))


def simulated(asked: argparse.Namespace) -> Iterator[tuple[str, Measured]]:
    device = replace(Device.find("cpu", Path()), name="simulated")
    space = part_of(find_space(asked.space), asked.resolutions)
    phone = published(space)
    yield PHONE, whole(device, restless(phone, asked.noise), space, asked.networks)
    with Device.find(FPGA, Path()).open() as fpga:
        assert isinstance(fpga, SimulatedSession)
        yield FPGA, whole(device, restless(fpga.latency_ns, asked.noise), space, asked.networks)


def restless(latency_ns: Callable[[Workload], float], noise: float) -> Session:
    return cast("Session", Restless(latency_ns, noise))


def published(space: Space) -> Callable[[Workload], float]:
    """What the phone took."""
    table = read_published([DATA / "ofa" / PHONE], space, PHONE, "published").table
    block_ns = table.block_values("wall")
    parameter_ns = WEIGHTS * sum(block_ns.values()) / sum(block.params for block in block_ns)

    def latency_ns(workload: Workload) -> float:
        assert not isinstance(workload, Path)
        alone = sum(block_ns[block] for block in workload)
        weights = parameter_ns * sum(block.params for block in workload)
        return alone + weights if len(workload) > 1 else alone

    return latency_ns


def real(asked: argparse.Namespace) -> Iterator[tuple[str, Measured]]:
    device = Device.find(asked.device, Path())
    space = part_of(find_space(asked.space), asked.resolutions)
    with device.open() as session:
        yield asked.device, whole(device, session, space, asked.networks)


def whole(device: Device, session: Session, space: Space, networks: int) -> Measured:
    plan = replace(FULL.table, duration_s=0.0, sustain_s=0.0)
    entries = [e for e in table_entries(space, plan.anchors) if e.role != "holdout"]
    errors: list[float] = []

    def note(visits: Visits) -> None:
        errors.append(time_error(visits, plan.min_visits))

    judges = judging_networks(space, networks)
    campaign = measured(device, session, [*entries, *judges], plan, note)
    return Measured(table_of(device, session, space, campaign), space, errors[0])


def judged(whole: Measured, effort: Effort) -> dict[str, float]:
    table, space, plan = whole.table, whole.space, effort.table
    choice = choose(space, plan.fill_error)
    alone = table.blocks(table.clock)
    odd = oddness([(block, float(alone[block].statistics.value)) for block in choice.visited])
    if choice.left_out and odd >= ODD:
        choice = choose(space, plan.fill_error, odd, choice.visited)
    anchors = {entry.blocks for entry in calibration_entries(space, plan.anchors)}
    visited = set(choice.visited)
    (name,) = table.campaigns
    kept = [
        record
        for record in table.records
        if (record.role != "block" or record.blocks[0] in visited)
        and (record.role != "anchor" or record.blocks in anchors)
    ]
    facts = table.campaigns[name] | {"left_out": [block.key for block in choice.left_out]}
    part = replace(table, campaigns={name: facts}, records=tuple(kept))
    truth, predicted = networks_of(whole, part)
    _, by_all = networks_of(whole, table)
    filled = part.filled(table.clock)
    holds = [
        each.interval[0] <= alone[block].statistics.value <= each.interval[1]
        for block, each in filled.items()
    ]
    return {
        "blocks": len(visited),
        "oddness": odd,
        "visits_share": len(refit_entries(space, plan.anchors) + list(visited))
        / len(table_entries(space, FULL.table.anchors)),
        "mape": float(np.abs(predicted / truth - 1).mean()),
        "mape_full": float(np.abs(by_all / truth - 1).mean()),
        "expected": network_error(choice, whole.time_error),
        "added": float(np.abs(predicted / by_all - 1).mean()),
        "added_expected": float(np.sqrt(2 / np.pi) * choice.error),
        "filled_within_interval": float(np.mean(holds)) if holds else 1.0,
    }


def networks_of(
    whole: Measured, table: Table
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Measured and predicted latencies of the networks that judge, ms."""
    judges = whole.table.select("holdout", table.clock, table.block_campaign())
    archs = [record.arch for record in judges if record.arch is not None]
    predictor = BlockTablePredictor.from_table(table, whole.space, table.clock)
    measured_ms = np.array([record.statistics.value for record in judges]) / 1e6
    return measured_ms, predictor.predict(encode(whole.space, archs))


def show(found: dict[str, dict[str, dict[str, float]]]) -> None:
    printed = Printed(title="networks predicted from tables of which some blocks are filled in")
    for heading in (
        *("table", "effort", "blocks", "visits", "mean error", "all visited", "expected"),
        *("filling adds", "expected", "filled within 95 %"),
    ):
        printed.add_column(heading)
    for name, efforts in found.items():
        for effort, told in efforts.items():
            shares = ("visits_share", "mape", "mape_full", "expected", "added", "added_expected")
            cells = [f"{told[each]:.2%}" for each in shares]
            cells.append(f"{told['filled_within_interval']:.1%}")
            printed.add_row(name, effort, str(told["blocks"]), *cells)
    Console(width=140).print(printed)


if __name__ == "__main__":
    main()
