"""Blocks that nobody visited, filled in from others."""

import os
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from harness.errors import TableError
from harness.spaces.block import Block
from harness.spaces.demands import ASSUMED
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.tables import filling
from harness.tables.filling import Choice, Filled, choose, fill
from harness.tables.ofa import read_published
from harness.tables.record import Statistics
from harness.tables.table import Table
from tests.tables.test_calibration import made_table

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
NOTE10 = DATA / "ofa" / "note10"
SPACE = OFA_MBV3_W1_2.at((160, 192, 224))


def of_a_phone() -> dict[Block, float]:
    """What each block took on the authors' phone, ns."""
    if not NOTE10.exists():
        pytest.skip(f"no published tables in {NOTE10} (set HARNESS_DATA)")
    return read_published([NOTE10], SPACE, "note10", "published").table.block_values("wall")


def filled_from(choice: Choice, times: dict[Block, float]) -> dict[Block, Filled]:
    return fill(tuple((block, times[block]) for block in choice.visited), choice.left_out)


@pytest.mark.parametrize("most", [0.015, 0.0075])
def test_reference_networks_are_off_by_what_was_expected_and_blocks_within_their_intervals(
    most: float,
) -> None:
    times, choice = of_a_phone(), choose(SPACE, most)
    assert len(choice.visited) < len(times) / 3
    assert choice.error <= most
    filled = filled_from(choice, times)
    drawn = sample(SPACE, 200, np.random.default_rng(11))
    networks = [SPACE.blocks(decode(SPACE, genome)) for genome in drawn]
    told = {block: filled[block].value if block in filled else times[block] for block in times}
    ratios = [
        sum(told[block] for block in network) / sum(times[block] for block in network)
        for network in networks
    ]
    # One device is one draw of what was expected; calibration takes out what all have in common.
    assert np.std(np.log(ratios)) <= 1.5 * choice.error
    held = [
        abs(log(filled[block].value / times[block])) <= filled[block].log_error for block in filled
    ]
    assert np.sum(held) >= binom.ppf(0.01, len(held), 0.95)


def test_more_is_visited_for_less_error_and_small_spaces_whole() -> None:
    coarse, fine = choose(SPACE, 0.015), choose(SPACE, 0.005)
    assert set(coarse.visited) < set(fine.visited)  # what a quick table has is not chosen otherwise
    for choice in (coarse, fine):
        assert {*choice.visited, *choice.left_out} == set(SPACE.distinct_blocks())
    assert choose(SPACE, 0.0) == Choice(SPACE.distinct_blocks(), (), 0.0)
    assert choose(DIGITS, 0.015).left_out == ()


def test_too_few_visited_blocks_fill_in_nothing() -> None:
    blocks = SPACE.distinct_blocks()
    assert fill(tuple((block, 1e6) for block in blocks[:5]), blocks[5:]) == {}


def smooth_table() -> Table:
    """Blocks of a device that needs so long for each kernel, MAC and number moved."""
    table = made_table(np.random.default_rng(0), 0.0)
    costs = np.array([*ASSUMED.launch, *ASSUMED.work]) * np.array([900] * 3 + [1] * 6)
    records = []
    for record in table.records:
        ns = round(sum(float(ASSUMED.demands(block) @ costs) for block in record.blocks))
        numbers = dict.fromkeys(Statistics.__dataclass_fields__, ns)
        records.append(replace(record, statistics=Statistics(**numbers)))
    facts = {"c": table.campaigns["c"] | {"environment": {}}}
    return replace(table, campaigns=facts, records=tuple(records))


def partly(table: Table, monkeypatch: pytest.MonkeyPatch) -> tuple[Table, Choice]:
    """The table with some of its blocks left out."""
    monkeypatch.setattr(filling, "FEWEST", 0)
    choice = choose(DIGITS, 0.015)
    (name,) = table.campaigns
    left_out = {"left_out": [block.key for block in choice.left_out]}
    kept = [r for r in table.records if r.role != "block" or r.blocks[0] in choice.visited]
    facts = {name: table.campaigns[name] | left_out}
    return replace(table, campaigns=facts, records=tuple(kept)), choice


def test_a_table_tells_filled_blocks_until_somebody_visits_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = smooth_table()
    table, choice = partly(whole, monkeypatch)
    assert choice.left_out
    table.save(tmp_path / "t.jsonl")
    table = Table.load(tmp_path / "t.jsonl")
    filled = table.filled(table.clock)
    assert set(filled) == set(choice.left_out)
    assert set(table.blocks(table.clock)) == set(choice.visited)
    values = table.block_values(table.clock)
    assert set(values) == set(DIGITS.distinct_blocks())
    true = whole.block_values(whole.clock)
    off = [abs(log(values[block] / true[block])) for block in choice.left_out]
    assert np.median(off) < 0.05
    visited = [replace(record, campaign="later") for record in whole.records]
    again = table.with_campaign("later", whole.campaigns["c"], visited)
    assert not again.filled(again.clock)
    assert again.block_values(again.clock) == true


def test_a_header_that_leaves_out_what_is_no_block_is_refused(tmp_path: Path) -> None:
    table = smooth_table()
    (name,) = table.campaigns
    facts = {name: table.campaigns[name] | {"left_out": ["no block"]}}
    replace(table, campaigns=facts).save(tmp_path / "t.jsonl")
    with pytest.raises(TableError, match="lists as left out: not a block: 'no block'"):
        Table.load(tmp_path / "t.jsonl")
