from dataclasses import replace

import numpy as np
import pytest

from harness.errors import TableError
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.tables.calibration import Sums, calibrate, fit, stage_of
from harness.tables.end_to_end import end_to_end_error, spearman
from harness.tables.record import Record, Statistics
from harness.tables.table import Table


def networks_of(rng: np.random.Generator, count: int) -> Sums:
    blocks = rng.integers(6, 13, count).astype(float)
    return one_stage(blocks * rng.uniform(10_000, 40_000, count), blocks)


def one_stage(block_ns: np.ndarray, blocks: np.ndarray) -> Sums:
    return Sums(("other",), block_ns[:, None], blocks, 1e5 * blocks)


@pytest.mark.parametrize(
    ("scale", "per_block", "offset"),
    [(1.0, -6_000.0, 5_000.0), (1.3, 0.0, 0.0), (0.8, 2_000.0, -8_000.0)],
)
def test_what_ten_anchors_follow_is_found(
    rng: np.random.Generator, scale: float, per_block: float, offset: float
) -> None:
    def truth(sums: Sums) -> np.ndarray:
        return scale * sums.total + per_block * sums.blocks + offset

    anchors, others = networks_of(rng, 10), networks_of(rng, 50)
    predicted = fit(anchors, truth(anchors)).network(others)
    assert np.abs(predicted / truth(others) - 1).max() < 0.02


def test_noise_on_the_anchors_does_not_blow_up_predictions(rng: np.random.Generator) -> None:
    # All anchors nearly alike: an unrestrained fit of three numbers would follow the noise.
    blocks = np.full(10, 9.0)
    anchors = one_stage(200_000 + rng.normal(0, 500, 10), blocks)
    measured = anchors.total * rng.normal(1, 0.02, 10)
    wide = one_stage(np.array([100_000.0, 400_000.0]), np.array([6.0, 12.0]))
    assert np.abs(fit(anchors, measured).network(wide) / wide.total - 1).max() < 0.1


@pytest.mark.parametrize("fast", [0.6, 0.73, 1.6])
def test_one_anchor_at_another_speed_does_not_spoil_the_others(
    rng: np.random.Generator, fast: float
) -> None:
    anchors, others = networks_of(rng, 20), networks_of(rng, 50)
    measured = 1.07 * anchors.total * rng.normal(1, 0.01, 20)
    measured[int(anchors.total.argmax())] *= fast
    predicted = fit(anchors, measured).network(others)
    assert np.abs(predicted / (1.07 * others.total) - 1).max() < 0.05


def test_anchors_that_fall_as_their_sums_rise_are_refused() -> None:
    sums = one_stage(np.linspace(1e5, 1e6, 10), np.full(10, 9.0))
    with pytest.raises(TableError, match="calibration failed"):
        fit(sums, np.linspace(1e6, 1e5, 10))


def test_what_it_costs_to_fetch_weights_is_found(rng: np.random.Generator) -> None:
    def networks(count: int) -> Sums:
        sums = networks_of(rng, count)
        return replace(sums, params=rng.uniform(1e6, 6e6, count))

    def truth(sums: Sums) -> np.ndarray:
        return sums.total + 0.01 * sums.params

    anchors, others = networks(20), networks(50)
    predicted = fit(anchors, truth(anchors)).network(others)
    assert np.abs(predicted / truth(others) - 1).max() < 0.03


def test_from_twenty_anchors_on_each_stage_has_its_own_scale(rng: np.random.Generator) -> None:
    own = np.array([0.9, 1.0, 1.15])

    def networks(count: int) -> Sums:
        alone = rng.uniform(50_000, 400_000, (count, 3))
        return Sums(("a", "b", "c"), alone, np.full(count, 9.0), np.full(count, 1e6))

    def worst(anchors: int) -> float:
        given, others = networks(anchors), networks(50)
        calibration = fit(given, given.stage_values @ own * rng.normal(1, 0.005, anchors))
        assert bool(calibration.scales) == (anchors >= 20)
        return float(np.abs(calibration.network(others) / (others.stage_values @ own) - 1).max())

    assert worst(20) < 0.02 < worst(19)


def test_stages_are_told_by_their_output_width() -> None:
    stages = {stage_of(block) for block in DIGITS.distinct_blocks()}
    assert stages == {"other", *(f"mbconv-o{stage.width}" for stage in DIGITS.stages)}


def test_spearman_is_the_correlation_of_mean_ranks(rng: np.random.Generator) -> None:
    from scipy.stats import spearmanr

    for _ in range(20):
        a = rng.integers(0, 6, 30).astype(float)
        b = a + rng.integers(0, 6, 30).astype(float)
        assert spearman(a, b) == pytest.approx(spearmanr(a, b).statistic)
    assert spearman(np.ones(3), np.arange(3.0)) == 0


def energy_table(rng: np.random.Generator) -> Table:
    """The same numbers as energies, less what idling takes."""
    table = made_table(rng, 0)
    records = tuple(replace(each, quantity="energy", clock="net") for each in table.records)
    identity = {"clock": "net", "meter": "made"}
    return replace(table, identity=identity, quantity="energy", records=records)


def made_table(rng: np.random.Generator, noise: float) -> Table:
    """A table whose networks are 1.1 times their sums, with noise between the halves."""
    times = {block: int(rng.integers(10_000, 90_000)) for block in DIGITS.distinct_blocks()}
    records = [record("block", (block,), ns, 0.0, rng) for block, ns in times.items()]
    for role, count in (("anchor", 10), ("holdout", 40)):
        for genome in sample(DIGITS, count, rng):
            arch = decode(DIGITS, genome)
            blocks = DIGITS.blocks(arch)
            total = 1.1 * sum(times[block] for block in blocks)
            records.append(replace(record(role, blocks, total, noise, rng), arch=arch))
    facts = {"c": {"rounds": 5, "started_at": "2026-01-01"}}
    return Table("x", "digits", {}, facts, tuple(records))


def record(role: str, blocks: tuple, ns: float, noise: float, rng: np.random.Generator) -> Record:
    first, second = (round(ns * (1 + noise * rng.normal())) for _ in range(2))
    numbers = dict.fromkeys(Statistics.__dataclass_fields__, round(ns))
    numbers |= {"first_half": first, "second_half": second}
    return Record(role, blocks, None, "latency", "wall", "c", Statistics(**numbers))


def test_the_error_of_a_perfect_table_is_none_and_its_floor_shows_the_noise(
    rng: np.random.Generator,
) -> None:
    error = end_to_end_error(made_table(rng, noise=0.05), "wall")
    assert error.networks == 40
    assert error.within_5 == error.within_10 == 1
    assert error.mape < 0.01
    assert error.spearman > 0.999
    assert 0.02 < error.floor_mape < 0.12
    assert error.floor_within_5 < 0.9


def test_a_missing_block_is_named(rng: np.random.Generator) -> None:
    table = made_table(rng, 0)
    block = table.select("anchor", "wall", "c")[0].blocks[0]
    records = tuple(r for r in table.records if r.blocks != (block,))
    with pytest.raises(TableError, match=block.key):
        calibrate(Table("x", "digits", {}, table.campaigns, records), "wall", "c")


def test_too_few_anchors_are_an_error(rng: np.random.Generator) -> None:
    table = made_table(rng, 0)
    with pytest.raises(TableError, match="fewer than 3 anchor"):
        calibrate(table, "wall", "another")


def test_an_imported_table_is_taken_as_it_is(rng: np.random.Generator) -> None:
    table = replace(made_table(rng, 0), source="somewhere")
    assert calibrate(table, "wall").anchors == 0
    with pytest.raises(TableError, match="imported"):
        end_to_end_error(table, "wall")
