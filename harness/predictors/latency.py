"""Latency of any network of a space, from a table and its calibration."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import TableError
from harness.spaces.cost import CostTable
from harness.spaces.genome import Genomes
from harness.spaces.space import Space
from harness.tables.calibration import Calibration, block_time, calibrate
from harness.tables.table import Table


@dataclass(frozen=True)
class LatencyPredictor:
    """Calibrated sums over a table's blocks, for whole populations at once."""

    costs: CostTable  # calibrated, ns
    calibration: Calibration

    @classmethod
    def from_table(
        cls, table: Table, space: Space, clock: str, campaign: str | None = None
    ) -> "LatencyPredictor":
        """Predict for the machine as it was during `campaign` (default: the table's own).

        Raises:
            TableError: the table is of another space, lacks a block, or cannot be calibrated.
        """
        if table.space != space.name:
            raise TableError(f"the table of {table.device} is for {table.space}, not {space.name}")
        measured = table.block_campaign()
        campaign = campaign or measured
        calibration = calibrate(table, clock, campaign)
        times = table.block_ns(clock, measured)
        costs = CostTable.of(space, lambda block: calibration.block_ns(block_time(times, block)))
        return cls(costs, calibration)

    def latency_ms(self, genomes: Genomes) -> npt.NDArray[np.float64]:
        """Predicted latency of each network, [n]."""
        return (self.costs.total(genomes) + self.calibration.offset_ns) / 1e6

    def smallest(self) -> tuple[float, Genomes]:
        """The lowest latency that any network of the space has, ms, and that network's row."""
        cost_ns, genome = self.costs.cheapest()
        return (cost_ns + self.calibration.offset_ns) / 1e6, genome
