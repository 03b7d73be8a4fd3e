"""Intervals from errors that were seen: conformal prediction (Vovk et al. 2005; Lei et al. 2018).

Where errors of past cases and the next one come in no particular order, the next lies within the
ceil(0.95 (n + 1))-th smallest of n with a chance of at least 95 %, whatever their distribution.
"""

from math import ceil, sqrt

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
COVERED = 0.95


def bound(errors: Floats) -> float:
    """What the next error's size stays below with a chance of 95 %, from errors [n >= 2].

    Fewer than nineteen have no such rank: they are taken to be normal around 0.
    """
    count = len(errors)
    rank = ceil(COVERED * (count + 1))
    if rank <= count:
        return float(np.sort(np.abs(errors))[rank - 1])
    sd = sqrt(float(np.mean(errors**2)) * (1 + 1 / count))
    return student(count - 1) * sd


def student(freedom: float) -> float:
    """How many standard deviations hold 95 %, where those were estimated from so few."""
    from scipy.special import stdtrit  # takes longer to import than tables to read

    return float(stdtrit(freedom, (1 + COVERED) / 2))
