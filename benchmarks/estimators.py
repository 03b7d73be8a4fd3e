"""Which estimate of a workload's time, and which calibration, predicts networks best?

One campaign, every combination: visits are reduced in several ways, sums over blocks are turned
into networks in several ways, and holdout networks judge. Prints a table and, as its last line,
one JSON object.

    python benchmarks/estimators.py --device cpu --networks 40
"""

import argparse
import json
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from harness.device.device import Device
from harness.effort import FULL, QUICK
from harness.measuring.campaign import Work, run_campaign
from harness.measuring.plan import Entry, network_entry, table_entries
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.tables.calibration import Sums, fit
from harness.tables.journal import Journal

Floats = npt.NDArray[np.float64]
Visits = npt.NDArray[np.int64]  # [visits, runs], ns
JUDGES_SEED = 909

ESTIMATES: dict[str, Callable[[Visits], float]] = {
    "mean of all runs": lambda visits: float(visits.mean()),
    "median over visits of medians": lambda visits: float(np.median(np.median(visits, axis=1))),
    "lower quartile of medians": lambda visits: float(np.quantile(np.median(visits, axis=1), 0.25)),
    "lower decile of fastest runs": lambda visits: float(np.quantile(visits.min(axis=1), 0.10)),
    "fastest run": lambda visits: float(visits.min()),
}


def scale_and_offset(anchors: Sums, measured: Floats, networks: Sums) -> Floats:
    """The plain least squares of two numbers, in relative error."""
    design = np.stack([anchors.total, np.ones_like(measured)], axis=1) / measured[:, None]
    (scale, offset), *_ = np.linalg.lstsq(design, np.ones_like(measured))
    return np.asarray(scale * networks.total + offset)


CALIBRATIONS: dict[str, Callable[[Sums, Floats, Sums], Floats]] = {
    "none": lambda _anchors, _measured, networks: networks.total,
    "scale, offset": scale_and_offset,
    "scale, per block, offset": lambda anchors, measured, networks: fit(anchors, measured).network(
        networks
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", type=int, default=40, help="holdout networks that judge")
    parser.add_argument("--quick", action="store_true", help="the plan of --quick")
    arguments = parser.parse_args()
    rng = np.random.default_rng(JUDGES_SEED)
    judges = [decode(DIGITS, genome) for genome in sample(DIGITS, arguments.networks, rng)]
    plan = (QUICK if arguments.quick else FULL).table
    entries = [
        *(entry for entry in table_entries(DIGITS, plan.anchors) if entry.role != "holdout"),
        *(network_entry("holdout", DIGITS, arch) for arch in judges),
    ]
    device = Device.find(arguments.device, Path())
    with tempfile.TemporaryDirectory() as folder, device.open() as session:
        identity = device.identity(session)
        path = Path(folder, "journal.jsonl")
        work = Work(identity, device.clock, device.limits, entries, plan, lambda _name: path)
        session.prepare([entry.workload for entry in entries])
        run_campaign(session, work)
        journal = Journal(path)
        journal.close()
    show(arguments.device, arguments.networks, errors(entries, journal, device.clock))


def errors(entries: list[Entry], journal: Journal, clock: str) -> dict[str, dict[str, float]]:
    """Figures of each estimate with each calibration."""
    samples: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for visit in journal.visits:
        runs = visit.values[clock]
        assert runs is not None
        samples[visit.entry].append(runs)
    found = {}
    for estimate, reduce in ESTIMATES.items():
        values = {index: reduce(np.array(visits)) for index, visits in samples.items()}
        blocks = {e.blocks[0]: values[i] for i, e in enumerate(entries) if e.role == "block"}

        def networks(
            role: str, values: dict[int, float] = values, blocks: dict = blocks
        ) -> tuple[Sums, Floats]:
            chosen = [(entry, values[i]) for i, entry in enumerate(entries) if entry.role == role]
            sums = Sums.of([entry.blocks for entry, _ in chosen], blocks)
            return sums, np.array([value for _, value in chosen])

        for name, calibrated in CALIBRATIONS.items():
            held_out, truth = networks("holdout")
            error = np.abs(calibrated(*networks("anchor"), held_out) / truth - 1)
            found[f"{estimate}; {name}"] = {
                "within_5": float(np.mean(error <= 0.05)),
                "within_10": float(np.mean(error <= 0.10)),
                "mape": float(error.mean()),
            }
    return found


def show(device: str, networks: int, found: dict[str, dict[str, float]]) -> None:
    table = Table(title=f"{networks} holdout networks of digits on {device}")
    for heading in ("estimate", "calibration by ten anchors", "within 5 %", "within 10 %", "mean"):
        table.add_column(heading)
    for name, figures in found.items():
        estimate, calibration = name.split("; ")
        shares = (f"{figures[key]:.0%}" for key in ("within_5", "within_10"))
        table.add_row(estimate, calibration, *shares, f"{figures['mape']:.1%}")
    Console().print(table)
    print(json.dumps({"device": device, "networks": networks} | found))


if __name__ == "__main__":
    main()
