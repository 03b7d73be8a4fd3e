"""The journal of a campaign: every visit with its raw samples, appended as it is made."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.errors import TableError
from harness.files import LineLog, read_lines

Conditions = dict[str, float | str | None]


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit to one entry of the campaign."""

    entry: int  # position in the campaign's list
    round: int
    at_ns: int  # Unix time
    wall_ns: tuple[int, ...]  # one value a run
    thread_ns: tuple[int, ...] | None


class Journal:
    """Visits in a file that survives being killed at any moment.

    Making a journal over an existing file continues it; `visits` and `conditions` hold what is
    there already.
    """

    def __init__(self, path: Path) -> None:
        self._log = LineLog(path)
        self.conditions: list[Conditions] = []
        try:
            self.visits = list(self._read())
        except BaseException:
            self._log.close()
            raise

    def _read(self) -> Iterator[Visit]:
        for number, line in read_lines(self._log.path):
            try:
                if isinstance(line, dict):
                    self.conditions.append(line["conditions"])
                    continue
                entry, round_number, at_ns, wall_ns, thread_ns = line
                thread = tuple(thread_ns) if thread_ns is not None else None
                yield Visit(entry, round_number, at_ns, tuple(wall_ns), thread)
            except (KeyError, TypeError, ValueError) as error:
                raise TableError(
                    f"{self._log.path}:{number}: not a visit; delete the file to measure again"
                ) from error

    def append_conditions(self, conditions: Conditions) -> None:
        """What the device said of itself at the start or the end of a sitting."""
        self._log.append({"conditions": conditions})
        self.conditions.append(conditions)

    def append(self, visit: Visit) -> None:
        thread = list(visit.thread_ns) if visit.thread_ns is not None else None
        line = [visit.entry, visit.round, visit.at_ns, list(visit.wall_ns), thread]
        self._log.append(line)
        self.visits.append(visit)

    def close(self) -> None:
        self._log.close()
