"""Which images of a folder are not trained on: some choose between networks, others judge them."""

import numpy as np
import numpy.typing as npt

SHARE = 5  # a class gives one image in so many
FEW = 1000  # held-out images up to which a whole fifth is given; then a tenth of all
_SPLIT = 11  # a stream of random numbers, besides those of draws.py and folder.py

Chosen = npt.NDArray[np.bool_]


def split(labels: npt.NDArray[np.int64], limit: int, seed: int) -> tuple[Chosen, Chosen]:
    """Which images are held out, and as many others for a test, by the same rule.

    The classes take turns, each gives at most a fifth of its own: a class of two to nine images
    one. In all they are a fifth up to FEW, then a tenth, and never more than `limit`. To the test
    no class gives its last image.
    """
    count = len(labels)
    most = min(limit, max(1, count // 10, min(count // SHARE, FEW)))
    order = np.random.default_rng([seed, _SPLIT]).permutation(count)
    sizes = np.bincount(labels)
    by_class = order[np.argsort(labels[order], kind="stable")]
    turn = np.empty(count, np.int64)  # of an image among those of its class
    turn[by_class] = np.arange(count) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    quota = np.maximum(sizes // SHARE, sizes > 1)
    held = _first(order, turn, (turn < quota[labels]), most)
    last = np.minimum(2 * quota, sizes - 1)[labels]
    return held, _first(order, turn, (turn >= quota[labels]) & (turn < last), most)


def _first(
    order: npt.NDArray[np.int64], turn: npt.NDArray[np.int64], candidates: Chosen, most: int
) -> Chosen:
    """At most so many of the candidates, those with the first turns."""
    in_order = order[candidates[order]]
    chosen = np.zeros(len(order), bool)
    chosen[in_order[np.argsort(turn[in_order], kind="stable")][:most]] = True
    return chosen
