"""What every latency predictor answers, whatever it is made from."""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from harness.spaces.genome import Genomes
from harness.tables.statements import Statements


class LatencyPredictor(Protocol):
    """What a search asks for latencies, or energies."""

    @property
    def statements(self) -> Statements:
        """What is known of a network, by its predicted latency at full speed; "full" is among them.

        A predictor of energies has that alone.
        """

    def predict(self, genomes: Genomes) -> npt.NDArray[np.float64]:
        """Predicted latency of each network at full speed, ms, [n]; of a table of energies, mJ."""

    def smallest(self) -> tuple[float, Genomes]:
        """The lowest latency that any network of the space has, ms, and that network's row."""

    def describe(self) -> str:
        """What the predictions rest on, and how good they are."""

    def facts(self) -> dict[str, Any]:
        """The same as figures, for `front.json`."""
