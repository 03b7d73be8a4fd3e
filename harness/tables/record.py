"""One line of a table: what was measured, in which campaign, and the statistics over its visits."""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.errors import FileFormatError, TableError
from harness.spaces.arch import Arch
from harness.spaces.block import Block

ROLES = ("sentinel", "block", "anchor", "holdout", "network")
CLOCKS = ("wall", "thread", "device", "net", "gross")
"""Of latency: of the wall, of our thread's CPU time, of the GPU itself. Of energy: less what the
idle device takes, or all."""
UNITS = {"latency": "ns", "energy": "nj"}


def quantity_of(clock: str) -> str:
    """What the clock tells."""
    return "energy" if clock in ("net", "gross") else "latency"


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the visits of one workload say, in the quantity's unit: ns of latency, nJ of energy.

    None where a foreign source does not tell.
    """

    value: int  # the estimate: the fastest run, the middle energy
    low: int  # 95 % of what as many visits to the same workload give while the machine is at the
    high: int  # same level; `tables.repeat` adds what campaigns differ by
    first_half: int | None  # the estimate from the first and the second half of the visits:
    second_half: int | None  # their difference is the noise floor
    lower_quartile: int | None  # over visits of their median runs, so are the next two
    median: int | None
    maximum: int | None
    visits: int
    runs: int
    memory_mb: float | None = None  # the most that the runtime grew by, where it tells
    # What users see, on the wall clock alone: shares of all runs, and of those made back to back.
    p50: int | None = None
    p90: int | None = None
    p99: int | None = None  # from 100 runs on
    sustained: int | None = None

    def scaled(self, factor: float) -> "Statistics":
        """The same on a machine that takes `factor` times as much."""
        values: dict[str, Any] = {name: getattr(self, name) for name in _VALUES}
        for name, value in values.items():
            values[name] = None if value is None else max(1, round(value * factor))
        return replace(self, **values)

    def to_json(self, unit: str) -> dict[str, Any]:
        """With the unit in the names."""
        told = asdict(self).items()
        known = {name: value for name, value in told if value is not None or name not in SEEN}
        return {_with_unit(name, unit): value for name, value in known.items()}

    @classmethod
    def from_json(cls, value: dict[str, Any], unit: str) -> "Statistics":
        """Raises KeyError or TypeError where `value` is not whole."""
        known = {_with_unit(name, unit): name for name in cls.__dataclass_fields__}
        return cls(**{known[name]: each for name, each in value.items()})


SEEN = ("p50", "p90", "p99", "sustained")
"""What users see of a latency, beside the time at full speed."""
_VALUES = (
    *("value", "low", "high", "first_half", "second_half"),
    *("lower_quartile", "median", "maximum", *SEEN),
)


def _with_unit(name: str, unit: str) -> str:
    return f"{_SHORT.get(name, name)}_{unit}" if name in _VALUES else name


_SHORT = {"maximum": "max"}


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
    quantity: str  # "latency" or "energy"
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
            "statistics": self.statistics.to_json(UNITS[self.quantity]),
            "suspect": list(self.suspect),
        }

    @classmethod
    def from_json(cls, value: Any) -> "Record":
        """Raises TableError where `value` is not a record."""
        try:
            statistics = Statistics.from_json(value["statistics"], UNITS[value["quantity"]])
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
        except (KeyError, TypeError, AttributeError, FileFormatError) as error:
            raise TableError(f"not a record: {error}") from error
        if record.role not in ROLES or record.clock not in CLOCKS or not record.blocks:
            raise TableError(f"not a record: role {record.role!r}, clock {record.clock!r}")
        memory_mb = told.pop("memory_mb", 1)
        if not all(isinstance(number, int) and number > 0 for number in told.values()):
            raise TableError("not a record: statistics must be whole numbers above 0")
        if not isinstance(memory_mb, int | float) or not 0 < memory_mb < math.inf:
            raise TableError("not a record: memory_mb must be a number above 0")
        return record
