"""Pareto dominance for two objectives."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def front(cost: Floats, quality: Floats) -> npt.NDArray[np.int64]:
    """Rows that no other row beats, in order of rising cost.

    A row is beaten by one that costs no more and is at least as good, better in one of the two;
    of equal rows the first stays.
    """
    order = np.lexsort((-quality, cost))
    best_before = np.maximum.accumulate(np.concatenate([[-np.inf], quality[order][:-1]]))
    return order[quality[order] > best_before]


def spread(cost: Floats, count: int) -> npt.NDArray[np.int64]:
    """Positions of `count` rows, ends included, as evenly spaced in log cost as the rows allow.

    `cost` rises. Fewer come back where there are fewer rows.
    """
    if len(cost) <= count:
        return np.arange(len(cost))
    chosen = [0, len(cost) - 1]
    position = np.log(cost)
    while len(chosen) < count:
        gaps = np.abs(position[:, None] - position[chosen]).min(axis=1)
        chosen.append(int(gaps.argmax()))
    return np.sort(np.array(chosen))
