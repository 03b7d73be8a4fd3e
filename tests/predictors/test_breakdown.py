import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TableError
from harness.predictors.block_table import BlockTablePredictor
from harness.predictors.breakdown import Network, break_down, shares
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0
from tests.tables.test_calibration import energy_table, made_table


def test_parts_sum_up_to_what_the_tables_predict(rng: np.random.Generator) -> None:
    latency, energy = made_table(rng, 0), energy_table(rng)
    genomes = sample(DIGITS, 3, rng)
    networks = [
        Network(str(calls), DIGITS.blocks(decode(DIGITS, genome)), calls)
        for calls, genome in enumerate(genomes, start=1)
    ]
    parts = break_down(networks, latency, energy)
    predicted_ms = BlockTablePredictor.from_table(latency, DIGITS, "wall").predict(genomes)
    predicted_mj = BlockTablePredictor.from_table(energy, DIGITS, "net").predict(genomes)
    for network, ms, mj in zip(networks, predicted_ms, predicted_mj, strict=True):
        own = [part for part in parts if part.network == network.name]
        assert [part.place for part in own] == list(range(len(network.blocks) + 1))
        assert sum(part.latency_ms for part in own) == pytest.approx(network.calls * ms)
        assert sum(part.energy_mj or 0 for part in own) == pytest.approx(network.calls * mj)


def test_without_an_energy_table_energies_are_unknown_not_zero(rng: np.random.Generator) -> None:
    blocks = DIGITS.blocks(decode(DIGITS, sample(DIGITS, 1, rng)[0]))
    parts = break_down([Network("a", blocks)], made_table(rng, 0))
    assert {part.energy_mj for part in parts} == {None}


def test_a_block_that_the_table_lacks_is_named(rng: np.random.Generator) -> None:
    block = OFA_MBV3_W1_0.distinct_blocks()[0]
    with pytest.raises(TableError, match=block.key):
        break_down([Network("a", (block,))], made_table(rng, 0))


@given(st.lists(st.floats(-1, 1e3), min_size=2, max_size=40))
def test_no_share_is_below_zero_and_their_sum_is_the_networks(parts: list[float]) -> None:
    found = shares(parts)
    assert all(part >= 0 for part in found)
    if sum(parts) > 0:
        assert sum(found) == pytest.approx(sum(parts), rel=1e-9, abs=1e-9)


def test_a_block_that_cannot_run_takes_for_ever_and_the_others_what_they_take() -> None:
    assert shares([math.inf, 2.0, -1.0]) == [math.inf, 2.0, 0.0]
