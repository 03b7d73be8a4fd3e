"""From visits to an estimate with an interval.

The estimate is the time at the machine's full speed, the fastest run of all visits. A shared
machine flips between speeds, for moments or for minutes, and what share of slow moments a workload
happens to catch differs; CPU time has no outliers to the fast side. `docs/measuring.md` has the
comparison with means, medians and quantiles.

The unit is the visit, never the run: runs of one visit agree with each other far better than with
the next visit, so intervals over runs are far too narrow.
"""

from math import comb

import numpy as np
import numpy.typing as npt

from harness.tables.record import Statistics

Samples = npt.NDArray[np.int64]  # [visits, runs], ns


def summarise(
    samples_ns: Samples, runs: int | None = None, memory_mb: float | None = None
) -> Statistics:
    """Statistics of one workload from [visits, runs] samples, in the order they were made.

    `runs`: how many are behind them, where a sample is the typical time of several.
    """
    fastest = samples_ns.min(axis=1)
    typical = np.median(samples_ns, axis=1)
    half = max(1, len(fastest) // 2)
    low, high = interval(fastest)
    quantities = {
        "value_ns": low,
        "low_ns": low,
        "high_ns": high,
        "first_half_ns": fastest[:half].min(),
        "second_half_ns": fastest[-half:].min(),
        "lower_quartile_ns": np.quantile(typical, 0.25),
        "median_ns": np.median(typical),
        "max_ns": typical.max(),
    }
    whole = {name: max(1, round(float(value))) for name, value in quantities.items()}
    runs = samples_ns.size if runs is None else runs
    return Statistics(**whole, visits=len(samples_ns), runs=runs, memory_mb=memory_mb)


def interval(fastest_ns: npt.NDArray[np.int64]) -> tuple[int, int]:
    """The estimate and its upper end: where 97.5 % of random halves of the visits put it.

    For an extreme, samples smaller than the whole are valid where the bootstrap is not (Politis
    and Romano 1994). The fastest of a random half of `n` visits lies above the j-th fastest with
    probability C(n - j, n / 2) / C(n, n / 2), so the upper end is about the fifth fastest visit.
    """
    ordered = np.sort(fastest_ns)
    visits = len(ordered)
    half = max(1, visits // 2)
    rank = next(
        rank
        for rank in range(1, visits + 1)
        if 40 * comb(visits - rank, half) <= comb(visits, half)
    )
    return int(ordered[0]), int(ordered[rank - 1])


def width(fastest_ns: npt.NDArray[np.int64]) -> float:
    """The interval's width relative to the estimate."""
    low, high = interval(fastest_ns)
    return high / low - 1


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
