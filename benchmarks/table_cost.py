"""What does our table cost, against 500 runs of each block, for the same end-to-end error?

Three campaigns in one run: those of our blocks that are visited (`--effort`; the others are filled
in); each block 500 times in a row; and anchors and unseen networks, which calibrate and judge both.
Conversion and networks are in neither time. Prints a table and, as its last line, one JSON object.

    python benchmarks/table_cost.py --device cpu --networks 60
"""

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from campaigns import judging_networks, measured
from rich.console import Console
from rich.table import Table as Printed

from harness.device.device import Device
from harness.effort import EFFORTS
from harness.measuring.plan import Plan, block_entries, calibration_entries, sentinel
from harness.pipeline.table import ODD
from harness.runtimes.session import Session
from harness.spaces.block import Block
from harness.spaces.catalogue import find_space, part_of
from harness.spaces.space import Space
from harness.tables.calibration import Sums, fit
from harness.tables.filling import choose, fill, oddness
from harness.tables.record import Record

RUNS = 500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--space", default="ofa-mbv3-w1.2")
    parser.add_argument("--resolutions", default="160,192")
    parser.add_argument("--effort", choices=EFFORTS, default="normal")
    arguments = parser.parse_args()
    space = part_of(find_space(arguments.space), arguments.resolutions)
    blocks = space.distinct_blocks()
    device = Device.find(arguments.device, Path())
    # Waiting is not work: rounds follow each other at once.
    plan = replace(EFFORTS[arguments.effort].table, duration_s=0.0)
    judges = judging_networks(space, arguments.networks)
    with device.open() as session:
        session.prepare([(block,) for block in blocks])
        for block in blocks:
            session.load((block,))
        started = time.monotonic()
        ours, visited = visited_and_filled(device, session, space, plan)
        ours_s = time.monotonic() - started
        started = time.monotonic()
        theirs = {}
        for block in blocks:
            samples = session.visit((block,), RUNS)
            theirs[block] = float(np.mean(samples.values["wall"]))  # the median is no better here
        theirs_s = time.monotonic() - started
        networks = measured(
            device, session, [*calibration_entries(space, plan.anchors), *judges], plan
        )
    found = {"time_ratio": ours_s / theirs_s, "seconds": ours_s, "seconds_500": theirs_s}
    found["visited"] = visited
    by_block = {"": ours, "_500": theirs}
    for name, values in by_block.items():
        clock = device.clock if name == "" else "wall"
        found |= {
            f"{key}{name}": value for key, value in judged(networks.records, values, clock).items()
        }
    printed = Printed(title=f"{len(blocks)} blocks, {len(judges)} networks of {space.name}")
    for heading in ("blocks", "seconds", "within 5 %", "mean error"):
        printed.add_column(heading)
    for title, name in (("ours", ""), (f"{RUNS} runs each", "_500")):
        printed.add_row(
            title,
            f"{found[f'seconds{name}']:.1f}",
            f"{found[f'within_5{name}']:.1%}",
            f"{found[f'mape{name}']:.2%}",
        )
    Console().print(printed)
    print(json.dumps({"device": arguments.device} | found))


def visited_and_filled(
    device: Device, session: Session, space: Space, plan: Plan
) -> tuple[dict[Block, float], int]:
    """What our blocks take, ns, and how many of them were visited; as `harness measure` does it."""
    choice, known = choose(space, plan.fill_error), dict[Block, float]()
    for _ in range(2):
        new = [block for block in choice.visited if block not in known]
        entries = [sentinel(space), *block_entries(new)]
        known |= times(measured(device, session, entries, plan).records, device.clock)
        if not choice.left_out or (odd := oddness(list(known.items()))) < ODD:
            break
        choice = choose(space, plan.fill_error, odd, choice.visited)
    filled = fill(tuple(known.items()), choice.left_out)
    return known | {block: each.value for block, each in filled.items()}, len(known)


def times(records: tuple[Record, ...], clock: str) -> dict[Block, float]:
    chosen = [record for record in records if (record.role, record.clock) == ("block", clock)]
    return {record.blocks[0]: record.statistics.value for record in chosen}


def judged(
    records: tuple[Record, ...], block_ns: dict[Block, float], clock: str
) -> dict[str, float]:
    """The error of calibrated sums on the networks that calibrate nothing."""

    def networks(role: str) -> tuple[Sums, np.ndarray]:
        chosen = [record for record in records if (record.role, record.clock) == (role, clock)]
        sums = Sums.of([record.blocks for record in chosen], block_ns)
        return sums, np.array([float(record.statistics.value) for record in chosen])

    calibration = fit(*networks("anchor"))
    sums, truth = networks("holdout")
    errors = np.abs(calibration.network(sums) / truth - 1)
    return {"mape": float(errors.mean()), "within_5": float(np.mean(errors <= 0.05))}


if __name__ == "__main__":
    main()
