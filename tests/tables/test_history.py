from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from harness.errors import TableError
from harness.spaces.block import Block
from harness.tables.history import History, Point, Series, history
from tests.tables.test_compare import BLOCKS, campaign

SERIES = Series("cpu", "digits", "ms", "{}", of_model=False)
CAMPAIGNS = 12
SEEDS = range(4)


def points(
    seed: int,
    changes: Mapping[Block, tuple[int, float]] | None = None,
    level: tuple[int, float] = (0, 1.0),
    updated: int | None = None,
    count: int = CAMPAIGNS,
) -> list[Point]:
    """Campaigns whose machine is at another level by 2 % and whose blocks differ by 1 %; from a
    campaign on, blocks and the level are what `changes` and `level` say."""
    rng = np.random.default_rng(1000 + seed)
    found = []
    for at in range(count):
        machine = float(np.exp(0.02 * rng.normal())) * (level[1] if at >= level[0] else 1)
        factors: dict[Block, float] = {
            block: machine * float(np.exp(0.01 * rng.normal())) for block in BLOCKS
        }
        for block, (since, factor) in (changes or {}).items():
            factors[block] *= factor if at >= since else 1
        versions = {"runtime": "2" if updated is not None and at >= updated else "1", "os": "6"}
        table = campaign(100 * seed + at, factors=factors, environment=versions)
        seen = {record.blocks[0].key: record.statistics for record in table.records}
        found.append(Point(f"c{at}", f"2026-01-{at + 1:02d}", versions, seen))
    return found


def told(*args: object, **kwargs: object) -> History:
    return history(SERIES, points(*args, **kwargs))  # type: ignore[arg-type]


def test_a_block_that_became_slower_is_found_and_a_shift_of_all_is_none() -> None:
    for seed in SEEDS:
        found = told(seed, {BLOCKS[10]: (7, 1.12)}, level=(4, 1.3), updated=9)
        assert [(step.workload, step.at) for step in found.steps] == [(BLOCKS[10].key, 7)]
        (step,) = found.steps
        assert step.ratio == pytest.approx(1.12, abs=0.03)
        assert not step.changed
        assert not step.newest
        # Each campaign's machine has 2 % of noise: three times that of their ratio.
        assert found.levels[4] / found.levels[3] == pytest.approx(1.3, rel=3 * 0.02 * 2**0.5)


def test_an_update_that_changes_nothing_is_named_and_does_not_count() -> None:
    counted = 0
    for seed in SEEDS:
        found = told(seed, level=(4, 1.3), updated=9)
        assert not found.steps
        (update,) = found.updates
        assert (update.at, update.changed) == (9, {"runtime": ("1", "2")})
        counted += update.counts
    assert counted <= 1


def test_an_update_that_makes_all_slower_counts() -> None:
    for seed in SEEDS:
        (update,) = told(seed, level=(6, 1.2), updated=6).updates
        assert update.counts
        assert update.interval[0] < 1.2 < update.interval[1]


def test_a_step_tells_the_update_that_came_with_it() -> None:
    (step,) = told(0, {BLOCKS[3]: (5, 0.8)}, updated=5).steps
    assert step.changed == {"runtime": ("1", "2")}
    assert step.ratio < 1


def test_a_step_of_the_newest_campaign_is_found_and_said_to_be_seen_once() -> None:
    found = told(1, {BLOCKS[3]: (CAMPAIGNS - 1, 1.2)})
    (step,) = found.steps
    assert step.newest
    assert found.newest_regressions(0.05) == [BLOCKS[3].key]
    assert found.newest_regressions(0.5) == []


def test_one_disturbed_campaign_is_no_step_there_and_back() -> None:
    for seed in SEEDS:
        given = points(seed)
        key = BLOCKS[20].key
        disturbed = {key: given[5].seen[key].scaled(2.0)}
        given[5] = replace(given[5], seen={**given[5].seen, **disturbed})
        assert not history(SERIES, given).steps


def test_two_steps_of_one_block_are_two() -> None:
    given = points(2, {BLOCKS[8]: (4, 1.3)})
    key = BLOCKS[8].key
    for at in range(8, CAMPAIGNS):
        back = {key: given[at].seen[key].scaled(1 / 1.3)}
        given[at] = replace(given[at], seen={**given[at].seen, **back})
    assert sorted(step.at for step in history(SERIES, given).steps) == [4, 8]


def test_two_campaigns_are_enough_and_one_is_not() -> None:
    given = points(0, {BLOCKS[8]: (1, 1.3)}, count=2)
    assert [step.workload for step in history(SERIES, given).steps] == [BLOCKS[8].key]
    with pytest.raises(TableError, match="no history: of 1 campaigns"):
        history(SERIES, given[:1])


def test_blocks_that_were_measured_again_as_they_moved_tell_no_level() -> None:
    """As `measure --refresh` does: only what moved, and few others."""
    given = points(3, count=4)
    moved = frozenset(block.key for block in BLOCKS[:10])
    others = [block.key for block in BLOCKS[10:16]]
    seen = {key: given[3].seen[key].scaled(1.5) for key in moved}
    seen |= {key: given[3].seen[key] for key in others}
    given[3] = replace(given[3], seen=seen, moved=moved)
    found = history(SERIES, given)
    assert found.levels[3] == pytest.approx(1.0, abs=0.1)
    assert {step.workload for step in found.steps} == moved
