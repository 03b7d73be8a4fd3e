"""How well does a latency table predict whole networks, beside measuring those networks twice?

One campaign measures the table, its anchors, and unseen random networks of mixed resolution that
judge it, loaded in the order of `measure`. A second one, in a session of its own as on another day,
measures the same networks again: how the two agree, rescaled, is the floor.
Prints a table and, as its last line, one JSON object.

    python benchmarks/table_accuracy.py --device cpu --networks 120
    python benchmarks/table_accuracy.py --device cpu --networks 60 --space hat-wmt14-ende --visits 3
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from campaigns import judging_networks, measured, table_of
from rich.console import Console
from rich.table import Table as Printed

from harness.device.device import Device
from harness.effort import FULL
from harness.measuring.campaign import Campaign
from harness.measuring.plan import Entry, Plan, sentinel, table_entries
from harness.predictors.block_table import BlockTablePredictor
from harness.spaces.catalogue import find_space, part_of
from harness.spaces.genome import encode
from harness.spaces.space import Space
from harness.tables.end_to_end import spearman
from harness.tables.table import Table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", type=int, default=120, help="unseen networks that judge")
    parser.add_argument("--space", default="ofa-mbv3-w1.2")
    parser.add_argument("--resolutions", default=None, help="default: 160,176,192,208,224 or all")
    parser.add_argument(
        "--visits", type=int, help="of each workload, one run each; default: as `measure`"
    )
    arguments = parser.parse_args()
    plan = replace(FULL.table, sustain_s=0.0)  # nothing here is about sustained latencies
    if arguments.visits is not None:
        few = {"min_visits": arguments.visits, "max_visits": arguments.visits, "runs": 1}
        plan = replace(plan, duration_s=0.0, **few)
    whole = find_space(arguments.space)
    default = "160,176,192,208,224" if arguments.space.startswith("ofa") else None
    space = part_of(whole, arguments.resolutions or default)
    judges = judging_networks(space, arguments.networks)
    device = Device.find(arguments.device, Path())
    table, again = measure_twice(device, space, judges, plan)
    show(arguments.device, space, figures(table, again, space, device.clock))


def measure_twice(
    device: Device, space: Space, judges: Sequence[Entry], plan: Plan
) -> tuple[Table, Campaign]:
    """A table with the judging networks in it, and those networks once more."""
    entries = [each for each in table_entries(space, plan.anchors) if each.role != "holdout"]
    blocks = [each for each in entries if each.role == "block"]
    calibrating = entries[: -len(blocks)]
    with device.open() as session:
        first = measured(device, session, [*calibrating, *judges, *blocks], plan)
        table = table_of(device, session, space, first)
    with device.open() as session:
        again = measured(device, session, [sentinel(space), *judges], plan)
    return table, again


def figures(table: Table, again: Campaign, space: Space, clock: str) -> dict[str, float]:
    """Shares 0..1, of networks within 5 and 10 % of measured, and the same for measuring twice."""
    judges = table.select("holdout", clock, table.block_campaign())
    archs = [record.arch for record in judges if record.arch is not None]
    measured = np.array([record.statistics.value for record in judges]) / 1e6
    predictor = BlockTablePredictor.from_table(table, space, clock)
    predicted = predictor.predict(encode(space, archs))
    times = {r.arch: r.statistics.value for r in again.records if r.clock == clock and r.arch}
    repeated = np.array([times[arch] for arch in archs]) / 1e6
    rescaled = repeated / np.median(repeated / measured)
    errors, floor = (np.abs(values / measured - 1) for values in (predicted, rescaled))
    return {
        "networks": len(archs),
        "within_5": float(np.mean(errors <= 0.05)),
        "within_10": float(np.mean(errors <= 0.10)),
        "mape": float(errors.mean()),
        "spearman": spearman(predicted, measured),
        "floor_within_5": float(np.mean(floor <= 0.05)),
        "floor_within_10": float(np.mean(floor <= 0.10)),
        "floor_mape": float(floor.mean()),
        "mape_over_floor": float(errors.mean() / floor.mean()),
        "seconds": table.campaigns[table.block_campaign()]["took_s"],
    }


def show(device: str, space: Space, found: dict[str, float]) -> None:
    printed = Printed(title=f"{found['networks']} unseen networks of {space.name} on {device}")
    for heading in ("", "within 5 %", "within 10 %", "mean error"):
        printed.add_column(heading)
    for name, prefix in (("predicted from the table", ""), ("measured again, rescaled", "floor_")):
        printed.add_row(
            name,
            f"{found[prefix + 'within_5']:.1%}",
            f"{found[prefix + 'within_10']:.1%}",
            f"{found[prefix + 'mape']:.2%}",
        )
    Console().print(printed)
    print(json.dumps({"device": device, "space": space.name} | found))


if __name__ == "__main__":
    main()
