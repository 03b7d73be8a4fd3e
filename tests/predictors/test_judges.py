import numpy as np
import pytest

from harness.predictors.judges import FEWEST, Judges, described
from harness.spaces.digits import DIGITS
from harness.spaces.translation import HAT_SMALL


def population(rng: np.random.Generator, count: int, skew: float) -> tuple[np.ndarray, np.ndarray]:
    """Predicted and evaluated accuracies: skewed errors, in proportion to wrong answers."""
    predicted = rng.uniform(60, 98, count)
    error = 0.08 * (rng.gamma(2, 1, count) - 2) * skew
    return predicted, predicted - error * (100 - predicted)


@pytest.mark.parametrize("skew", [-1.0, 1.0])
@pytest.mark.parametrize("count", [39, 80, 135])
def test_95_percent_of_networks_lie_in_their_intervals_at_all_accuracies(
    skew: float, count: int
) -> None:
    rng = np.random.default_rng(1)
    inside = []
    for _ in range(300):
        judges = Judges.random(*population(rng, count, skew))
        for predicted, evaluated in zip(*population(rng, 40, skew), strict=True):
            low, high = judges.interval(float(predicted)) or (0.0, 100.0)
            inside.append((predicted > 80, low <= evaluated <= high))
    good, covered = np.array(inside).T
    for share in (covered[good].mean(), covered[~good].mean()):
        assert 0.94 < share < 0.965


def test_networks_that_were_found_count_with_their_bias() -> None:
    rng = np.random.default_rng(2)
    predicted, evaluated = population(rng, 80, 1.0)
    alone = Judges.random(predicted, evaluated)
    both = alone.and_found(predicted[:40], evaluated[:40] - 4)
    assert (both.found, len(both.shares)) == (40, 120)
    low, _ = both.interval(80.0) or (0.0, 100.0)
    low_alone, _ = alone.interval(80.0) or (0.0, 100.0)
    assert low < low_alone - 3
    assert "40 that searches by it found" in described(both, DIGITS)
    assert "many wrong answers on validation images" in described(both, DIGITS)
    assert "much of 100 BLEU on validation sentences" in described(both, HAT_SMALL)


def test_too_few_judges_give_no_interval_and_say_so() -> None:
    few = Judges(tuple(np.linspace(-0.1, 0.1, FEWEST - 1)))
    assert few.interval(80.0) is None
    assert "38 judges are too few" in described(few, DIGITS)
    assert Judges((*few.shares, 0.2)).interval(80.0) == pytest.approx((76.0, 82.0))


def test_intervals_end_at_0_and_100_percent() -> None:
    judges = Judges(tuple(np.linspace(-2, 30, 39)))
    assert judges.interval(95.0) == (0.0, 100.0)
    assert judges.interval(101.0) == (71.0, 100.0)
    assert Judges((0.0,) * 39).interval(100.5) == (100.0, 100.0)
    assert Judges((0.0,) * 39).interval(-0.5) == (0.0, 0.0)
