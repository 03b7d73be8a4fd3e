import numpy as np
import pytest

from harness.spaces.block import Block
from harness.spaces.catalogue import SPACES
from harness.spaces.cost import CostTable
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.spaces.space import Space


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_a_population_costs_what_its_networks_cost_block_by_block(
    space: Space, rng: np.random.Generator
) -> None:
    genomes = sample(space, 50, rng)
    for cost in (lambda block: block.macs, lambda block: block.params):
        one_by_one = [sum(map(cost, space.blocks(decode(space, row)))) for row in genomes]
        assert CostTable.of(space, cost).total(genomes).tolist() == one_by_one


def test_the_cheapest_network_is_the_cheapest_of_all(rng: np.random.Generator) -> None:
    # Costs without any order in them, also below zero: nothing follows from size.
    prices: dict[Block, float] = {block: rng.normal() for block in DIGITS.distinct_blocks()}

    def cost(block: Block) -> float:
        return float(prices[block])

    table = CostTable.of(DIGITS, cost)
    smallest, row = table.cheapest()
    assert table.total(row[None])[0] == pytest.approx(smallest)
    assert sum(map(cost, DIGITS.blocks(decode(DIGITS, row)))) == pytest.approx(smallest)
    by_hand = []
    for resolution in DIGITS.resolutions:
        total = sum(cost(DIGITS.block(place, (resolution,))) for place in (0, 10, 11, 12))
        for stage in range(3):
            layers = [
                min(
                    cost(DIGITS.block(1 + 3 * stage + layer, (resolution, k, e)))
                    for k in DIGITS.kernels
                    for e in DIGITS.expands
                )
                for layer in range(3)
            ]
            total += min(np.cumsum(layers))
        by_hand.append(total)
    assert smallest == pytest.approx(min(by_hand))
    assert (table.total(sample(DIGITS, 20_000, rng)) >= smallest - 1e-9).all()
