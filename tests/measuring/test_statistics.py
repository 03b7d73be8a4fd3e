import numpy as np
import pytest

from harness.measuring.rounds import rounds
from harness.measuring.statistics import summarise


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
        summarise(two_speed_machine(rng, 100_000, 30, slow_share), seed=1).value_ns
        for _ in range(50)
    ]
    assert np.abs(np.array(estimates) / 100_000 - 1).max() < 0.03


def test_the_interval_over_visits_holds_the_truth_where_one_over_runs_would_not(
    rng: np.random.Generator,
) -> None:
    # Runs of a visit agree; visits differ by 5 %: what is unknown lies between visits.
    held = 0
    for _ in range(200):
        samples = (100_000 * rng.normal(1, 0.05, (30, 1)) * rng.normal(1, 0.001, (30, 4))).astype(
            int
        )
        truth = 100_000 * (1 - 1.2816 * 0.05)  # the lower decile of visits
        statistics = summarise(samples, seed=1)
        held += statistics.low_ns <= truth * 1.003 and truth * 0.997 <= statistics.high_ns
    assert held > 170


def test_statistics_are_in_order_and_count_what_was_given(rng: np.random.Generator) -> None:
    s = summarise(two_speed_machine(rng, 50_000, 12, 0.5), seed=3)
    assert s.min_ns <= s.value_ns <= s.median_ns <= s.max_ns
    assert s.low_ns <= s.value_ns <= s.high_ns
    assert (s.visits, s.runs) == (12, 48)


def test_a_single_visit_is_enough_for_a_record() -> None:
    s = summarise(np.array([[5, 4, 6]]), seed=0)
    assert (s.value_ns, s.low_ns, s.high_ns, s.first_half_ns, s.second_half_ns) == (4, 4, 4, 4, 4)


def test_each_round_has_every_entry_once_in_an_order_of_its_own() -> None:
    made = dict(rounds(20, 5, seed=1))
    assert list(made) == list(range(5))
    assert all(sorted(order) == list(range(20)) for order in made.values())
    assert len({tuple(order) for order in made.values()}) == 5
    assert made == dict(rounds(20, 5, seed=1)) != dict(rounds(20, 5, seed=2))
