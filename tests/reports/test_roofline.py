"""The roofline's numbers, counted by hand, and its picture."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from harness.networks.baselines import BASELINES, Baseline
from harness.predictors.roofline import (
    FOUND,
    MNASNET,
    V2,
    MeasuredMachine,
    Roof,
    Roofline,
    RooflinePoint,
    SimulatedMachine,
    least_traffic_bytes,
)
from harness.reports.roofline import save_roofline
from harness.runtimes.dpu.architecture import Dpu
from harness.runtimes.dpu.model import block_cost
from harness.runtimes.dpu.options import DpuOptions
from harness.spaces.convolution import Convolution

BLOCK = Convolution("mbconv", 8, 8, 4, 24, 6, 3, 2, "relu", 0, False)
DPU = Dpu.of(
    DpuOptions(
        architecture="B2304",
        clock_mhz=200,
        ddr_gb_s=8.5,
        vector_ns=130,
        ddr_share=0.3,
        pass_cycles=6,
    )
)


def test_each_input_output_and_parameter_is_moved_once() -> None:
    maps, params = 8 * 8 * 4 + 4 * 4 * 6, (4 + 2) * 24 + (9 + 2) * 24 + (24 + 2) * 6
    assert least_traffic_bytes(BLOCK, 1) == maps + params
    assert least_traffic_bytes(BLOCK, 4) == 4 * (maps + params)
    assert least_traffic_bytes(BLOCK, 2, batch=64) == 2 * (64 * maps + params)


def test_an_accumulation_is_two_operations_and_a_batch_counts() -> None:
    identity = {"precision": "float16", "batch": 64}
    work = MeasuredMachine(identity, {(BLOCK,): 0.5}).work(FOUND, "x", [BLOCK])
    assert work.ops == 2 * 64 * BLOCK.macs
    assert work.gops == pytest.approx(2 * 64 * BLOCK.macs / 0.5e-3 / 1e9)
    assert work.ops_per_byte == work.ops / least_traffic_bytes(BLOCK, 2, 64)


@pytest.mark.parametrize(
    ("identity", "size"),
    [
        ({"precision": "float32"}, 4),
        ({"precision": "int8"}, 1),
        ({"precision": "float32", "torch": {"autocast": "float16"}}, 2),
        ({"precision": "float32", "torch": {"autocast": "off"}}, 4),
        ({"source": "somewhere"}, 4),
    ],
)
def test_numbers_have_the_size_of_the_precision_that_computes(
    identity: dict[str, object], size: int
) -> None:
    machine = MeasuredMachine(identity, {(BLOCK,): 1.0})
    assert machine.work(FOUND, "x", [BLOCK]).traffic_bytes == least_traffic_bytes(BLOCK, size)
    assert ("supposed" in machine.traffic) == ("precision" not in identity)


def test_a_simulated_device_moves_what_its_model_moves() -> None:
    machine, cost = SimulatedMachine(DPU), block_cost(DPU, BLOCK)
    work = machine.work(FOUND, "x", [BLOCK])
    assert work.traffic_bytes == cost.traffic_bytes
    assert work.latency_ms == pytest.approx(cost.cycles / 200e3, abs=1e-6)


@pytest.mark.parametrize(
    "baseline", [b for b in BASELINES if b.act != "swish"], ids=lambda b: b.name
)
def test_nothing_lies_above_the_roof_of_a_simulated_device(baseline: Baseline) -> None:
    machine = SimulatedMachine(DPU)
    for blocks in (baseline.blocks, *((block,) for block in baseline.blocks)):
        work = machine.work(MNASNET, "x", blocks)
        assert work.gops <= min(roof.gops(work.ops_per_byte) for roof in machine.roofs)


def test_a_roof_rises_to_its_peak() -> None:
    roof = Roof("x", peak_gops=100, gb_s=4)
    assert [roof.gops(x) for x in (1, 25, 50)] == [4, 100, 100]


@pytest.fixture
def shown() -> Roofline:
    machine = SimulatedMachine(DPU)
    by_name = {each.name: each.blocks for each in BASELINES}
    networks = [
        machine.work(V2, V2, by_name[V2]),
        machine.work(V2, "mobilenet-v2-w0.5", by_name["mobilenet-v2-w0.5"]),
        machine.work(MNASNET, MNASNET, by_name[MNASNET]),
        machine.work(FOUND, "front:0", by_name["mobilenet-v3-large"]),
        machine.work(FOUND, "front:1", by_name["proxylessnas-mobile"]),
    ]
    blocks = (machine.work(FOUND, BLOCK.key, [BLOCK]),)
    return Roofline(
        "zu",
        "digits",
        "simulated",
        machine.traffic,
        False,
        machine.roofs,
        tuple(networks),
        blocks,
        (),
    )


def words(path: Path) -> str:
    """What an SVG with outlined letters says: matplotlib keeps each text as a comment."""
    return path.with_suffix(".svg").read_text()


def test_the_picture_shows_roofs_and_ratios(shown: Roofline, tmp_path: Path) -> None:
    png, *_ = save_roofline(shown, tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    for text in ("median of 2", "2 found networks", "MobileNetV2, 2 widths", "peak 460.8 GOPS"):
        assert text in words(png)
    assert "no roof" not in words(png)
    assert f"{shown.group(V2)[0].gops / shown.group(MNASNET)[0].gops:.2f}x MnasNet" in words(png)


def test_where_peaks_are_not_known_no_roof_is_drawn(shown: Roofline, tmp_path: Path) -> None:
    png, *_ = save_roofline(replace(shown, roofs=(), least=True), tmp_path)
    assert "no roof: nobody measured" in words(png)
    assert "OPs/byte, at most" in words(png)
    assert "peak 460.8" not in words(png)


@pytest.mark.parametrize("groups", [(V2, MNASNET), (FOUND,), (V2, FOUND)])
def test_groups_that_are_not_there_leave_the_rest(
    shown: Roofline, groups: tuple[str, ...], tmp_path: Path
) -> None:
    kept = tuple(work for work in shown.networks if work.group in groups)
    png, *_ = save_roofline(replace(shown, networks=kept, blocks=()), tmp_path)
    assert ("found networks" in words(png)) == (FOUND in groups)
    assert ("x MnasNet" in words(png)) == (MNASNET in groups)


def test_the_csv_has_every_network_and_block(shown: Roofline, tmp_path: Path) -> None:
    *_, path = save_roofline(shown, tmp_path)
    with path.open() as file:
        rows = list(csv.DictReader(file))
    works: list[RooflinePoint] = [*shown.networks, *shown.blocks]
    assert [row["what"] for row in rows] == ["network"] * 5 + ["block"]
    for row, work in zip(rows, works, strict=True):
        assert (row["group"], row["name"], int(row["macs"])) == (work.group, work.name, work.macs)
        assert float(row["gops"]) == work.gops
        assert float(row["ops_per_byte"]) == work.ops_per_byte
