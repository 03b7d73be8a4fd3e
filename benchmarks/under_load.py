"""What does a table measured on a busy machine still say about the quiet one?

Unseen networks and anchors are measured while the machine is quiet; then whole tables while a busy
loop runs on another core, and on the very core that is measured. Each table is calibrated by the
quiet anchors and predicts the quiet networks. Prints a table and, as its last line, one JSON
object.

    python benchmarks/under_load.py --device cpu --networks 60
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from campaigns import judging_networks, measured, table_of
from rich.console import Console
from rich.table import Table as Printed

from harness.device.device import Device
from harness.effort import FULL
from harness.measuring.plan import calibration_entries, table_entries
from harness.predictors.block_table import BlockTablePredictor
from harness.spaces.catalogue import find_space, part_of
from harness.spaces.genome import encode

BUSY_LOOP = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nwhile True: pass"


@contextmanager
def busy(core: int | None) -> Iterator[None]:
    """A loop that never rests on one core."""
    if core is None:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", BUSY_LOOP, str(core)]) as loop:
        try:
            yield
        finally:
            loop.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--space", default="ofa-mbv3-w1.2")
    parser.add_argument("--resolutions", default="160")
    arguments = parser.parse_args()
    space = part_of(find_space(arguments.space), arguments.resolutions)
    judges = judging_networks(space, arguments.networks)
    cores = sorted(os.sched_getaffinity(0))
    device = Device.find(arguments.device, Path())
    plan, found = FULL.table, {}
    printed = Printed(title=f"{len(judges)} quiet networks of {space.name} on {arguments.device}")
    for heading in ("busy loop", "within 5 %", "within 10 %", "suspect blocks", "wall / CPU"):
        printed.add_column(heading)
    with device.open() as session:
        quiet = measured(
            device, session, [*calibration_entries(space, plan.anchors), *judges], plan
        )
        truth = {r.arch: r.statistics.value for r in quiet.records if r.clock == device.clock}
        archs = [entry.arch for entry in judges if entry.arch is not None]
        truth_ms = np.array([truth[arch] for arch in archs]) / 1e6
        # The agent of a profile with `cpus = "one"` runs on the last core that it may use.
        for name, core in (("none", None), ("other_core", cores[0]), ("same_core", cores[-1])):
            with busy(core):
                loaded = measured(device, session, table_entries(space, plan.anchors), plan)
            table = table_of(device, session, space, loaded, quiet)
            predictor = BlockTablePredictor.from_table(table, space, device.clock, quiet.id)
            errors = np.abs(predictor.predict(encode(space, archs)) / truth_ms - 1)
            blocks = [r for r in loaded.records if (r.role, r.clock) == ("block", device.clock)]
            suspect = float(np.mean([bool(record.suspect) for record in blocks]))
            found[f"within_5_{name}"] = float(np.mean(errors <= 0.05))
            found[f"within_10_{name}"] = float(np.mean(errors <= 0.10))
            found[f"suspect_{name}"] = suspect
            printed.add_row(
                name.replace("_", " "),
                f"{found[f'within_5_{name}']:.1%}",
                f"{found[f'within_10_{name}']:.1%}",
                f"{suspect:.0%}",
                f"{loaded.facts['wall_over_cpu'] or float('nan'):.2f}",
            )
    Console().print(printed)
    print(json.dumps({"device": arguments.device, "clock": device.clock} | found))


if __name__ == "__main__":
    main()
