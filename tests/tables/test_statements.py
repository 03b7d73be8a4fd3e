"""Statements hold for 95 of 100 networks that nobody has measured yet."""

import numpy as np
import pytest

from harness.errors import UsageError
from harness.tables.conformal import bound
from harness.tables.record import Statistics
from harness.tables.repeat import Repeat
from harness.tables.statements import Statement, check_time, statements
from tests.tables.test_repeat import statistics


@pytest.mark.parametrize("errors", ["normal", "student", "skewed"])
@pytest.mark.parametrize("count", [19, 20, 40])
def test_the_next_error_lies_within_the_bound_95_times_of_100(count: int, errors: str) -> None:
    rng = np.random.default_rng(count)
    drawn = {
        "normal": rng.normal(0, 0.02, (4000, count + 1)),
        "student": 0.02 * rng.standard_t(2, (4000, count + 1)),
        "skewed": rng.exponential(0.02, (4000, count + 1)) - 0.01,
    }[errors]
    held = [abs(each[0]) <= bound(each[1:]) for each in drawn]
    assert 0.94 <= np.mean(held) <= 0.965


def test_few_normal_errors_are_bounded_by_students_distribution() -> None:
    rng = np.random.default_rng(0)
    held = [abs(rng.normal()) <= bound(rng.normal(size=10)) for _ in range(6000)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.012)


def test_what_users_see_is_a_ratio_to_full_speed_with_its_own_error() -> None:
    rng = np.random.default_rng(3)

    def measured(count: int) -> tuple[np.ndarray, list[Statistics]]:
        predicted = rng.uniform(1e6, 1e8, count)
        full = predicted * rng.lognormal(0, 0.01, count)
        p90 = full * 1.3 * rng.lognormal(0, 0.08, count)
        return predicted, [statistics(f, p) for f, p in zip(full, p90, strict=True)]

    held = []
    for _ in range(150):
        predicted, records = measured(40)
        told = statements(predicted, records, list(records), {})
        further, later = measured(20)
        for full, record in zip(further, later, strict=True):
            low, high = told["p90"].interval(full) or (0, 0)
            held.append(low <= (record.p90 or 0) <= high)
    assert told["p90"].ratio == pytest.approx(1.3, rel=0.05)
    assert 0.94 <= np.mean(held) <= 0.965
    assert (told["full"].log_error or 0) < 0.3 * (told["p90"].log_error or 0)
    assert "p99" not in told


def test_a_statement_for_another_campaign_is_wider_by_what_campaigns_differ() -> None:
    records = [statistics(1e6 * n, 1.2e6 * n) for n in range(1, 21)]
    predicted = np.array([1e6 * n for n in range(1, 21)])
    now = statements(predicted, records, list(records), {})
    moved = Repeat("full", shifts=(0.05, -0.05, 0.05, -0.05))
    later = statements(predicted, records, list(records), {"full": moved})
    assert (now["full"].log_error or 0) < 1e-6
    assert 0.06 < (later["full"].log_error or 0) < 0.15


def test_the_upper_end_of_what_nobody_compared_is_what_is_predicted() -> None:
    silent = Statement("full", 1.0, None)
    assert silent.interval(5.0) is None
    assert silent.upper_ratio == 1.0
    assert Statement("p90", 1.2, 0.1).upper_ratio == pytest.approx(1.2 * np.exp(0.1))


def test_a_time_that_does_not_exist_is_one_clear_error() -> None:
    assert check_time(None) is None
    assert check_time("p90") == "p90"
    with pytest.raises(UsageError, match="'p42' is none of the times that there are: full, p50"):
        check_time("p42")
