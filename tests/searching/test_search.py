from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import InfeasibleConstraint, PredictorError
from harness.searching.archive import search_front
from harness.searching.objectives import Cost, Limit, Objectives
from harness.searching.pareto import front, front_of_three, spread
from harness.searching.variation import children
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
    chosen = spread(cost[:, None], count).tolist()
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

    return Objectives(DIGITS, accuracy, Cost("latency", "ms", costs.total, *costs.cheapest()))


def best_by_brute_force(given_objectives: Objectives, max_latency_ms: float, draws: int) -> float:
    rows = sample(DIGITS, draws, np.random.default_rng(9))
    allowed = rows[given_objectives.cost.of(rows) <= max_latency_ms]
    return float(given_objectives.accuracy(allowed).max())


def test_the_front_search_beats_fifty_times_as_many_random_networks_everywhere() -> None:
    given_objectives = objectives()
    found = search_front(given_objectives, 20_000, seed=1)
    for limit in (0.2, 0.4, 0.8, 1.2):
        reached = found.accuracy[found.cost <= limit].max()
        assert reached >= best_by_brute_force(given_objectives, limit, 1_000_000 // 4)


def test_the_front_rises_starts_at_the_smallest_network_and_tells_the_truth() -> None:
    given_objectives = objectives()
    found = search_front(given_objectives, 5_000, seed=2)
    assert (np.diff(found.cost) > 0).all()
    assert (np.diff(found.accuracy) > 0).all()
    assert found.cost[0] == pytest.approx(given_objectives.cost.least)
    assert np.allclose(given_objectives.cost.of(found.genomes), found.cost)
    assert np.allclose(given_objectives.accuracy(found.genomes), found.accuracy)


def test_more_evaluations_make_the_front_no_worse() -> None:
    given_objectives = objectives()
    areas = []
    for evaluations in (1_000, 30_000):
        found = search_front(given_objectives, evaluations, seed=4)
        at = [found.accuracy[found.cost <= limit].max() for limit in (0.3, 0.6, 1.0)]
        areas.append(np.mean(at))
    assert areas[1] >= areas[0]


def test_the_same_seed_finds_the_same() -> None:
    first, again, other = (search_front(objectives(), 3_000, seed=s) for s in (1, 1, 2))
    assert (first.genomes == again.genomes).all()
    assert first.genomes.shape != other.genomes.shape or (first.genomes != other.genomes).any()


def within(limit: float, cost: Cost | None = None) -> Objectives:
    given_objectives = objectives()
    return replace(given_objectives, limits=(Limit(cost or given_objectives.cost, limit),))


@pytest.mark.parametrize("limit", [0.1, 0.25, 0.6, 2.0])
def test_a_limit_is_met_and_random_networks_within_it_are_beaten(limit: float) -> None:
    found = search_front(within(limit), 4_000, seed=3)
    assert (found.cost <= limit).all()
    assert found.accuracy.max() >= best_by_brute_force(objectives(), limit, 20_000)


def test_limits_on_other_costs_are_met_too() -> None:
    params = CostTable.of(DIGITS, lambda block: block.params / 1e3)
    peak = CostTable.of(DIGITS, lambda block: block.peak_activations, peak=True)
    size = Cost("size", "k", params.total, *params.cheapest())
    memory = Cost("memory", "numbers", peak.total, *peak.cheapest())
    limits = (Limit(size, 1.3 * size.least), Limit(memory, 1.2 * memory.least))
    given_objectives = replace(objectives(), limits=limits)
    found = search_front(given_objectives, 10_000)
    assert len(found.genomes) > 3
    assert (size.of(found.genomes) <= 1.3 * size.least).all()
    assert (memory.of(found.genomes) <= 1.2 * memory.least).all()
    free = search_front(objectives(), 10_000)
    assert free.accuracy.max() > found.accuracy.max()


def test_a_limit_only_the_smallest_network_meets_gives_that_network() -> None:
    given_objectives = within(objectives().cost.least)
    found = search_front(given_objectives, 2_000)
    assert (found.genomes == given_objectives.cost.cheapest).all()
    assert len(found.genomes) == 1


@pytest.mark.parametrize("least", [0.0088412345, 0.99999, 1.0, 12.3456, 100.0])
def test_an_infeasible_limit_names_what_can_be_met(least: float) -> None:
    cost = replace(objectives().cost, least=least)
    with pytest.raises(InfeasibleConstraint, match="smallest achievable one is") as raised:
        search_front(within(0.001, cost), 2_000)
    named = float(str(raised.value).split()[-2])
    assert least <= named <= 1.001 * least
    Limit(cost, named).check(DIGITS)


@pytest.mark.parametrize("scale", [0.0071, 0.31, 1.0, 3.3, 417.0])
def test_a_limit_at_the_very_least_that_a_message_named_is_searched(scale: float) -> None:
    macs = CostTable.of(DIGITS, lambda block: scale * block.macs / 1e6)
    cost = Cost("latency", "ms", macs.total, *macs.cheapest())
    with pytest.raises(InfeasibleConstraint) as raised:
        search_front(within(cost.least / 2, cost), 2_000)
    named = float(str(raised.value).split()[-2])
    found = search_front(replace(objectives(), cost=cost, limits=(Limit(cost, named),)), 2_000)
    assert len(found.genomes) >= 1
    assert (found.cost <= named).all()


def test_a_second_cost_that_is_unknown_at_some_resolutions_leaves_those_out() -> None:
    known = CostTable.of(DIGITS, lambda block: block.params, DIGITS.resolutions[1:])
    second = Cost("elsewhere", "ms", known.total, *known.cheapest())
    found = search_front(replace(objectives(), second=second), 3_000)
    assert (found.genomes[:, 0] > 0).all()
    limits = (Limit(second, 10 * second.least),)
    found = search_front(replace(objectives(), limits=limits), 3_000)
    assert (found.genomes[:, 0] > 0).all()


def test_limits_that_contradict_each_other_are_one_clear_error() -> None:
    params = CostTable.of(DIGITS, lambda block: -block.params)
    least, cheapest = params.cheapest()
    large = Cost("smallness", "", lambda rows: params.total(rows) - 2 * least, -least, cheapest)
    given_objectives = objectives()
    limits = (Limit(given_objectives.cost, given_objectives.cost.least), Limit(large, -least))
    with pytest.raises(InfeasibleConstraint, match=r"at once.*latency.*smallness"):
        search_front(replace(given_objectives, limits=limits), 2_000)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_accuracy_that_is_no_number_is_refused_at_once(wrong: float) -> None:
    def accuracy(genomes: Genomes) -> np.ndarray:
        return np.full(len(genomes), wrong)

    with pytest.raises(PredictorError, match="one number for each"):
        search_front(replace(objectives(), predicted_accuracy=accuracy), 2_000)


def test_a_front_of_three_objectives_holds_what_nothing_beats() -> None:
    size = CostTable.of(DIGITS, lambda block: block.params / 1e3)
    second = Cost("size", "k", size.total, *size.cheapest())
    found = search_front(replace(objectives(), second=second), 20_000, seed=1)
    params = second.of(found.genomes)
    for row in range(len(found.genomes)):
        better = (found.cost <= found.cost[row]) & (params <= params[row])
        better &= found.accuracy >= found.accuracy[row]
        assert better.sum() == 1, "only itself"
    flat = search_front(objectives(), 20_000, seed=1)
    for limit in (0.3, 0.6, 1.0):
        reached = found.accuracy[found.cost <= limit].max()
        # As many evaluations serve a whole surface instead of a line.
        assert reached > flat.accuracy[flat.cost <= limit].max() - 0.8


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1))
def test_the_front_of_three_is_what_nothing_beats(points: list[tuple[float, ...]]) -> None:
    cost, second, quality = np.array(points).T
    chosen = {tuple(points[row]) for row in front_of_three(cost, second, quality)}
    for a in set(points):
        beaten = any(b[0] <= a[0] and b[1] <= a[1] and b[2] >= a[2] for b in set(points) - {a})
        assert (a in chosen) == (not beaten)


def test_long_searches_start_several_times_and_find_no_less() -> None:
    once = search_front(objectives(), 50_000, seed=2)
    long = search_front(objectives(), 100_000, seed=2)
    for limit in (0.3, 0.6, 1.0):
        reached = long.accuracy[long.cost <= limit].max()
        assert reached >= once.accuracy[once.cost <= limit].max() - 0.02


def test_children_are_networks_of_the_space_made_from_their_parents(
    rng: np.random.Generator,
) -> None:
    mothers, fathers = sample(DIGITS, 2000, rng), sample(DIGITS, 2000, rng)
    born = children(DIGITS, mothers, fathers, rng)
    assert (canonical(DIGITS, born) == born).all()
    depths = slice(1, 4)
    either = (born == mothers) | (born == fathers)
    assert 0.9 < either[:, depths].mean() < 0.99
    differ = mothers[:, depths] != fathers[:, depths]
    inherited = (born == mothers)[:, depths][differ].mean()
    assert inherited == pytest.approx(0.5, abs=0.05)


def test_children_of_equal_parents_differ_from_them_in_a_gene_or_few(
    rng: np.random.Generator,
) -> None:
    parents = sample(DIGITS, 2000, rng)
    changed = (children(DIGITS, parents, parents, rng) != parents).any(axis=1)
    assert changed.mean() > 0.4  # a gene redrawn may come out as it was, or be left out
