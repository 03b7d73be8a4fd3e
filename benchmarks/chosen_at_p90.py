"""Does a network that was chosen by its p90 keep to its limit when it is used?

On a quiet machine, beside a busy loop on another core, and beside one on the very same core:
networks are verified as `harness verify` does it; each limit is the upper end of one network's p90,
so that this network is just about to be chosen. Then, in a new process, each is run as a user would
run it, back to back for some seconds, on the wall clock. Ten anchors predict the networks' p90,
too, as a first look does it. Prints shares of runs within the limit and, as its last line, JSON.

    python benchmarks/chosen_at_p90.py --device cpu-onnxruntime
"""

import argparse
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
from campaigns import judging_networks, measured, table_of
from rich.console import Console
from rich.table import Table as Printed
from under_load import busy

from harness.device.device import Device
from harness.effort import FULL
from harness.measuring.plan import calibration_entries
from harness.predictors.choice import latency_predictor
from harness.spaces.catalogue import find_space, part_of
from harness.spaces.genome import encode
from harness.tables.repeat import Repeat

USED_S = 4.0  # of runs of each network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu-onnxruntime")
    parser.add_argument("--space", default="digits")
    parser.add_argument("--resolutions")
    parser.add_argument("--networks", type=int, default=20)
    arguments = parser.parse_args()
    space = part_of(find_space(arguments.space), arguments.resolutions)
    device = Device.find(arguments.device, Path())
    judges = [replace(each, role="network") for each in judging_networks(space, arguments.networks)]
    anchors = calibration_entries(space, 10)
    cores = sorted(os.sched_getaffinity(0))
    found: dict[str, float] = {}
    printed = Printed(title=f"{len(judges)} networks of {space.name} on {device.name}, by p90")
    for heading in ("machine", "limit from", "within it", "worst network", "limit / full speed"):
        printed.add_column(heading)
    # The agent of a profile with `cpus = "one"` runs on the last core that it may use.
    for name, core in (("quiet", None), ("other_core", cores[0]), ("same_core", cores[-1])):
        with busy(core):
            with device.open() as session:
                plan = replace(FULL.verification, sustain_s=0.0)
                campaign = measured(device, session, [*anchors, *judges], plan)
                table = table_of(device, session, space, campaign)
            repeat = Repeat.of(table, "p90")
            walls = {r.blocks: r.statistics for r in table.select("network", "wall", campaign.id)}
            full = {
                r.blocks: r.statistics.value
                for r in table.select("network", device.clock, campaign.id)
            }
            ends = [repeat.interval(walls[each.blocks]) for each in judges]
            verified = np.array([0.0 if each is None else each[1] for each in ends])
            looked = replace(table, records=tuple(r for r in table.records if r.role != "network"))
            told = latency_predictor(looked, space)
            archs = [each.arch for each in judges if each.arch is not None]
            upper = told.statements["p90"].upper_ratio
            predicted = 1e6 * told.predict(encode(space, archs)) * upper
            with device.open() as session:
                session.prepare([each.workload for each in judges])
                used = [session.sustain(each.workload, USED_S).values["wall"] for each in judges]
        for source, limits in (("verified", verified), ("first look", predicted)):
            shares = np.array(
                [np.mean(np.array(u) <= limit) for u, limit in zip(used, limits, strict=True)]
            )
            dear = np.median(limits / np.array([full[each.blocks] for each in judges]))
            key = f"{name}_{source.replace(' ', '_')}"
            found |= {
                f"within_{key}": float(shares.mean()),
                f"worst_{key}": float(shares.min()),
                f"limit_over_full_{key}": float(dear),
            }
            row = f"{shares.mean():.1%}", f"{shares.min():.1%}", f"{dear:.2f}"
            printed.add_row(name.replace("_", " "), source, *row)
    Console().print(printed)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
