import numpy as np
import pytest

from harness.measuring.rounds import order
from harness.measuring.statistics import expected_error, interval, percentiles, summarise


def two_speed_machine(
    rng: np.random.Generator, full_ns: float, visits: int, slow_share: float
) -> np.ndarray:
    """[visits, 4] samples of a machine that is 1.3 times slower for part of the visits."""
    slow = np.where(rng.random(visits) < slow_share, 1.3, 1.0)[:, None]
    return (full_ns * slow * (1 + rng.exponential(0.01, (visits, 4)))).astype(int)


@pytest.mark.parametrize("slow_share", [0.0, 0.3, 0.7])
def test_the_estimate_is_the_time_at_full_speed_whatever_share_was_slow(
    rng: np.random.Generator, slow_share: float
) -> None:
    estimates = [
        summarise(two_speed_machine(rng, 100_000, 30, slow_share)).value for _ in range(50)
    ]
    assert np.abs(np.array(estimates) / 100_000 - 1).max() < 0.03


@pytest.mark.parametrize("slow_share", [0.0, 0.5, 0.8])
def test_95_of_100_repetitions_with_as_many_visits_lie_in_the_interval_on_either_side(
    rng: np.random.Generator, slow_share: float
) -> None:
    # Runs of a visit agree to 0.1 %; visits differ by more, now and then by a lot.
    held, below = [], []
    for _ in range(2000):
        first, again = (two_speed_machine(rng, 100_000, 30, slow_share) for _ in range(2))
        interval, second = summarise(first), summarise(again).value
        held.append(interval.low <= second <= interval.high)
        below.append(second < interval.value)
    assert 0.945 <= np.mean(held) <= 0.99  # halves have fewer visits: a little wide
    assert np.mean(below) == pytest.approx(0.5, abs=0.04)


def test_a_machine_that_is_rarely_at_full_speed_has_a_wide_interval(
    rng: np.random.Generator,
) -> None:
    steady, rare = (summarise(two_speed_machine(rng, 100_000, 30, slow)) for slow in (0.0, 0.93))
    assert steady.high / steady.low < 1.01
    assert rare.high / rare.low > 1.2


def test_statistics_are_in_order_and_count_what_was_given(rng: np.random.Generator) -> None:
    s = summarise(two_speed_machine(rng, 50_000, 12, 0.5))
    assert s.lower_quartile
    assert s.median
    assert s.maximum
    assert s.value <= s.lower_quartile <= s.median <= s.maximum
    assert s.low <= s.value <= s.high
    assert (s.visits, s.runs) == (12, 48)


def test_a_single_visit_is_enough_for_a_record() -> None:
    s = summarise(np.array([[5, 4, 6]]))
    assert (s.value, s.low, s.high, s.first_half, s.second_half) == (4, 4, 4, 4, 4)


def test_each_round_has_every_entry_once_in_an_order_of_its_own() -> None:
    entries = list(range(3, 23))
    made = [order(entries, number, seed=1) for number in range(5)]
    assert all(sorted(each) == entries for each in made)
    assert len({tuple(each) for each in made}) == 5
    assert made == [order(entries, number, seed=1) for number in range(5)]
    assert made != [order(entries, number, seed=2) for number in range(5)]


def test_the_upper_end_is_where_random_halves_of_the_visits_put_the_fastest(
    rng: np.random.Generator,
) -> None:
    for visits in (2, 3, 8, 12, 30):
        fastest = rng.integers(1000, 2000, visits)
        halves = [rng.permutation(fastest)[: visits // 2].min() for _ in range(4000)]
        low, value, high = interval(fastest)
        assert value == fastest.min()
        assert low * high == pytest.approx(value**2)
        assert np.mean(np.array(halves) <= high) >= 0.97
        below = [value for value in sorted(fastest) if value < high]
        assert not below or np.mean(np.array(halves) <= below[-1]) < 0.98


def test_the_expected_error_of_fewer_visits_is_their_mean_distance_from_the_best(
    rng: np.random.Generator,
) -> None:
    fastest = rng.integers(1000, 2000, 30)
    drawn = [rng.permutation(fastest)[:6].min() for _ in range(4000)]
    expected = np.mean(drawn) / fastest.min() - 1
    assert expected_error(fastest, 6) == pytest.approx(expected, abs=0.01)
    assert expected_error(fastest, 30) == 0
    assert expected_error(fastest, 1) == pytest.approx(fastest.mean() / fastest.min() - 1)


def test_an_energy_is_the_median_with_its_interval(rng: np.random.Generator) -> None:
    held = 0
    for _ in range(400):
        energies = rng.normal(1e6, 5e4, (9, 1)).astype(np.int64)
        found = summarise(energies, "net")
        assert found.value == np.median(energies)
        assert found.low <= found.value <= found.high
        held += found.low <= 1e6 <= found.high
    assert held / 400 > 0.93


@pytest.mark.parametrize("visits", range(1, 6))
def test_the_interval_of_few_energies_is_all_of_them(visits: int) -> None:
    energies = np.arange(10, 10 + visits)[:, None]
    found = summarise(energies, "gross")
    assert (found.low, found.high) == (10, 9 + visits)


@pytest.mark.parametrize(
    ("visits", "runs", "told"),
    [
        (4, 500, []),
        (5, 1, ["p50"]),
        (9, 500, ["p50"]),  # however many runs: those of a visit are much alike
        (10, 1, ["p50", "p90"]),
        (29, 500, ["p50", "p90"]),
        (30, 3, ["p50", "p90"]),  # ninety runs leave less than one above p99
        (30, 4, ["p50", "p90", "p99"]),
    ],
)
def test_few_visits_tell_no_percentile(visits: int, runs: int, told: list[str]) -> None:
    samples = np.arange(1, 1 + visits * runs).reshape(visits, runs)
    found = percentiles(samples, visits)
    assert list(found) == told
    for name, value in found.items():
        assert value == pytest.approx(visits * runs * int(name[1:]) / 100, abs=1)
