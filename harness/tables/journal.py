"""The journal of a campaign: every visit with its raw samples, appended as it is made."""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from harness import files
from harness.errors import TableError
from harness.files import LineLog, read_lines
from harness.schema import Amount, Flag, Positive, checked, like
from harness.tables import facts
from harness.tables.record import Clock

Conditions = dict[str, float | str | None]
_At = Annotated[int, Field(strict=True, ge=0, lt=3_471_292_800 * 10**9)]
"""Unix time, ns, before 2080."""
_Entry = Annotated[int, Field(strict=True, ge=0, lt=10**6)]
_Round = Annotated[int, Field(strict=True, ge=0, lt=10**6)]
_Sample = Annotated[int, Field(strict=True, ge=-(10**15), le=10**15)]


def _told(values: Any) -> dict[str, Any]:
    """Older versions wrote clocks that tell nothing, too."""
    if not isinstance(values, dict):
        raise ValueError("no times by clock")
    return {clock: each for clock, each in values.items() if each}


def _above_zero(values: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    if "wall" not in values:
        raise ValueError("no time of the wall clock")
    for clock, each in values.items():
        # An energy can be below that of idling, and a thread be charged nothing for a run.
        if clock != "net" and min(each) < (0 if clock == "thread" else 1):
            raise ValueError(f"{clock}: {min(each)} is no time")
    return values


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit to one entry of the campaign."""

    entry: _Entry  # position in the campaign's list
    round: _Round
    at_ns: _At
    # By clock, one a run, or one for all `runs`.
    values: Annotated[
        Mapping[Clock, tuple[_Sample, ...]], BeforeValidator(_told), AfterValidator(_above_zero)
    ]
    runs: Amount | None = None
    memory_mb: Positive | None = None
    readings_before: int = field(default=0, compare=False)  # the order of lines tells


@dataclass(frozen=True, slots=True)
class Reading:
    """What the device said of itself: at the start and the end of a round, and in long ones."""

    round: _Round
    conditions: Annotated[Conditions, like(facts.Conditions)]
    at_work: Flag = True  # clocks are of what does the work; older versions read idle ones


@dataclass(frozen=True, slots=True)
class Sustained:
    """What runs of an entry took that were made back to back for long."""

    entry: _Entry
    at_ns: _At
    seconds: Positive
    runs: Amount
    latency_ns: Amount
    steady: Flag  # whether it had settled


class Journal:
    """Visits in a file that survives being killed at any moment.

    Making a journal over an existing file continues it; `visits`, `readings` and `sustained` (by
    entry) hold what is there already. A journal that was packed can only be read.
    """

    def __init__(self, path: Path) -> None:
        self._packed = packed(path)
        if self._packed.exists():  # a run that was killed while packing left both
            path.unlink(missing_ok=True)
        self._log = None if self._packed.exists() else LineLog(path)
        self.path = self._packed if self._log is None else path
        self.readings: list[Reading] = []
        self.sustained: dict[int, Sustained] = {}
        try:
            self.visits = list(self._read())
        except BaseException:
            self.close()
            raise

    def _read(self) -> Iterator[Visit]:
        last_round, made = 0, set()
        for number, line in read_lines(self.path):
            try:
                if isinstance(line, dict) and "sustained" in line:
                    sustained = checked(Sustained, line["sustained"])
                    self.sustained[sustained.entry] = sustained
                    continue
                if isinstance(line, dict):
                    self.readings.append(checked(Reading, {"at_work": False} | line))
                    continue
                visit = replace(_visit(line), readings_before=len(self.readings))
                if visit.round not in (last_round, last_round + 1):
                    raise ValueError(f"round {visit.round} follows round {last_round}")
                if visit.entry and (visit.entry, visit.round) in made:
                    raise ValueError(f"entry {visit.entry} a second time in round {visit.round}")
            except ValueError as error:
                raise TableError(
                    f"{self.path}:{number}: not a visit: {error}; move the file away to measure "
                    "again"
                ) from error
            last_round = visit.round
            made.add((visit.entry, visit.round))
            yield visit

    @property
    def is_packed(self) -> bool:
        """Whether its campaign is finished."""
        return self._log is None

    @classmethod
    def exists(cls, path: Path) -> bool:
        return path.exists() or packed(path).exists()

    def append_reading(self, reading: Reading) -> None:
        self._append(asdict(reading))
        self.readings.append(reading)

    def append_sustained(self, sustained: Sustained) -> None:
        self._append({"sustained": asdict(sustained)})
        self.sustained[sustained.entry] = sustained

    def append(self, visit: Visit) -> Visit:
        """The visit as it is read back: it knows the readings before it."""
        more = [] if visit.runs is None else [visit.runs, visit.memory_mb]
        self._append([visit.entry, visit.round, visit.at_ns, dict(visit.values), *more])
        self.visits.append(replace(visit, readings_before=len(self.readings)))
        return self.visits[-1]

    def _append(self, line: object) -> None:
        assert self._log is not None, f"{self.path} is packed"
        self._log.append(line)

    def pack(self) -> None:
        """Compress the file of a finished campaign, to about a fifth."""
        if self._log is None:
            return
        files.replace_atomically(self._packed, gzip.compress(self.path.read_bytes(), mtime=0))
        self.close()
        self.path.unlink()
        self._log, self.path = None, self._packed

    def close(self) -> None:
        if self._log is not None:
            self._log.close()


def _visit(line: Any) -> Visit:
    """Raises ValueError where it is none."""
    if not isinstance(line, list) or not 4 <= len(line) <= 7:
        raise ValueError("neither a visit nor a reading")
    entry, round_number, at_ns, values, *more = line
    if isinstance(values, list):  # as older versions wrote them
        values = {"wall": values, "thread": more.pop(0) if more else []}
    runs, memory_mb = more if len(more) == 2 else (None, None)
    return checked(
        Visit,
        {
            "entry": entry,
            "round": round_number,
            "at_ns": at_ns,
            "values": values,
            "runs": runs,
            "memory_mb": memory_mb,
        },
    )


def packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")
