import csv
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import TableError
from harness.predictors.few_shot import fit
from harness.spaces.arch import Arch
from harness.spaces.cost import CostTable
from harness.spaces.demands import ASSUMED, Assumptions, demands
from harness.spaces.digits import DIGITS
from harness.spaces.genome import Genomes, decode, encode, sample
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.spaces.space import Space
from harness.tables.ofa import read_published

Floats = npt.NDArray[np.float64]
DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
GPU_FILES = sorted(DATA.glob("ofa_gpu/*.csv"))
NOTE10 = DATA / "ofa" / "note10"
# Their measurements are off by more than 10 % for about a fifth of the networks: a model of 2000
# networks leaves as many unexplained (python benchmarks/gpu_few_shot.py --networks 2000).
NOISE_LIMITED = {"2080ti_1", "2080ti_32", "titan_xp_1"}
SMALL = replace(OFA_MBV3_W1_2, resolutions=(128, 176, 224))


@dataclass(frozen=True)
class MadeUpDevice:
    """It launches and works exactly; what a cost is, nobody was told."""

    launch_us: float  # of one kernel
    work_us: float  # of moving a million float32
    costs: tuple[float, ...] = (1.3, 0.7, 1.2, 0.6, 1.5, 1.0, 0.8, 1.1, 1.4)  # times the assumed

    def predict(self, space: Space, genomes: Genomes) -> Floats:
        launch_ms = np.array(ASSUMED.launch) * self.costs[:3] * self.launch_us / 1e3
        work_ms = np.array(ASSUMED.work) * self.costs[3:] * self.work_us / 1e9
        launch = CostTable.of(space, lambda block: float(demands(block)[:3] @ launch_ms))
        work = CostTable.of(space, lambda block: float(demands(block)[3:] @ work_ms))
        return np.maximum(launch.total(genomes), work.total(genomes))


DEVICES = {
    "bound by launches": MadeUpDevice(10, 10),
    "bound by work": MadeUpDevice(0.1, 5000),
    "between the two": MadeUpDevice(35, 150),
}


@pytest.mark.parametrize("device", DEVICES.values(), ids=DEVICES)
def test_thirty_networks_reveal_a_device_that_launches_and_works(device: MadeUpDevice) -> None:
    rng = np.random.default_rng(1)
    genomes = sample(SMALL, 1030, rng)
    measured_ms = device.predict(SMALL, genomes) * rng.normal(1, 0.01, len(genomes))
    predictor = fit(SMALL, genomes[:30], measured_ms[:30])
    errors = np.abs(predictor.predict(genomes[30:]) / measured_ms[30:] - 1)
    # Where both take about as long, the smooth maximum lies above the longer.
    assert np.mean(errors <= 0.05) > 0.9
    assert np.mean(errors <= 0.10) > 0.97
    error = predictor.statements["full"].relative_error
    assert error is not None
    assert error < 0.12
    assert predictor.networks == 30


def test_the_device_between_is_bound_by_launches_here_and_by_work_there() -> None:
    genomes = sample(SMALL, 200, np.random.default_rng(1))
    latency_ms = DEVICES["between the two"].predict(SMALL, genomes)
    work_ms = MadeUpDevice(0, 150).predict(SMALL, genomes)
    assert 0.2 < np.mean(latency_ms == work_ms) < 0.8


def test_one_slow_measurement_in_eight_changes_little(rng: np.random.Generator) -> None:
    genomes = sample(SMALL, 1040, rng)
    latency_ms = DEVICES["between the two"].predict(SMALL, genomes)
    measured_ms = latency_ms[:40] * rng.normal(1, 0.01, 40)
    measured_ms[::8] *= 1.4
    predictor = fit(SMALL, genomes[:40], measured_ms)
    errors = np.abs(predictor.predict(genomes[40:]) / latency_ms[40:] - 1)
    assert np.mean(errors <= 0.05) > 0.95
    error = predictor.statements["full"].relative_error
    assert error is not None
    assert error > 0.2, "what was measured so slow must show"


@settings(max_examples=6)
@given(unit=st.floats(1e-3, 1e3), seed=st.integers(0, 1000))
def test_a_device_twice_as_slow_is_predicted_twice_as_slow(unit: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    genomes = sample(DIGITS, 40, rng)
    measured_ms = rng.lognormal(0, 0.3, 12)
    once, scaled = (fit(DIGITS, genomes[:12], measured_ms * factor) for factor in (1, unit))
    expected = once.predict(genomes) * unit
    assert scaled.predict(genomes) == pytest.approx(expected, rel=0.02)


def test_a_population_is_predicted_as_each_network_alone_and_the_same_each_time(
    rng: np.random.Generator,
) -> None:
    genomes = sample(DIGITS, 300, rng)
    measured_ms = rng.lognormal(0, 0.3, 12)
    first, again = (fit(DIGITS, genomes[:12], measured_ms) for _ in range(2))
    together = first.predict(genomes)
    assert together.shape == (300,)
    assert (together > 0).all()
    assert (together == again.predict(genomes)).all()
    assert together[:9] == pytest.approx([first.predict(row[None])[0] for row in genomes[:9]])


def test_the_smallest_latency_is_that_of_the_network_named(rng: np.random.Generator) -> None:
    for device in DEVICES.values():
        genomes = sample(SMALL, 2000, rng)
        predictor = fit(SMALL, genomes[:20], device.predict(SMALL, genomes[:20]))
        smallest_ms, genome = predictor.smallest()
        assert predictor.predict(genome[None])[0] == smallest_ms
        assert (predictor.predict(genomes) >= smallest_ms - 1e-12).all()


@pytest.mark.parametrize("space", [DIGITS, SMALL], ids=lambda space: space.name)
def test_every_mac_of_a_block_is_counted_once_and_no_demand_is_negative(space: Space) -> None:
    for block in space.distinct_blocks():
        counted = demands(block)
        assert counted[3:7].sum() == block.macs
        assert (counted >= 0).all()
        assert counted[0] > 0


@pytest.mark.parametrize("latency_ms", [0.0, -1.0, float("nan"), float("inf")])
def test_a_senseless_latency_is_one_clear_error(latency_ms: float) -> None:
    genomes = sample(DIGITS, 12, np.random.default_rng(0))
    measured_ms = np.ones(12)
    measured_ms[3] = latency_ms
    with pytest.raises(TableError, match="network 3 of those measured has a latency of"):
        fit(DIGITS, genomes, measured_ms)


def test_too_few_networks_or_latencies_are_one_clear_error() -> None:
    genomes = sample(DIGITS, 12, np.random.default_rng(0))
    with pytest.raises(TableError, match="9 measured networks are too few: 10 are needed"):
        fit(DIGITS, genomes[:9], np.ones(9))
    with pytest.raises(TableError, match="12 networks, but 11 latencies"):
        fit(DIGITS, genomes, np.ones(11))


def test_equal_latencies_are_fitted_too() -> None:
    genomes = sample(DIGITS, 12, np.random.default_rng(0))
    predictor = fit(DIGITS, genomes, np.ones(12), Assumptions(launch=(1, 1, 1)))
    assert np.isfinite(predictor.predict(genomes)).all()


def gpu_settings() -> Iterator[tuple[str, Space, Genomes, Floats]]:
    """Every setting of the published measurements: name, space, networks, ms."""
    for path in GPU_FILES:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        resolutions = tuple(sorted({int(row["resolution"]) for row in rows}))
        space = replace(OFA_MBV3_W1_2, resolutions=resolutions)
        parts = [
            [tuple(map(int, row[name].split("-"))) for name in ("depths", "kernels", "expands")]
            for row in rows
        ]
        archs = [Arch(int(row["resolution"]), *p) for row, p in zip(rows, parts, strict=True)]
        genomes = encode(space, archs)
        for column in (name for name in rows[0] if name.endswith("_ms")):
            latency_ms = np.array([float(row[column]) for row in rows])
            yield column.removesuffix("_ms"), space, genomes, latency_ms


@pytest.mark.skipif(not GPU_FILES, reason=f"no ofa_gpu/*.csv below {DATA} (set HARNESS_DATA)")
def test_reference_gpus_are_predicted_from_fifty_networks() -> None:
    held = []
    for name, space, genomes, latency_ms in gpu_settings():
        chosen, held_out = np.split(np.random.default_rng(11).permutation(len(genomes)), [50])
        predictor = fit(space, genomes[chosen], latency_ms[chosen])
        ratios = predictor.predict(genomes[held_out]) / latency_ms[held_out]
        errors = np.abs(ratios - 1)
        stated = predictor.statements["full"].log_error
        assert stated is not None
        held.append(np.mean(np.abs(np.log(ratios)) <= stated))
        if name not in NOISE_LIMITED:
            assert np.mean(errors <= 0.10) >= 0.85, name
    assert 0.92 <= np.mean(held) <= 0.98


@pytest.mark.skipif(not NOTE10.is_dir(), reason=f"no {NOTE10} (set HARNESS_DATA)")
def test_reference_phone_is_predicted_from_twenty_networks() -> None:
    """Sums over a published table: they tell whether the form fits a phone, without its noise."""
    imported = read_published([NOTE10], OFA_MBV3_W1_2, "note10", "published")
    times = {record.blocks[0]: record.statistics.value for record in imported.table.records}
    known = [
        resolution
        for resolution in OFA_MBV3_W1_2.resolutions
        if set(OFA_MBV3_W1_2.distinct_blocks((resolution,))) <= times.keys()
    ]
    space = replace(OFA_MBV3_W1_2, resolutions=tuple(known))
    genomes = sample(space, 1020, np.random.default_rng(1))
    latency_ms = CostTable.of(space, lambda block: times[block]).total(genomes) / 1e6
    predictor = fit(space, genomes[:20], latency_ms[:20])
    errors = np.abs(predictor.predict(genomes[20:]) / latency_ms[20:] - 1)
    assert np.mean(errors <= 0.05) > 0.95
    assert decode(space, predictor.smallest()[1]).depths == (2, 2, 2, 2, 2)
