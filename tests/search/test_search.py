import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InfeasibleConstraint
from harness.search.archive import search_front
from harness.search.evolution import evolve
from harness.search.objectives import Objectives
from harness.search.pareto import front, spread
from harness.search.variation import cross, mutate
from harness.spaces.cost import CostTable
from harness.spaces.digits import DIGITS
from harness.spaces.genome import Genomes, canonical, one_hot, sample

numbers = st.integers(0, 5).map(float)


@given(st.lists(st.tuples(numbers, numbers), min_size=1))
def test_the_front_is_what_nothing_beats(points: list[tuple[float, float]]) -> None:
    cost, quality = np.array(points).T
    chosen = front(cost, quality).tolist()
    for row in range(len(points)):
        beaten = any(
            cost[o] <= cost[row]
            and quality[o] >= quality[row]
            and (cost[o] < cost[row] or quality[o] > quality[row] or o < row)
            for o in range(len(points))
            if o != row
        )
        assert (row in chosen) == (not beaten)
    assert (np.diff(cost[chosen]) > 0).all()
    assert (np.diff(quality[chosen]) > 0).all()


@given(st.lists(st.floats(0.01, 100), min_size=1, unique=True), st.integers(2, 12))
def test_a_spread_keeps_both_ends_and_repeats_nothing(costs: list[float], count: int) -> None:
    cost = np.sort(costs)
    chosen = spread(cost, count).tolist()
    assert len(chosen) == len(set(chosen)) == min(count, len(cost))
    assert {0, len(cost) - 1} <= set(chosen)
    assert chosen == sorted(chosen)


def objectives(noise: float = 0.3) -> Objectives:
    """MACs as latency, and an accuracy that mostly but not always grows with them."""
    costs = CostTable.of(DIGITS, lambda block: block.macs / 1e6)
    effects = np.concatenate([np.tile([0.0, 0.7, 1.0], 18), [0.0, 0.5, 0.8]])
    effects += np.random.default_rng(1).normal(0, noise, len(effects))

    def accuracy(genomes: Genomes) -> np.ndarray:
        return np.asarray(one_hot(DIGITS, genomes) @ effects)

    return Objectives(DIGITS, costs.total, accuracy, *costs.cheapest())


def best_by_brute_force(given_objectives: Objectives, max_latency_ms: float, draws: int) -> float:
    rows = sample(DIGITS, draws, np.random.default_rng(9))
    allowed = rows[given_objectives.latency_ms(rows) <= max_latency_ms]
    return float(given_objectives.accuracy(allowed).max())


def test_the_front_search_beats_fifty_times_as_many_random_networks_everywhere() -> None:
    given_objectives = objectives()
    found = search_front(given_objectives, 20_000, seed=1)
    for limit in (0.2, 0.4, 0.8, 1.2):
        reached = found.accuracy[found.latency_ms <= limit].max()
        assert reached >= best_by_brute_force(given_objectives, limit, 1_000_000 // 4)


def test_the_front_rises_starts_at_the_smallest_network_and_tells_the_truth() -> None:
    given_objectives = objectives()
    found = search_front(given_objectives, 5_000, seed=2)
    assert (np.diff(found.latency_ms) > 0).all()
    assert (np.diff(found.accuracy) > 0).all()
    assert found.latency_ms[0] == pytest.approx(given_objectives.smallest_ms)
    assert np.allclose(given_objectives.latency_ms(found.genomes), found.latency_ms)
    assert np.allclose(given_objectives.accuracy(found.genomes), found.accuracy)


def test_more_evaluations_make_the_front_no_worse() -> None:
    given_objectives = objectives()
    areas = []
    for evaluations in (1_000, 30_000):
        found = search_front(given_objectives, evaluations, seed=4)
        at = [found.accuracy[found.latency_ms <= limit].max() for limit in (0.3, 0.6, 1.0)]
        areas.append(np.mean(at))
    assert areas[1] >= areas[0]


def test_the_same_seed_finds_the_same() -> None:
    first, again, other = (search_front(objectives(), 3_000, seed=s) for s in (1, 1, 2))
    assert (first.genomes == again.genomes).all()
    assert first.genomes.shape != other.genomes.shape or (first.genomes != other.genomes).any()
    best = [evolve(objectives(), 0.5, generations=5, seed=s).genomes for s in (1, 1)]
    assert (best[0] == best[1]).all()


@pytest.mark.parametrize("limit", [0.1, 0.25, 0.6, 2.0])
def test_evolution_meets_the_constraint_and_beats_random_networks(limit: float) -> None:
    given_objectives = objectives()
    found = evolve(given_objectives, limit, seed=3)
    assert found.latency_ms[0] <= limit
    assert found.accuracy[0] >= best_by_brute_force(given_objectives, limit, 20_000)


def test_a_constraint_only_the_smallest_network_meets_gives_that_network() -> None:
    given_objectives = objectives()
    found = evolve(given_objectives, given_objectives.smallest_ms, generations=3)
    assert (found.genomes[0] == given_objectives.smallest).all()


@pytest.mark.parametrize("smallest_ms", [0.0088412345, 0.99999, 1.0, 12.3456, 100.0])
def test_an_infeasible_constraint_names_a_latency_that_can_be_met(smallest_ms: float) -> None:
    given_objectives = replace(objectives(), smallest_ms=smallest_ms)
    with pytest.raises(InfeasibleConstraint, match="smallest achievable latency") as raised:
        evolve(given_objectives, 0.001)
    named = float(str(raised.value).split()[-2])
    assert smallest_ms <= named <= 1.001 * smallest_ms
    given_objectives.check_feasible(named)


def test_children_are_networks_of_the_space_made_from_their_parents(
    rng: np.random.Generator,
) -> None:
    mothers, fathers = sample(DIGITS, 200, rng), sample(DIGITS, 200, rng)
    mutants = mutate(DIGITS, mothers, rng)
    crossed = cross(DIGITS, mothers, fathers, rng)
    for children in (mutants, crossed):
        assert (canonical(DIGITS, children) == children).all()
    depth_columns = slice(1, 4)
    either = (crossed == mothers) | (crossed == fathers)
    assert either[:, depth_columns].all()
    changed = (mutants[:, 1:4] != mothers[:, 1:4]).mean()
    assert 0.03 < changed < 0.2


def test_one_search_for_the_front_serves_every_constraint_as_well_as_one_search_each() -> None:
    given_objectives = objectives()
    found = search_front(given_objectives, 50_000, seed=1)
    gaps = [
        found.accuracy[found.latency_ms <= limit].max()
        - evolve(given_objectives, limit, seed=seed).accuracy[0]
        for limit, seed in itertools.product((0.3, 0.6, 1.0), range(3))
    ]
    assert np.mean(gaps) > -0.1
