"""One line of a table: what was measured, in which campaign, and the statistics over its visits."""

import json
import re
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasGenerator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    with_config,
)

from harness.errors import FileFormatError, TableError
from harness.schema import Amount, adapter, checked, explained
from harness.spaces.arch import Arch
from harness.spaces.block import Block

CLOCKS = ("wall", "thread", "device", "net", "gross", "resident")
"""Of latency: of the wall, of our thread's CPU time, of the GPU itself. Of energy: less what the
idle device takes, or all. Of memory: by how much a process grew."""
Clock = Annotated[str, Field(pattern=rf"^({'|'.join(CLOCKS)})$")]
UNITS = {"latency": "ns", "energy": "nj", "memory": "bytes"}
SHOWN = {"latency": "ms", "energy": "mJ", "memory": "MB"}  # a million of them
Quantity = Annotated[str, Field(pattern=rf"^({'|'.join(UNITS)})$")]
MegaBytes = Annotated[float, Field(strict=True, gt=0, le=1e9)]


def quantity_of(clock: str) -> str:
    """What the clock tells."""
    return {"net": "energy", "gross": "energy", "resident": "memory"}.get(clock, "latency")


SEEN = ("p50", "p90", "p99", "sustained")
"""What users see of a latency, beside the time at full speed."""
_VALUES = (
    *("value", "low", "high", "first_half", "second_half"),
    *("lower_quartile", "median", "maximum", *SEEN),
)


def _with_unit(name: str, unit: str) -> str:
    return f"{_SHORT.get(name, name)}_{unit}" if name in _VALUES else name


def _in_files(name: str) -> str | AliasChoices:
    """A field's name, with a unit."""
    return AliasChoices(*(_with_unit(name, unit) for unit in UNITS.values()))


_SHORT = {"maximum": "max"}
_AS_LINES = ConfigDict(extra="forbid", alias_generator=AliasGenerator(validation_alias=_in_files))


@with_config(_AS_LINES)
@dataclass(frozen=True, slots=True)
class Statistics:
    """What the visits of one workload say, in the quantity's unit: ns, nJ or bytes.

    None where a foreign source does not tell.
    """

    value: Amount  # the estimate: the fastest run, the middle energy or memory
    low: Amount  # 95 % of what as many visits to the same workload give while the machine is at the
    high: Amount  # same level; `tables.repeat` adds what campaigns differ by
    first_half: Amount | None  # the estimate from the first and the second half of the visits:
    second_half: Amount | None  # their difference is the noise floor
    lower_quartile: Amount | None  # over visits of their median runs, so are the next two
    median: Amount | None
    maximum: Amount | None
    visits: Amount
    runs: Amount
    memory_mb: MegaBytes | None = None  # the most that the runtime grew by, where it tells
    # What users see, on the wall clock alone: shares of all runs, and of those made back to back.
    p50: Amount | None = None
    p90: Amount | None = None
    p99: Amount | None = None  # from 100 runs on
    sustained: Amount | None = None

    def scaled(self, factor: float) -> "Statistics":
        """The same on a machine that takes `factor` times as much."""
        values: dict[str, Any] = {name: getattr(self, name) for name in _VALUES}
        for name, value in values.items():
            values[name] = None if value is None else max(1, round(value * factor))
        return replace(self, **values)

    def to_json(self, unit: str) -> dict[str, Any]:
        """With the unit in the names."""
        statistics = asdict(self).items()
        known = {name: value for name, value in statistics if value is not None or name not in SEEN}
        return {_with_unit(name, unit): value for name, value in known.items()}

    @classmethod
    def from_json(cls, value: Any, unit: str) -> "Statistics":
        """Raises ValueError where `value` is not whole, or of another unit."""
        found = _in_order(checked(cls, value))
        if _with_unit("value", unit) not in value:
            raise ValueError(f"statistics that are not in {unit}")
        return found


def _in_order(statistics: Statistics) -> Statistics:
    """Raises ValueError where ends or shares of runs are the wrong way round."""
    if not statistics.low <= statistics.value <= statistics.high:
        raise ValueError(
            f"{statistics.value} is not between its ends, {statistics.low} and {statistics.high}"
        )
    if not _grow(statistics.lower_quartile, statistics.median, statistics.maximum):
        raise ValueError("lower quartile, median and maximum do not grow")
    if not _grow(statistics.p50, statistics.p90, statistics.p99):
        raise ValueError("p50, p90 and p99 do not grow")
    return statistics


def _grow(first: int | None, second: int | None, third: int | None) -> bool:
    """Those that are known."""
    if first is not None and second is not None and third is not None:
        return first <= second <= third
    known = [each for each in (first, second, third) if each is not None]
    return known == sorted(known)


def _block(key: Any) -> Block:
    if not isinstance(key, str):
        raise ValueError("no name of a block")
    return _parsed(key)


_parsed = lru_cache(maxsize=100_000)(Block.parse)


def _arch(value: Any) -> Arch | None:
    return Arch.from_json(value) if value else None


@with_config(ConfigDict(extra="forbid"))
@dataclass(frozen=True, slots=True)
class Record:
    """One measured quantity of one workload.

    Roles: `block` (an entry of the table), `anchor` (a network that calibrates sums of blocks),
    `holdout` (a network that judges the calibrated sums), `network` (any other network),
    `sentinel` (visited all along: how steady the machine was).
    """

    role: Annotated[str, Field(pattern=r"^(sentinel|block|anchor|holdout|network)$")]
    blocks: Annotated[tuple[Annotated[Block, PlainValidator(_block)], ...], Field(min_length=1)]
    arch: Annotated[Arch | None, BeforeValidator(_arch)]  # of networks
    quantity: Quantity
    clock: Clock
    campaign: Annotated[str, Field(max_length=200)]
    statistics: Annotated[Statistics, AfterValidator(_in_order)]
    suspect: tuple[str, ...] = ()  # why the numbers deserve doubt

    @property
    def key(self) -> tuple[object, ...]:
        """What a table holds at most once."""
        return self.role, self.blocks, self.quantity, self.clock, self.campaign

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

    def to_row(self) -> dict[str, Any]:
        """It without parts in parts, in ms, mJ or MB: one cell for each value that it has."""
        what = " ".join(block.key for block in self.blocks)
        if self.arch is not None:
            what = json.dumps(self.arch.to_json())
        unit = SHOWN[self.quantity].lower()
        statistics = {
            f"{_SHORT.get(name, name)}_{unit}": None if value is None else value / 1e6
            for name, value in asdict(self.statistics).items()
            if name in _VALUES
        }
        return {
            "role": self.role,
            "what": what,
            "clock": self.clock,
            "campaign": self.campaign,
            "visits": self.statistics.visits,
            "runs": self.statistics.runs,
            "memory_mb": self.statistics.memory_mb,
            "suspect": "; ".join(self.suspect),
        } | statistics

    @classmethod
    def parse(cls, line: str) -> "Record":
        """Read a line of a table.

        Raises:
            TableError: it is no record.
        """
        try:
            record: Record = adapter(cls).validate_json(line)
        except ValidationError as error:
            raise TableError(f"not a record: {explained(error)}") from error
        except FileFormatError as error:
            raise TableError(f"not a record: {error}") from error
        _check_keys(line)
        if not _VALUE_KEYS[record.quantity].search(line):
            raise TableError(f"not a record: {record.quantity} in another unit")
        return record


def _check_keys(line: str) -> None:
    """Raises TableError where a key is there twice: pydantic takes the last."""
    texts = line.split('"')[1::2]  # keys and values, where no quote is escaped
    if len(set(texts)) == len(texts) and "\\" not in line:
        return
    names = _NAMES.findall(line)
    if len(set(names)) < len(names):
        doubled = next(name for name in names if names.count(name) > 1)
        raise TableError(f"not a record: the key {doubled!r} is there twice")


_VALUE_KEYS = {quantity: re.compile(rf'"value_{unit}"\s*:') for quantity, unit in UNITS.items()}
_NAMES = re.compile(r'"(\w+)"\s*:')
"""Keys of a record: those of its parts have other names than its own."""
