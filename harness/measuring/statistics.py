"""From visits to an estimate with an interval.

The estimate is the time at the machine's full speed, the fastest run of all visits. A shared
machine flips between speeds, for moments or for minutes, and what share of slow moments a workload
happens to catch differs. `docs/measuring.md` has the comparison with means, medians and quantiles.
Of energies the estimate is the median: a counter that lags behind errs to both sides.

The unit is the visit, never the run: runs of one visit agree with each other far better than with
the next visit, so intervals over runs are far too narrow.
"""

from math import comb

import numpy as np
import numpy.typing as npt

from harness.tables.record import Statistics, quantity_of

SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
FEWEST = {"p50": 5, "p90": 10, "p99": 30}  # visits; runs of one visit are much alike
Samples = npt.NDArray[np.int64]  # [visits, runs], ns or nJ


def summarise(
    samples: Samples,
    clock: str = "wall",
    runs: int | None = None,
    memory_mb: float | None = None,
) -> Statistics:
    """Statistics of one workload from [visits, runs] samples, in the order they were made.

    `runs`: how many are behind them, where a sample is the typical time of several.
    """
    typical = np.median(samples, axis=1)
    half = max(1, len(samples) // 2)
    low, value, high = estimate(samples, clock)
    quantities = {
        "value": value,
        "low": low,
        "high": high,
        "first_half": estimate(samples[:half], clock)[1],
        "second_half": estimate(samples[-half:], clock)[1],
        "lower_quartile": np.quantile(typical, 0.25),
        "median": np.median(typical),
        "maximum": typical.max(),
    }
    whole = {name: max(1, round(float(value))) for name, value in quantities.items()}
    runs = samples.size if runs is None else runs
    return Statistics(**whole, visits=len(samples), runs=runs, memory_mb=memory_mb)


def estimate(samples: Samples, clock: str) -> tuple[float, float, float]:
    """Low end, estimate and high end."""
    if quantity_of(clock) != "latency":
        return middle(np.median(samples, axis=1))
    return interval(samples.min(axis=1))


def percentiles(samples: Samples, visits: int) -> dict[str, int]:
    """What half, 90 and 99 % of all runs keep to, where the campaign has visits and runs to tell.

    `visits`: that every workload has. A campaign tells a time of all of them or of none: those that
    it visited more often were unsteadier, and ratios learned from them alone would be too large.
    """
    runs = visits * samples.shape[1]
    return {
        name: max(1, round(np.quantile(samples, share)))
        for name, share in SHARES.items()
        if visits >= FEWEST[name] and runs * (1 - share) > 0.999
    }


def middle(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """The median with its interval between two of the values, 95 % or what so few allow.

    Between the k-th smallest and the k-th largest of n the median lies with a chance of
    1 - 2 P(Binomial(n, 1/2) < k).
    """
    ordered = np.sort(values)
    count = len(ordered)
    below, rank = 1.0, 0  # P(Binomial < rank + 1) in units of 1 / 2 ** count
    while 40 * (below + comb(count, rank + 1)) <= 2**count:
        rank += 1
        below += comb(count, rank)
    return float(ordered[rank]), float(np.median(ordered)), float(ordered[count - 1 - rank])


def interval(fastest_ns: npt.NDArray[np.int64]) -> tuple[float, float, float]:
    """Low end, estimate and high end: where the fastest of as many visits lies when made again.

    Two sets of visits to a machine that behaves alike are exchangeable, so that the logarithm of
    their ratio is as often above 0 as below, and as far. Halves of the visits that were made show
    how far: one of them has the fastest, `v`, and the other begins with the j-th fastest where the
    first has all before, with a chance of C(n - j + 1, n / 2) / C(n, n / 2) for j or more, on
    either side. 95 % of halves lie within the about fifth fastest; both have fewer visits than the
    whole, which makes it the wider. For an extreme, samples smaller than the whole are valid where
    the bootstrap is not (Politis and Romano 1994).
    """
    ordered = np.sort(fastest_ns)
    visits = len(ordered)
    half = max(1, visits // 2)
    rank = next(
        rank
        for rank in range(1, visits + 1)
        if 40 * comb(visits - rank, half) <= comb(visits, half)
    )
    fastest, far = float(ordered[0]), float(ordered[rank - 1])
    return fastest**2 / far, fastest, far


def half_width(samples: Samples, clock: str = "wall") -> float:
    """Half the interval's width, relative to the estimate."""
    low, value, high = estimate(samples, clock)
    return (high - low) / 2 / max(1.0, value)


def expected_error(fastest_ns: npt.NDArray[np.int64], visits: int) -> float:
    """How far above the fastest of all given visits the fastest of only `visits` of them lies.

    The mean over all choices, relative; 0 where no more than `visits` are given.
    """
    ordered = np.sort(fastest_ns).astype(float)
    count = len(ordered)
    if visits >= count:
        return 0.0
    weights = [comb(count - rank - 1, visits - 1) / comb(count, visits) for rank in range(count)]
    return float(np.dot(weights, ordered) / ordered[0] - 1)
