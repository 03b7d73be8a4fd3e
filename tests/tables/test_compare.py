import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.errors import TableError
from harness.spaces.block import Block
from harness.spaces.digits import DIGITS
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.tables.compare import Comparison, Moved, compare
from harness.tables.ofa import read_published
from harness.tables.record import Record, Statistics
from harness.tables.table import Table

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
NOTE10 = DATA / "ofa" / "note10"
BLOCKS = DIGITS.distinct_blocks()
TRUTH_NS = dict(zip(BLOCKS, np.geomspace(1e4, 1e6, len(BLOCKS)), strict=True))
SEEDS = range(40)


def campaign(
    seed: int,
    *,
    noise: float = 0.01,
    claimed: float | None = None,
    factors: Mapping[Block, float] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Table:
    """A table of every block; `noise` and what records claim of it are relative sd."""
    rng = np.random.default_rng(seed)
    claimed = noise if claimed is None else claimed
    records = []
    for block, truth_ns in TRUTH_NS.items():
        value = truth_ns * (factors or {}).get(block, 1) * np.exp(noise * rng.normal())
        half = np.exp(claimed * rng.normal())  # the halves' mean is the value
        low, high = value * np.exp(np.array([-1.96, 1.96]) * claimed)
        first, second = round(value * half), round(value / half)
        interval = round(value), round(low), round(high)
        statistics = Statistics(*interval, first, second, None, None, None, 12, 48)
        records.append(Record("block", (block,), None, "latency", "wall", "c", statistics))
    facts = {"started_at": "2026-01-01", "rounds": 12, "environment": dict(environment or {})}
    return Table("cpu", "digits", {"runtime": "torch", "batch": 1}, {"c": facts}, tuple(records))


def everything(factor: float) -> dict[Block, float]:
    return dict.fromkeys(BLOCKS, factor)


@pytest.mark.parametrize("shift", [1.0, 1.34])
@pytest.mark.parametrize(("noise", "claimed"), [(0.01, 0.01), (0.02, 0.003), (0.03, 0.0)])
def test_nothing_is_called_moved_where_nothing_did(
    shift: float, noise: float, claimed: float
) -> None:
    alarms, covered = 0, []
    for seed in SEEDS:
        old = campaign(2 * seed, noise=noise, claimed=claimed)
        new = campaign(2 * seed + 1, noise=noise, claimed=claimed, factors=everything(shift))
        comparison = compare(old, new, "wall")
        alarms += bool(comparison.moved)
        assert comparison.shift == pytest.approx(shift, rel=0.02)
        low, high = comparison.shift_interval
        assert low <= comparison.shift <= high
        covered.append(low <= shift <= high)
    assert alarms <= 1
    assert np.mean(covered) > 0.85


@pytest.mark.parametrize("shift", [1.0, 1.34])
def test_single_blocks_that_moved_are_found_beside_the_shift(shift: float) -> None:
    moves = dict(zip(BLOCKS[::30], (1.1, 1.2, 0.9, 0.8, 1.15), strict=False))
    factors = everything(shift) | {block: shift * move for block, move in moves.items()}
    found, wrong = 0, 0
    for seed in SEEDS:
        comparison = compare(campaign(2 * seed), campaign(2 * seed + 1, factors=factors), "wall")
        assert comparison.shift == pytest.approx(shift, rel=0.01)
        sizes = [abs(np.log(moved.ratio_beyond_shift)) for moved in comparison.moved]
        assert sizes == sorted(sizes, reverse=True)
        for moved in comparison.moved:
            wrong += moved.block not in moves
            found += moved.block in moves
            assert moved.p <= 0.01
            if moved.block in moves:
                assert moved.ratio_beyond_shift == pytest.approx(moves[moved.block], rel=0.06)
                assert moved.ratio == pytest.approx(shift * moves[moved.block], rel=0.06)
    assert found >= 0.97 * len(moves) * len(SEEDS)
    assert wrong <= 0.01 * found


def test_a_block_that_says_it_is_noisy_is_not_called_moved() -> None:
    old, new = campaign(0), campaign(1, factors={BLOCKS[5]: 1.2})
    assert [moved.block for moved in compare(old, new, "wall").moved] == [BLOCKS[5]]
    for change in (wide_interval, halves_apart):
        records = tuple(change(r) if r.blocks == (BLOCKS[5],) else r for r in new.records)
        assert not compare(old, replace(new, records=records), "wall").moved


def wide_interval(record: Record) -> Record:
    high = round(record.statistics.value * 1.5)
    return replace(record, statistics=replace(record.statistics, high=high))


def halves_apart(record: Record) -> Record:
    second = round(record.statistics.value * 1.3)
    return replace(record, statistics=replace(record.statistics, second_half=second))


def test_a_certain_move_that_is_too_small_to_matter_is_left_out() -> None:
    old = campaign(0, noise=0.001)
    small = campaign(1, noise=0.001, factors={BLOCKS[0]: 1.04})
    large = campaign(1, noise=0.001, factors={BLOCKS[0]: 1.06})
    assert not compare(old, small, "wall").moved
    assert len(compare(old, large, "wall").moved) == 1


def test_the_same_tables_give_the_same_comparison_and_turned_round_the_inverse() -> None:
    old, new = campaign(0), campaign(1, factors=everything(1.2) | {BLOCKS[7]: 1.5})
    forth, back = compare(old, new, "wall"), compare(new, old, "wall")
    assert compare(old, new, "wall") == forth
    assert back.shift == pytest.approx(1 / forth.shift)
    assert [m.block for m in back.moved] == [m.block for m in forth.moved]
    assert back.moved[0].p == pytest.approx(forth.moved[0].p)


def comparison(shift: float, low: float, *ratios: float, own: bool = False) -> Comparison:
    moved = tuple(
        Moved(block, 1000, round(1000 * shift * own), own, 0.001)
        for block, own in zip(BLOCKS, ratios, strict=False)
    )
    return Comparison(shift, (low, 2 * shift - low), moved, 100, 0, 0, {}, own)


@pytest.mark.parametrize(
    ("shift", "low", "ratios", "shifted", "slower"),
    [
        (1.0, 0.99, (), False, 0),
        (1.1, 1.09, (), True, 0),
        (1.1, 1.04, (), False, 0),  # the shift is not certain
        (1.0, 0.99, (1.2, 1.1, 0.8), False, 2),
        (0.8, 0.79, (1.2,), False, 0),  # faster in all
        (1.3, 1.29, (0.9, 1.1), True, 1),  # the first did better than the others
    ],
)
def test_regressions_are_of_everything_or_of_blocks(
    shift: float, low: float, ratios: tuple[float, ...], shifted: bool, slower: int
) -> None:
    found = comparison(shift, low, *ratios).regressions(0.05)
    assert found.shifted == shifted
    assert len(found.blocks) == slower
    assert bool(found) == (shifted or slower > 0)


@pytest.mark.parametrize(
    ("shift", "ratios", "slower"),
    [
        (1.3, (), 0),
        (1.3, (1.04, 0.9), 0),  # 1.35 times as long, and 1.04 times with the machine as it was
        (1.3, (1.06,), 1),
        (0.7, (1.06,), 1),  # a fast day hides nothing
    ],
)
def test_a_machine_at_another_speed_is_no_regression_and_blocks_are_judged_beyond_it(
    shift: float, ratios: tuple[float, ...], slower: int
) -> None:
    found = comparison(shift, shift - 0.01, *ratios, own=True).regressions(0.05)
    assert not found.shifted
    assert len(found.blocks) == slower


V1 = {"os": "6.1", "torch": "2.6", "serial": "a", "processors": "[1]"}


@pytest.mark.parametrize(
    ("old", "new", "own", "because"),
    [
        (V1, V1, True, "the level of the machine on that day, and no regression"),
        (V1, V1 | {"serial": "b", "processors": "[3]"}, True, "no regression"),
        (V1 | {"gpu_uuid": "GPU-1"}, V1 | {"gpu_uuid": "GPU-2"}, True, "no regression"),
        (V1, V1 | {"torch": "2.7"}, False, "this may come from another torch, and counts"),
        (V1, {"os": "6.1"}, False, "this may come from another torch, and counts"),
        ({}, {}, False, "nothing tells that only the machine's speed changed"),
    ],
)
def test_a_shift_is_the_machines_own_where_the_versions_are_known_to_be_the_same(
    old: dict[str, str], new: dict[str, str], own: bool, because: str
) -> None:
    before = campaign(0, environment=old)
    after = campaign(1, environment=new, factors=everything(1.1))
    found = compare(before, after, "wall")
    assert found.machines_own == own
    assert because in found.why_shifted()
    assert bool(found.regressions(0.05)) == (not own)
    assert found.shift == pytest.approx(1.1, rel=0.01)


def test_no_machine_was_slower_where_all_was_simulated() -> None:
    before, after = campaign(0, environment=V1), campaign(1, environment=V1)
    facts = after.campaigns["c"] | {"simulated": "simulated, by a model"}
    assert compare(before, after, "wall").machines_own
    assert not compare(before, replace(after, campaigns={"c": facts}), "wall").machines_own


def test_blocks_of_one_table_only_are_counted() -> None:
    old, new = campaign(0), campaign(1)
    old = replace(old, records=old.records[3:])
    new = replace(new, records=new.records[:-5])
    found = compare(old, new, "wall")
    assert (found.only_old, found.only_new, found.compared) == (5, 3, len(BLOCKS) - 8)


def test_what_differs_in_the_environment_is_named() -> None:
    old = campaign(0, environment={"os": "13", "torch": "2.6", "serial": "a"})
    new = campaign(1, environment={"os": "14", "torch": "2.6", "driver": "7"})
    differences = {"os": ("13", "14"), "serial": ("a", None), "driver": (None, "7")}
    assert compare(old, new, "wall").environment == differences


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"space": "other"}, "space is 'digits' in one table, 'other' in the other"),
        ({"identity": {"runtime": "torch", "batch": 8}}, "batch is 1 in one table, 8 in"),
        ({"identity": {"runtime": "torch"}}, "batch is 1 in one table, None in"),
        ({"records": ()}, "no blocks"),
    ],
)
def test_tables_that_cannot_be_compared_are_refused(change: dict[str, Any], named: str) -> None:
    with pytest.raises(TableError, match=named):
        compare(campaign(0), replace(campaign(1), **change), "wall")


def test_a_clock_that_a_table_lacks_is_an_error() -> None:
    with pytest.raises(TableError, match="no block in common on the thread clock"):
        compare(campaign(0), campaign(1), "thread")


@pytest.mark.skipif(not NOTE10.exists(), reason=f"no {NOTE10} (set HARNESS_DATA)")
def test_reference_blocks_that_two_resolutions_share_did_not_move() -> None:
    # The same phone timed them twice: differences are noise, the largest is 0.7 %.
    old, new = (
        read_published([NOTE10 / f"{size}.yaml"], OFA_MBV3_W1_2, "note10", "published").table
        for size in (220, 224)
    )
    found = compare(old, new, "wall")
    assert found.compared > 50
    assert found.shift == pytest.approx(1, abs=0.01)
    assert not found.moved
    assert not found.regressions(0.03)
