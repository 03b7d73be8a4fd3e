"""Pareto dominance for two objectives, or three."""

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


def front_of_three(cost: Floats, second: Floats, quality: Floats) -> npt.NDArray[np.int64]:
    """The same for two costs, in order of the first; of equal rows the first stays."""
    order = np.lexsort((-quality, second, cost))
    kept: list[int] = []
    for row in order:
        rivals = np.array(kept, dtype=np.int64)  # none of them costs more
        if not ((second[rivals] <= second[row]) & (quality[rivals] >= quality[row])).any():
            kept.append(int(row))
    return np.array(kept, dtype=np.int64)


def spread(costs: Floats, count: int) -> npt.NDArray[np.int64]:
    """Positions of `count` rows, ends included, as evenly spaced in log costs as the rows allow.

    `costs` [n, 1 or 2]; the first rises. Fewer come back where there are fewer rows.
    """
    if len(costs) <= count:
        return np.arange(len(costs))
    chosen = [0, len(costs) - 1]
    position = np.log(costs)
    while len(chosen) < count:
        gaps = np.abs(position[:, None] - position[chosen]).max(axis=2).min(axis=1)
        if gaps.max() <= 0:
            break  # all that is left costs the same as what is there
        chosen.append(int(gaps.argmax()))
    return np.sort(np.array(chosen))
