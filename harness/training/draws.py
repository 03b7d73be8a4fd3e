"""Which images a step is trained on: from the seed and the step's number alone.

Each epoch goes through all training images in a new order. A step's global batch is cut into
micro-batches, shared out to ranks in their order: two ranks see exactly what one rank that
accumulates two micro-batches sees.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from harness.training.judging import Tests

_ORDER, _AUGMENT, _RESOLUTION, _DROPOUT = 1, 2, 3, 4  # streams of random numbers


@dataclass(frozen=True)
class Draw:
    """One micro-batch."""

    indices: npt.NDArray[np.int64]  # of training images
    resolution: int  # pixels
    seed: int  # of their augmentation


class ImageData(Protocol):
    """A data set, as training and evaluation see it; of sentences, too, see sentences.py."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def channels(self) -> int: ...

    @property
    def count(self) -> int:
        """Training images, held-out ones not among them."""

    @property
    def mean(self) -> float | tuple[float, ...]:
        """Of pixel values in [0, 1]."""

    @property
    def std(self) -> float | tuple[float, ...]: ...

    @property
    def facts(self) -> dict[str, Any]:
        """Plain values that tell this data from other data."""

    def stream(self, draws: Iterable[Draw]) -> Iterator[tuple[Tensor, Tensor]]:
        """For each draw: augmented, normalised images [n, channels, r, r], labels [n]."""

    def calibration(self, resolution: int) -> Sequence[Tensor]:
        """Batches of training images, always the same, for batch-norm statistics."""

    def judges(self, resolution: int) -> Sequence[tuple[Tensor, Tensor]]:
        """Batches of validation images and their labels."""

    def tests(self, resolution: int) -> Tests:
        """What the networks that were chosen are judged on."""


@dataclass(frozen=True)
class Share:
    """A rank's part of each global batch."""

    rank: int = 0
    ranks: int = 1
    accumulate: int = 1  # micro-batches of each rank


def draws(
    count: int, batch_size: int, resolution: int, seed: int, step: int, share: Share
) -> list[Draw]:
    """The rank's micro-batches of one step, from `count` training images."""
    places = np.arange(step * batch_size, (step + 1) * batch_size)
    chosen = np.concatenate(
        [
            _order(count, seed, int(epoch))[places[places // count == epoch] % count]
            for epoch in np.unique(places // count)
        ]
    )
    parts = np.array_split(chosen, share.ranks * share.accumulate)
    first = share.rank * share.accumulate
    return [
        Draw(parts[part], resolution, _seed(seed, step, part))
        for part in range(first, first + share.accumulate)
    ]


def resolution_of(resolutions: Sequence[int], seed: int, step: int) -> int:
    """The step's, in pixels; the same for all ranks."""
    return resolutions[
        int(np.random.default_rng([seed, _RESOLUTION, step]).integers(len(resolutions)))
    ]


def dropout_seed(seed: int, step: int, share: Share, number: int, subnet: int) -> int:
    """What one pass drops: of a step's sub-network, on the rank's micro-batch `number`."""
    part = share.rank * share.accumulate + number
    return int(np.random.default_rng([seed, _DROPOUT, step, part, subnet]).integers(2**62))


@lru_cache(maxsize=2)
def _order(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    return np.random.default_rng([seed, _ORDER, epoch]).permutation(count)


def _seed(seed: int, step: int, part: int) -> int:
    return int(np.random.default_rng([seed, _AUGMENT, step, part]).integers(2**62))
