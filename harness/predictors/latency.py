"""What every latency predictor answers, whatever it is made from."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from harness.spaces.genome import Genomes


class LatencyPredictor(Protocol):
    """One of the two twins that a search looks at."""

    @property
    def relative_error(self) -> float | None:
        """95 % of networks are expected to be measured closer than this; None: nobody knows."""

    def predict(self, genomes: Genomes) -> npt.NDArray[np.float64]:
        """Predicted latency of each network, ms, [n]; of a table of energies, mJ."""

    def smallest(self) -> tuple[float, Genomes]:
        """The lowest latency that any network of the space has, ms, and that network's row."""

    def describe(self) -> str:
        """What the predictions rest on, and how good they are."""

    def facts(self) -> dict[str, Any]:
        """The same as figures, for `front.json`."""


def interval_ms(latency_ms: float, relative_error: float | None) -> tuple[float, float] | None:
    """Where a network predicted at `latency_ms` is expected with a chance of 95 %."""
    if relative_error is None:
        return None
    return latency_ms / (1 + relative_error), latency_ms * (1 + relative_error)
