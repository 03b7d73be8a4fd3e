"""One line of a table: what was timed, in which campaign, and the statistics over its visits."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.errors import FileFormatError, TableError
from harness.spaces.arch import Arch
from harness.spaces.block import Block

ROLES = ("sentinel", "block", "anchor", "holdout", "network")
CLOCKS = ("wall", "thread")


@dataclass(frozen=True, slots=True)
class Statistics:
    """Times over the visits of one workload, in ns; None where a foreign source does not tell."""

    value_ns: int  # the estimate at full speed: the fastest run
    low_ns: int  # 95 % interval of estimates from random halves of the visits
    high_ns: int
    first_half_ns: int | None  # the estimate from the first and the second half of the visits:
    second_half_ns: int | None  # their difference is the noise floor
    lower_quartile_ns: int | None  # over visits of their median runs, so are the next two
    median_ns: int | None
    max_ns: int | None
    visits: int
    runs: int
    memory_mb: float | None = None  # the most that the runtime grew by, where it tells

    def scaled(self, factor: float) -> "Statistics":
        """The same on a machine that takes `factor` times as long."""
        times = {
            name: None if ns is None else max(1, round(ns * factor))
            for name, ns in asdict(self).items()
            if name.endswith("_ns")
        }
        return replace(self, **times)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Record:
    """One measured quantity of one workload.

    Roles: `block` (an entry of the table), `anchor` (a network that calibrates sums of blocks),
    `holdout` (a network that judges the calibrated sums), `network` (any other network),
    `sentinel` (visited all along: how steady the machine was).
    """

    role: str
    blocks: tuple[Block, ...]
    arch: Arch | None  # of networks
    quantity: str  # "latency"
    clock: str
    campaign: str
    statistics: Statistics
    suspect: tuple[str, ...] = ()  # why the numbers deserve doubt

    @property
    def key(self) -> tuple[str, ...]:
        """What a table holds at most once."""
        workload = " ".join(block.key for block in self.blocks)
        return self.role, workload, self.quantity, self.clock, self.campaign

    def to_json(self) -> dict[str, Any]:
        return {
            "role": self.role,
            "blocks": [block.key for block in self.blocks],
            "arch": self.arch.to_json() if self.arch else None,
            "quantity": self.quantity,
            "clock": self.clock,
            "campaign": self.campaign,
            "statistics": asdict(self.statistics),
            "suspect": list(self.suspect),
        }

    @classmethod
    def from_json(cls, value: Any) -> "Record":
        """Raises TableError where `value` is not a record."""
        try:
            statistics = Statistics(**value["statistics"])
            record = cls(
                role=value["role"],
                blocks=tuple(Block.parse(key) for key in value["blocks"]),
                arch=Arch.from_json(value["arch"]) if value["arch"] else None,
                quantity=value["quantity"],
                clock=value["clock"],
                campaign=value["campaign"],
                statistics=statistics,
                suspect=tuple(value["suspect"]),
            )
            told = {name: n for name, n in asdict(statistics).items() if n is not None}
        except (KeyError, TypeError, FileFormatError) as error:
            raise TableError(f"not a record: {error}") from error
        if record.role not in ROLES or record.clock not in CLOCKS or not record.blocks:
            raise TableError(f"not a record: role {record.role!r}, clock {record.clock!r}")
        memory_mb = told.pop("memory_mb", 1)
        if not all(isinstance(number, int) and number > 0 for number in told.values()):
            raise TableError("not a record: statistics must be whole numbers above 0")
        if not isinstance(memory_mb, int | float) or not 0 < memory_mb < math.inf:
            raise TableError("not a record: memory_mb must be a number above 0")
        return record
