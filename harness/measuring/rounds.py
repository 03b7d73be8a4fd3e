"""The order of visits: every entry once a round, in a new random order each time."""

from collections.abc import Iterator

import numpy as np


def rounds(entries: int, count: int, seed: int) -> Iterator[tuple[int, list[int]]]:
    """Each round's number and its order of entries; the same for the same seed."""
    for number in range(count):
        order = np.random.default_rng([seed, number]).permutation(entries)
        yield number, [int(entry) for entry in order]
