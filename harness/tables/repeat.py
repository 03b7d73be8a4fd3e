"""What measuring again would give: estimates differ between campaigns by more than within one.

The machine is at another level, for all workloads alike, and each workload does something of its
own besides (where its memory lies, for one). Workloads that a table has from several campaigns
tell how much; where there are few, what other machines did stands in.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, hypot, log, sqrt
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.spaces.block import Block
from harness.tables.conformal import student
from harness.tables.versions import same_versions

if TYPE_CHECKING:
    from harness.tables.record import Statistics
    from harness.tables.table import Table

Floats = npt.NDArray[np.float64]
Interval = tuple[float, float]
NORMAL95 = 1.96


@dataclass(frozen=True)
class Typical:
    """Standard deviations of the logarithm of a second estimate to a first one."""

    level: float
    own: float
    per_spread: float = 0.0  # both grow by so much of the logarithm of p50/full, p90/p50, ...


# Fitted to what `benchmarks/coverage.py` prints; docs/measuring.md says how.
TYPICAL = {
    "full": Typical(0.020, 0.010),
    "p50": Typical(0.020, 0.010, 0.30),
    "p90": Typical(0.020, 0.010, 0.60),
    "p99": Typical(0.020, 0.010, 0.60),
    "sustained": Typical(0.020, 0.025),
}
_BELOW = {"p50": "value", "p90": "p50", "p99": "p50"}
_FEWEST = 5  # workloads in common that tell a shift
_LEVEL_WORTH, _OWN_WORTH = 4, 10  # campaigns, and workloads, that what is typical counts for


@dataclass(frozen=True)
class Repeat:
    """How far campaigns of one device lie apart."""

    at: str  # "full", or what users see: "p50", ...
    shifts: tuple[float, ...] = ()  # logarithms, of each pair of campaigns
    own_sd: float = 0.0  # of workloads beside the shift
    workloads: int = 0  # seen at least twice, less one for each shift taken out
    missed: float = 0.0  # logarithm of what all takes longer by, where full speed is met seldom

    @classmethod
    def of(cls, table: "Table", at: str = "full") -> "Repeat":
        """What the table's networks tell that several of its campaigns measured."""
        seen: dict[str, dict[tuple[Block, ...], float]] = defaultdict(dict)
        for record in table.records:
            if record.arch is not None and record.clock == clock_of(table, at):
                value = value_of(record.statistics, at)
                if value is not None:
                    seen[record.campaign][record.blocks] = log(value)
        shifts, own = [], [np.zeros(0)]
        for old, new in pairwise(sorted(seen, key=table.started)):
            both = seen[old].keys() & seen[new].keys()
            facts = [table.campaigns[name].get("environment", {}) for name in (old, new)]
            # What an update did is no noise of campaigns.
            if len(both) >= _FEWEST and (facts[0] == facts[1] or same_versions(*facts)):
                change = np.array([seen[new][each] - seen[old][each] for each in both])
                shifts.append(float(np.median(change)))
                own.append(change - shifts[-1])
        beside, freedom = np.concatenate(own), sum(map(len, own)) - len(shifts)
        missed = max((each.get("missed", 0.0) for each in table.campaigns.values()), default=0.0)
        return cls(at, tuple(shifts), _spread(beside, freedom), freedom, missed)

    @classmethod
    def told(cls, at: str, changes: Floats) -> "Repeat":
        """What changes (logarithms) of other workloads between two campaigns tell of their own."""
        if len(changes) < 2:
            return cls(at)
        freedom = len(changes) - 1
        return cls(at, (), _spread(changes - np.median(changes), freedom), freedom)

    def interval(self, statistics: "Statistics") -> Interval | None:
        """Where another campaign finds the workload with a chance of 95 %, in the record's unit.

        None where the record does not tell the time that is asked for.
        """
        value = value_of(statistics, self.at)
        if value is None:
            return None
        far = exp(self.far(statistics))
        # No share of runs keeps to less than the fastest of them takes.
        least = statistics.low if self.at != "full" else 0.0
        return max(value / far, least), value * far

    def level(self, statistics: "Sequence[Statistics]") -> float:
        """What all workloads of another campaign may differ by, in logarithms, at 95 %."""
        typical = float(np.median([self._typical(each).level for each in statistics] or [0.0]))
        return self._level(typical)

    def far(self, statistics: "Statistics", *, level: bool = True) -> float:
        """Half of the interval, in logarithms; without `level`, beside what all did alike."""
        typical = self._typical(statistics)
        workloads, believed = self.workloads, _OWN_WORTH
        squares = workloads * self.own_sd**2 + believed * typical.own**2
        own_sd = sqrt(squares / (workloads + believed))
        if self.at == "full":  # a workload that met full speed but seldom repeats worse than others
            own_sd = hypot(own_sd, log(statistics.high / statistics.value) / NORMAL95)
        own = student(workloads + believed) * own_sd
        return hypot(own, self._level(typical.level)) if level else own

    @property
    def _freedom(self) -> int:
        return _LEVEL_WORTH + len(self.shifts)

    def _level(self, typical: float) -> float:
        squares = _LEVEL_WORTH * typical**2 + sum(shift**2 for shift in self.shifts)
        sd = student(self._freedom) * sqrt(squares / self._freedom)
        return hypot(sd, self.missed) if self.at == "full" else sd

    def _typical(self, statistics: "Statistics") -> Typical:
        """What is typical, for a workload whose times spread so far."""
        found = TYPICAL[self.at]
        if not found.per_spread:
            return found
        value, below = value_of(statistics, self.at), value_of(statistics, _BELOW[self.at])
        more = found.per_spread * max(0.0, log(value / below)) if value and below else 0.0
        return Typical(hypot(found.level, more), hypot(found.own, more))


def _spread(beside: Floats, freedom: int) -> float:
    """Standard deviation around the middle that was taken out."""
    return sqrt(float(np.sum(beside**2)) / freedom) if freedom > 0 else 0.0


def clock_of(table: "Table", at: str) -> str:
    """The clock that is read: users look at the wall's."""
    return table.clock if at == "full" else "wall"


def value_of(statistics: "Statistics", at: str) -> int | None:
    """The time that is asked for; None where it is not told."""
    found: int | None = statistics.value if at in ("full", "value") else getattr(statistics, at)
    return found
