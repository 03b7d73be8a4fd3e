"""What chosen networks are judged on, and how sure one can be of what comes out."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from harness.networks.file import NetworkFile

Answers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


class Tests(Protocol):
    """What neither training nor any choice has seen."""

    @property
    def labels(self) -> Answers:
        """As answers are, [n, ...]."""

    @property
    def originals(self) -> Answers:
        """[n]: those made from one original have the same number."""

    def inputs(self, network: NetworkFile) -> Floats:
        """What the network takes, [n, ...]."""

    def answers(self, logits: Floats) -> Answers:
        """What the network says, [n, ...]."""

    def judged(self, answers: Answers) -> tuple[float, tuple[float, float]]:
        """Top-1 or BLEU, percent, and its 95 % interval."""


@dataclass(frozen=True)
class TestImages:
    """Images; answers are classes."""

    images: Tensor  # [n, channels, r, r], normalised
    labels: Answers  # [n]
    originals: Answers  # [n]: those made from one original have the same number

    def inputs(self, _network: NetworkFile) -> Floats:
        """The images, for all networks."""
        return np.asarray(self.images.contiguous().numpy())

    def answers(self, logits: Floats) -> Answers:
        """The most likely class of each, [n]."""
        return np.asarray(logits.argmax(axis=1), dtype=np.int64)

    def judged(self, answers: Answers) -> tuple[float, tuple[float, float]]:
        """Top-1, percent, and its interval."""
        rng = np.random.default_rng(0)
        interval = top1_interval(answers, self.labels, self.originals, rng)
        return top1(answers, self.labels), interval


def top1(predicted: npt.NDArray[np.integer], labels: npt.NDArray[np.integer]) -> float:
    """Share of right answers, percent."""
    return float(np.mean(predicted == labels) * 100)


def top1_interval(
    predicted: npt.NDArray[np.integer],
    labels: npt.NDArray[np.integer],
    originals: npt.NDArray[np.integer],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """95 % interval of the accuracy, percent, by bootstrap over originals.

    Images made from one original are right or wrong together, so the original is what is drawn.
    """
    names, group = np.unique(originals, return_inverse=True)
    right = np.bincount(group, predicted == labels)
    size = np.bincount(group)
    draws = rng.integers(0, len(names), (1000, len(names)))
    accuracies = right[draws].sum(axis=1) / size[draws].sum(axis=1) * 100
    low, high = np.percentile(accuracies, [2.5, 97.5])
    return float(low), float(high)
