"""A linear model of accuracy, learned while searching: which children are worth asking for.

Asking an accuracy predictor (or a user's own function) is what a search spends its time on. A
sum over genes tells the better from the worse of many children for a hundredth of that.
"""

import numpy as np

from harness.searching.objectives import Floats
from harness.spaces.genome import Genomes, present
from harness.spaces.space import Space

_MEMORY = 0.98  # of what earlier batches taught: the search moves on
_RIDGE = 3.0


class Guide:
    """Its state is the normal equations of what it was taught."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._starts = np.cumsum([0, *space.sizes])  # of each gene's choices; last the constant
        self._squares = np.zeros((self._starts[-1] + 1,) * 2)
        self._products = np.zeros(self._starts[-1] + 1)
        self._level: float | None = None
        self._weights = self._products

    def learn(self, genomes: Genomes, accuracy: Floats) -> None:
        """Take in what a batch of networks turned out to have."""
        if self._level is None:
            self._level = float(accuracy.mean())
        marks = np.zeros((len(genomes), len(self._products)), np.float32)
        np.put_along_axis(marks, self._columns(genomes), present(self._space, genomes), axis=1)
        marks[:, -1] = 1
        self._squares = _MEMORY * self._squares + marks.T @ marks
        self._products = _MEMORY * self._products + marks.T @ (accuracy - self._level)
        ridge = _RIDGE * np.eye(len(self._products))
        self._weights = np.linalg.solve(self._squares + ridge, self._products)

    def score(self, genomes: Genomes) -> Floats:
        """What is expected of each network, up to a constant, [n]."""
        weights = self._weights[self._columns(genomes)] * present(self._space, genomes)
        return np.asarray(weights.sum(axis=1))

    def _columns(self, genomes: Genomes) -> Genomes:
        return np.asarray(genomes + self._starts[:-1])
