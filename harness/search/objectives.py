"""What a search looks at: latency to keep low, accuracy to raise."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import InfeasibleConstraint
from harness.spaces.genome import Genomes
from harness.spaces.space import Space

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Objectives:
    """Both objectives for whole populations, and the network with the lowest latency."""

    space: Space
    latency_ms: Callable[[Genomes], Floats]
    accuracy: Callable[[Genomes], Floats]  # percent
    smallest_ms: float
    smallest: Genomes  # one row

    def check_feasible(self, max_latency_ms: float) -> None:
        """Raises InfeasibleConstraint, at once, where no network is fast enough."""
        if max_latency_ms < self.smallest_ms:
            raise InfeasibleConstraint(
                f"no network of {self.space.name} takes {max_latency_ms:g} ms or less; "
                f"the smallest achievable latency is {_rounded_up(self.smallest_ms)} ms"
            )


def _rounded_up(latency_ms: float) -> float:
    """To four digits, so that asking for the number shown succeeds."""
    digits = 4 - math.ceil(math.log10(latency_ms))
    scale = 10.0**digits
    return round(math.ceil(latency_ms * scale) / scale, digits)


@dataclass(frozen=True)
class Found:
    """Networks with their predicted objectives, in order of rising latency."""

    genomes: Genomes  # [n, genes]
    latency_ms: Floats  # [n]
    accuracy: Floats  # [n], percent
