"""Measures a table of the small space through a phone: a process that a test can kill."""

import sys
from dataclasses import replace
from pathlib import Path

from harness.cli.terminal import Terminal
from harness.device.device import Device
from harness.effort import QUICK
from harness.pipeline.steps import Run, measure
from harness.workspace import Workspace
from tests.real.small_space import SMALL

if __name__ == "__main__":
    root = Path(sys.argv[1])
    plan = replace(QUICK.table, min_visits=3, max_visits=3, anchors=4, duration_s=0.0)
    effort = replace(QUICK, table=plan)
    job = Run(Workspace(root), SMALL, Terminal(), effort)
    measure(job, Device.find("loopback-phone", root))
