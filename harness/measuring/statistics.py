"""From visits to an estimate with an interval.

The estimate is the time at the machine's full speed, the fastest run of all visits. A shared
machine flips between speeds, for moments or for minutes, and what share of slow moments a workload
happens to catch differs; CPU time has no outliers to the fast side. `docs/measuring.md` has the
comparison with means, medians and quantiles.

The unit is the visit, never the run: runs of one visit agree with each other far better than with
the next visit, so intervals over runs are far too narrow.
"""

import numpy as np
import numpy.typing as npt

from harness.tables.record import Statistics

_SUBSAMPLES = 500


def summarise(samples_ns: npt.NDArray[np.int64], seed: int) -> Statistics:
    """Statistics of one workload from [visits, runs] samples, in the order they were made.

    The interval is that of estimates from random halves of the visits: for an extreme, samples
    smaller than the whole are valid where the bootstrap is not (Politis and Romano 1994).
    """
    fastest = samples_ns.min(axis=1)
    typical = np.median(samples_ns, axis=1)
    half = max(1, len(fastest) // 2)
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(fastest, (_SUBSAMPLES, 1)), axis=1)
    low, high = np.percentile(order[:, :half].min(axis=1), [2.5, 97.5])
    quantities = {
        "value_ns": fastest.min(),
        "low_ns": low,
        "high_ns": high,
        "first_half_ns": fastest[:half].min(),
        "second_half_ns": fastest[-half:].min(),
        "lower_quartile_ns": np.quantile(typical, 0.25),
        "median_ns": np.median(typical),
        "max_ns": typical.max(),
    }
    whole = {name: max(1, round(float(value))) for name, value in quantities.items()}
    return Statistics(**whole, visits=len(samples_ns), runs=samples_ns.size)
