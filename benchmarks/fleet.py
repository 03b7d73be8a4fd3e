"""Are several phones of one model as many times as fast, started by one command?

Real adb daemons on this computer (tests/real/fetch-adbd), whose runner sleeps instead of working:
what limits them is our side, the daemons and this computer's processors. Each number of phones
measures the same table anew. Prints a table and, as its last line, one JSON object: by number of
phones the visits a second and their efficiency, and that of the whole table (phones have some
networks in common, which bring them to one level).

    HARNESS_ADBD=FOLDER python benchmarks/fleet.py --phones 1,2,4,8
"""

import argparse
import contextlib
import io
import json
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table as Printed

sys.path.insert(0, str(Path(__file__).parents[1]))

from harness.cli.terminal import Terminal
from harness.device.device import Device
from harness.effort import QUICK
from harness.measuring.plan import Plan, table_entries
from harness.pipeline.steps import Run, measure
from harness.runtimes.session import ElsewhereSession
from harness.spaces.digits import DIGITS
from harness.tables.journal import Journal
from harness.workspace import Workspace
from tests.real.real_adbd import RealAdbd

PLAN = Plan(min_visits=2, max_visits=2, runs=1, interval=1.0, duration_s=0.0, anchors=20)
RUNNER = """#!/bin/sh
sleep {seconds}
echo 'INFO: Running benchmark for at least 1 iterations'
echo 'INFO: count=1 curr={us} (all same)'
echo 'INFO: Running benchmark for at least 1 iterations'
echo 'INFO: count=1 curr={us} (all same)'
echo 'INFO: Inference timings in us: Init: 1, First inference: {us}, Inference (avg): {us}'
"""
PROFILE = """
title = "Daemons whose runner sleeps"
transport = "adb"
runtime = "benchmark_model"

[match]
model = "Loopback"

[adb]
serial = {serials}
backend = "direct"

[benchmark_model]
path = "{runner}"

[runtime_options]
cpus = "0x1"
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--phones", default="1,2,4,8")
    parser.add_argument("--seconds", type=float, default=0.3, help="that a visit sleeps")
    asked = parser.parse_args()
    counts = [int(count) for count in asked.phones.split(",")]
    with tempfile.TemporaryDirectory() as scratch, ExitStack() as stack:
        folder = Path(scratch)
        runner = folder / "runner"
        runner.write_text(RUNNER.format(seconds=asked.seconds, us=round(asked.seconds * 1e6)))
        runner.chmod(0o755)
        phones = [phone(folder / f"phone{number}", number) for number in range(max(counts))]
        for each in phones:
            each.start()
            stack.callback(each.stop)
        found = {
            count: measured(folder / f"root{count}", runner, phones[:count]) for count in counts
        }
    show(found)


def phone(folder: Path, number: int) -> RealAdbd:
    made = RealAdbd(folder)
    properties = made.scripts / "properties"
    properties.write_text(properties.read_text().replace("LOOPBACK1", f"FLEET{number}"))
    return made


def measured(root: Path, runner: Path, phones: list[RealAdbd]) -> dict[str, float]:
    """Seconds from the first to the last visit, and how many there were; no file is made then."""
    profile = root / "devices" / "fleet.toml"
    profile.parent.mkdir(parents=True)
    serials = json.dumps([each.serial for each in phones])
    profile.write_text(PROFILE.format(serials=serials, runner=runner))
    device, workspace = Device.find("fleet", root), Workspace(root)
    with device.units[0].open() as session:
        assert isinstance(session, ElsewhereSession)
        session.make_files([entry.workload for entry in table_entries(DIGITS, PLAN.anchors)])
    with contextlib.redirect_stdout(io.StringIO()):
        job = Run(workspace, DIGITS, Terminal(), replace(QUICK, table=PLAN))
        began = time.monotonic()
        table = measure(job, device)
        whole_s = time.monotonic() - began
    at_s: list[float] = []
    for campaign in table.campaigns:
        journal = Journal(workspace.journal("fleet", DIGITS.name, campaign))
        at_s += [visit.at_ns / 1e9 for visit in journal.visits]
    return {"visits": len(at_s), "seconds": max(at_s) - min(at_s), "whole_s": whole_s}


def show(found: dict[int, dict[str, float]]) -> None:
    fewest = min(found)
    told = {}
    printed = Printed(title=f"against {fewest} phone(s)")
    for heading in ("phones", "visits a second", "efficiency", "table, s", "efficiency"):
        printed.add_column(heading)
    for count, each in found.items():
        first, times = found[fewest], count / fewest
        rate, alone = (one["visits"] / one["seconds"] for one in (each, first))
        told[count] = {
            "visits_per_s": rate,
            "efficiency": rate / alone / times,
            "table_s": each["whole_s"],
            "table_efficiency": first["whole_s"] / each["whole_s"] / times,
        }
        printed.add_row(
            str(count),
            f"{rate:.1f}",
            f"{told[count]['efficiency']:.2f}",
            f"{each['whole_s']:.1f}",
            f"{told[count]['table_efficiency']:.2f}",
        )
    Console().print(printed)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
