"""Latency or energy of any network of a space, from a table of its blocks and their calibration."""

from collections.abc import Set
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import TableError
from harness.spaces.block import Block
from harness.spaces.cost import CostTable
from harness.spaces.genome import Genomes
from harness.spaces.space import Space
from harness.tables.calibration import Calibration, block_value, calibrate
from harness.tables.end_to_end import EndToEndError, calibrated_statements, end_to_end_error
from harness.tables.statements import Statements, error_facts
from harness.tables.table import Table


@dataclass(frozen=True)
class BlockTablePredictor:
    """Calibrated sums over a table's blocks, for whole populations at once."""

    costs: CostTable  # calibrated, ns or nJ
    calibration: Calibration
    error: EndToEndError | None  # None: it was never compared with whole networks
    statements: Statements

    @classmethod
    def from_table(
        cls, table: Table, space: Space, clock: str, campaign: str | None = None
    ) -> "BlockTablePredictor":
        """Predict for the machine as it was during `campaign` (default: the table's own).

        Raises:
            TableError: the table is of another space, lacks a block, or cannot be calibrated.
        """
        if table.space != space.name:
            raise TableError(f"the table of {table.device} is for {table.space}, not {space.name}")
        calibration = calibrate(table, clock, campaign)
        times = table.block_values(clock)
        known = [r for r in space.resolutions if set(space.distinct_blocks((r,))) <= times.keys()]
        if not known:
            missing = next(block for block in space.distinct_blocks() if block not in times)
            others = ",".join(map(str, resolutions_in(times.keys(), space)))
            to_do = f"it has --resolutions {others}" if others else "`harness measure` goes on"
            raise TableError(
                f"the table of {table.device} covers no resolution of {space.name} whole; it lacks "
                f"{missing.key} and others: {to_do}"
            )
        costs = CostTable.of(
            space, lambda block: calibration.block_part(block, block_value(times, block)), known
        )
        judged = table.source is None and any(r.role == "holdout" for r in table.records)
        error = end_to_end_error(table, clock) if judged else None
        return cls(costs, calibration, error, calibrated_statements(table, clock, campaign))

    def describe(self) -> str:
        if self.error is None:
            return "sums of blocks, never compared with whole networks here"
        return self.error.describe()

    def facts(self) -> dict[str, Any]:
        """The error and the calibration of a table of latencies."""
        judged = asdict(self.error) if self.error else {}
        found = asdict(self.calibration)
        for name in ("per_block", "per_parameter", "offset"):
            found[f"{name}_ns"] = found.pop(name)
        return judged | found | error_facts(self.statements) | {"rests_on": self.describe()}

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Those that the table covers; networks of others have an infinite latency."""
        return self.costs.resolutions

    def predict(self, genomes: Genomes) -> npt.NDArray[np.float64]:
        """Predicted latency of each network, ms (energy: mJ), [n]."""
        return (self.costs.total(genomes) + self.calibration.offset) / 1e6

    def smallest(self) -> tuple[float, Genomes]:
        """The least that any network of the space takes, ms or mJ, and that network's row."""
        cost, genome = self.costs.cheapest()
        return (cost + self.calibration.offset) / 1e6, genome


def resolutions_in(blocks: Set[Block], space: Space) -> tuple[int, ...]:
    """Those that the blocks cover whole, also where the space only runs at them."""
    inputs = {block.input_shape for block in blocks}
    images = {s[-1] for s in inputs if len(s) == 3 and s[0] == space.image_channels}
    sentences = {s[0] for s in inputs if len(s) == 2}
    return tuple(
        r
        for r in sorted(images | sentences)
        if space.runs_at(r) and blocks >= set(space.distinct_blocks((r,)))
    )
