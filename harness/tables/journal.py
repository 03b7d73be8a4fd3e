"""The journal of a campaign: every visit with its raw samples, appended as it is made."""

import gzip
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from harness import files
from harness.errors import TableError
from harness.files import LineLog, read_lines

Conditions = dict[str, float | str | None]


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit to one entry of the campaign."""

    entry: int  # position in the campaign's list
    round: int
    at_ns: int  # Unix time
    values: Mapping[str, tuple[int, ...]]  # by clock, one a run, or one for all `runs`
    runs: int | None = None
    memory_mb: float | None = None
    readings_before: int = field(default=0, compare=False)  # the order of lines tells


@dataclass(frozen=True, slots=True)
class Reading:
    """What the device said of itself: at the start and the end of a round, and in long ones."""

    round: int
    conditions: Conditions
    at_work: bool = True  # clocks are of what does the work; older versions read idle ones


@dataclass(frozen=True, slots=True)
class Sustained:
    """What runs of an entry took that were made back to back for long."""

    entry: int
    at_ns: int  # Unix time
    seconds: float
    runs: int
    latency_ns: int
    steady: bool  # whether it had settled


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
        for number, line in read_lines(self.path):
            try:
                if isinstance(line, dict) and "sustained" in line:
                    sustained = Sustained(**line["sustained"])
                    self.sustained[sustained.entry] = sustained
                    continue
                if isinstance(line, dict):
                    at_work = line.get("at_work", False)
                    self.readings.append(Reading(line["round"], line["conditions"], at_work))
                    continue
                entry, round_number, at_ns, values, *more = line
                if isinstance(values, list):  # as older versions wrote them
                    values = {"wall": values, "thread": more.pop(0)}
                values = {clock: tuple(each) for clock, each in values.items() if each}
                visit = Visit(entry, round_number, at_ns, values, *more)
                yield replace(visit, readings_before=len(self.readings))
            except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
                raise TableError(
                    f"{self.path}:{number}: not a visit; move the file away to measure again"
                ) from error

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


def packed(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")
