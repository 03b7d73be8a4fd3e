"""Peak memory as a quantity: tables of it, and networks within a limit."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from harness.cli.terminal import Terminal
from harness.cli.words.table import describe_table
from harness.device.device import Device
from harness.effort import QUICK
from harness.errors import DeviceError
from harness.measuring.plan import Plan
from harness.pipeline.first_look import latency_of
from harness.pipeline.job import Run
from harness.pipeline.steps import measure, table_state
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from harness.spaces.genome import encode
from harness.tables.calibration import measured_networks
from harness.workspace import Workspace
from tests.command_line import harness

PLAN = Plan(min_visits=1, max_visits=1, runs=1, interval=1.0, duration_s=0.0, anchors=4)
STAGES = tuple(replace(stage, width=64 * stage.width) for stage in DIGITS.stages)
WIDE = replace(
    DIGITS, name="wide", resolutions=(12,), depths=(1,), kernels=(3,), expands=(3, 6), stages=STAGES
)


def job(root: Path) -> Run:
    return Run(Workspace(root), WIDE, Terminal(), replace(QUICK, memory=PLAN))


def test_a_table_of_memories_tells_that_larger_networks_take_more_and_how_much(
    tmp_path: Path,
) -> None:
    table = measure(job(tmp_path), Device.find("cpu-onnxruntime", tmp_path), "memory")
    assert (tmp_path / "tables/cpu-onnxruntime.wide.memory.jsonl").exists()
    assert (table.quantity, table.identity["clock"]) == ("memory", "resident")
    assert "memory of" in describe_table(table_state(job(tmp_path), table))
    _, measured = measured_networks(table, "anchor", "resident", table.calibrating_campaign())
    archs = [Arch(12, (1,) * 3, (3,) * 3, expands) for expands in product((3, 6), repeat=3)]
    predicted_mb = latency_of(job(tmp_path), table).predict(encode(WIDE, archs))
    weights_mb = np.array(
        [4 * sum(block.params for block in WIDE.blocks(arch)) / 1e6 for arch in archs]
    )
    assert (predicted_mb > weights_mb).all()
    assert np.ptp(predicted_mb) > 0.8 * np.ptp(weights_mb)
    assert predicted_mb.min() < measured.max() / 1e6
    assert predicted_mb.max() > measured.min() / 1e6


def test_a_simulated_device_tells_none(tmp_path: Path) -> None:
    ended = harness(tmp_path, "measure", "--memory", "--device", "zu3eg")
    assert ended.returncode != 0
    assert "zu3eg is simulated, and its model tells no memory" in ended.stderr
    device = Device.find("zu3eg", tmp_path)
    with pytest.raises(DeviceError, match="tells no peak memory"), device.open("memory"):
        pass
