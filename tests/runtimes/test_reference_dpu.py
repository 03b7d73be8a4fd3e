"""The cost model against blocks that were measured on an Ultra96-v2, DPU B2304 at 200 MHz."""

import csv
import os
from pathlib import Path

import numpy as np
import pytest

from harness.runtimes.dpu.architecture import ARCHITECTURES, Dpu
from harness.runtimes.dpu.fit import START, error, held_out_error, left_out, measured_ms
from harness.runtimes.dpu.measurements import Measured, read
from harness.runtimes.dpu.model import Cost, block_cost

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
FPGA = DATA / "fpga"
FILES = sorted(FPGA.glob("*b2304*.csv"))
FOUND_ON = FPGA / "ultra96_b2304_dev.csv"  # the file from which the rules were read
ULTRA96 = Dpu(ARCHITECTURES["B2304"], clock_mhz=200, ddr_gb_s=8.5, constants=START)
pytestmark = pytest.mark.skipif(
    not FILES, reason=f"no measurements of a B2304 in {FPGA} (set HARNESS_DATA)"
)


def costs(measured: list[Measured]) -> list[tuple[Measured, Cost]]:
    return [(each, block_cost(ULTRA96, each.block)) for each in measured]


def test_reference_blocks_have_the_macs_that_their_files_state() -> None:
    for path in FILES:
        with path.open(newline="") as file:
            stated = [int(row["macs"]) for row in csv.DictReader(file)]
        assert [each.block.macs for each in read(path)] == stated, path.name


def test_reference_bytes_are_those_of_the_compiler() -> None:
    if not FOUND_ON.exists():
        pytest.skip(f"no {FOUND_ON} (set HARNESS_DATA)")
    for measured, cost in costs(read(FOUND_ON)):
        assert measured.loaded_bytes is not None
        assert cost.saved_bytes == measured.saved_bytes, measured.block.key
        assert 0.85 * measured.loaded_bytes < cost.loaded_bytes <= measured.loaded_bytes


def test_reference_times_are_predicted_from_other_blocks_and_from_other_stages() -> None:
    for path in FILES:
        measured = read(path)
        if len(measured) < 20:
            continue
        held_out = held_out_error(ULTRA96, measured)
        assert held_out.blocks == len(measured)
        assert held_out.mape < 0.06, path.name
        assert held_out.kendall > 0.9, path.name
        stages, times = [each.stage for each in measured], measured_ms(measured)
        if len(set(stages)) < 2:
            continue
        for stage, predicted in left_out(ULTRA96, measured, stages).items():
            found = error(predicted, times[np.array(stages) == stage])
            assert found.blocks < 5 or found.mape < 0.10, (path.name, stage)
