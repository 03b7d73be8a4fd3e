"""From visits to an estimate with an interval.

The unit is the visit, never the run: runs of one visit agree with each other far better than
with the next visit, so intervals over runs are far too narrow.

The estimate is the time at the machine's full speed: a shared machine flips between speeds
within a tenth of a second, and what two workloads happen to catch of it differs. A visit counts
with its fastest run, a workload with the lower decile of its visits. `docs/measuring.md` has the
comparison with means, medians and drift correction.
"""

import numpy as np
import numpy.typing as npt

from harness.tables.record import Statistics

Floats = npt.NDArray[np.float64]
FULL_SPEED_QUANTILE = 0.10
_RESAMPLES = 500


def summarise(samples_ns: npt.NDArray[np.int64], seed: int) -> Statistics:
    """Statistics of one workload from [visits, runs] samples, in the order they were made."""
    fastest = samples_ns.min(axis=1)
    typical = np.median(samples_ns, axis=1)
    draws = np.random.default_rng(seed).integers(0, len(fastest), (_RESAMPLES, len(fastest)))
    low, high = np.percentile(_full_speed(fastest[draws]), [2.5, 97.5])
    half = max(1, len(fastest) // 2)
    quantities = {
        "value_ns": _full_speed(fastest),
        "low_ns": low,
        "high_ns": high,
        "first_half_ns": _full_speed(fastest[:half]),
        "second_half_ns": _full_speed(fastest[-half:]),
        "min_ns": fastest.min(),
        "lower_quartile_ns": np.quantile(typical, 0.25),
        "median_ns": np.median(typical),
        "max_ns": typical.max(),
    }
    whole = {name: max(1, round(float(value))) for name, value in quantities.items()}
    return Statistics(**whole, visits=len(samples_ns), runs=samples_ns.size)


def _full_speed(visit_ns: npt.NDArray[np.int64]) -> Floats:
    return np.asarray(np.quantile(visit_ns, FULL_SPEED_QUANTILE, axis=-1))
