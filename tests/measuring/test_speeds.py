"""Which speed the machine had, and whether another campaign would meet its full speed."""

from math import log

import numpy as np
import pytest

from harness.measuring.speeds import Speeds

FAST_NS, SLOW_NS = 1_000_000, 1_450_000


def speeds(states: str, seed: int = 0) -> Speeds:
    """Ten of the sentinel's visits a second; each letter is a second, fast or slow."""
    rng = np.random.default_rng(seed)
    usual = [FAST_NS if state == "f" else SLOW_NS for state in states for _ in range(10)]
    fastest = (np.array(usual) * (1 + 0.03 * rng.random(len(usual)))).astype(np.int64)
    at_s = 1e9 + np.arange(len(usual)) / 10
    return Speeds(2 * np.arange(len(usual)), at_s, fastest)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("states", ["f" * 45, "s" * 45, "ffsffsfffsff" * 4, "fs" * 20])
def test_a_machine_that_is_often_or_always_at_full_speed_is_met_so_by_others(
    states: str, seed: int
) -> None:
    assert speeds(states, seed).missed() == 0.0


@pytest.mark.parametrize("states", ["s" * 30 + "f" * 15, "f" * 10 + "s" * 35, "ssssffssss" * 2])
def test_where_full_speed_was_met_once_or_twice_another_campaign_may_find_all_slower(
    states: str,
) -> None:
    assert speeds(states).missed() == pytest.approx(log(SLOW_NS / FAST_NS), abs=0.02)


@pytest.mark.parametrize(("fast_s", "slow_s"), [(3, 60), (20, 40), (10, 10)])
def test_few_simulated_campaigns_find_full_speed_missing_that_the_one_before_did_not_announce(
    fast_s: float, slow_s: float
) -> None:
    """Campaigns of a machine that changes its speed by chance, each followed by another one.

    One that saw a single speed cannot know of others.
    """
    rng = np.random.default_rng(7)
    missed = judged = 0
    for _ in range(400):
        states: list[str] = []
        fast = bool(rng.random() < fast_s / (fast_s + slow_s))
        while len(states) < 200:
            states += ["f" if fast else "s"] * max(
                1, round(rng.exponential((slow_s, fast_s)[fast]))
            )
            fast = not fast
        first, later = speeds("".join(states[:45])), speeds("".join(states[150:195]))
        if {"f", "s"} <= set(states[:45]):
            judged += 1
            missed += later.full > 1.1 * first.full and first.missed() == 0.0
    assert judged > 100
    assert missed <= 0.05 * judged


def test_a_moment_of_turbo_is_no_measure_and_a_slow_one_none_of_full_speed() -> None:
    found = speeds("f" + "s" * 39)  # 2.5 % of the time
    assert found.full == pytest.approx(SLOW_NS, rel=0.03)
    assert [found.turbo(20 * second + 11) for second in (0, 1, 20)] == [True, False, False]
    often = speeds("f" * 10 + "s" * 30)
    assert often.full == pytest.approx(FAST_NS, rel=0.03)
    assert [often.slow(20 * second + 11) for second in (0, 9, 10, 20)] == [False, False, True, True]
