"""Latencies by a user's function of an arch."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import HarnessError, PredictorError
from harness.spaces.arch import Arch
from harness.spaces.cost import CostTable
from harness.spaces.genome import Genomes, decode
from harness.spaces.space import Space
from harness.tables.statements import SILENT, Statements


@dataclass(frozen=True)
class LatencyFunction:
    """A predictor by a function of an arch, ms; of its error nobody knows."""

    space: Space
    function: Callable[[Arch], float]
    known: dict[bytes, float] = field(default_factory=dict)

    @property
    def statements(self) -> Statements:
        return SILENT

    def predict(self, genomes: Genomes) -> npt.NDArray[np.float64]:
        """Raises PredictorError where the function fails, or gives what is no time."""
        return np.array([self._known(row) for row in genomes])

    def _known(self, genome: npt.NDArray[np.int16]) -> float:
        """Each network's once: a search asks again and again."""
        key = genome.tobytes()
        if key not in self.known:
            try:
                latency_ms = float(self.function(decode(self.space, genome)))
            except HarnessError:
                raise
            except Exception as error:  # whatever a function of others raises
                raise PredictorError(f"the latency's function failed: {error!r:.300}") from error
            if not 0 < latency_ms < math.inf:
                raise PredictorError(f"the latency's function gave {latency_ms}: no time in ms")
            self.known[key] = latency_ms
        return self.known[key]

    def smallest(self) -> tuple[float, Genomes]:
        """Nobody knows the least: above zero, and the network of the fewest MACs is where to
        start."""
        return 0.0, CostTable.of(self.space, lambda block: block.macs).cheapest()[1]

    def describe(self) -> str:
        return "latency: by a function, which says nothing of its error"

    def facts(self) -> dict[str, Any]:
        return {}
