"""The visits of a campaign as samples: which of them count, and when they suffice."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.devices.conditions import (
    Fastest,
    Limits,
    doubts_between,
    ran_with_waiting,
    waited,
)
from harness.measuring.plan import Plan
from harness.measuring.statistics import Samples, half_width
from harness.tables.journal import Journal, Visit


@dataclass(frozen=True)
class Judge:
    """Tells good visits from doubtful ones, by what the device said around them."""

    doubts: tuple[tuple[str, ...], ...]  # of what lies between each reading and the one before
    clock: str

    @classmethod
    def of(cls, journal: Journal, limits: Limits, clock: str) -> "Judge":
        readings = [reading.conditions for reading in journal.readings]
        fastest = Fastest.of(readings)
        pairs = [readings[max(0, end - 1) : end + 1] for end in range(len(readings) + 1)]
        return cls(tuple(doubts_between(pair, fastest, limits, clock) for pair in pairs), clock)

    def reasons(self, visit: Visit) -> tuple[str, ...]:
        found = self.doubts[visit.readings_before]
        if self.clock == "thread" and waited(visit.values):
            return (*found, "wall time well above CPU time: other load on the processor")
        return found

    def good(self, visits: Iterable[Visit]) -> list[Visit]:
        return [visit for visit in visits if not self.reasons(visit)]


@dataclass(frozen=True)
class Chosen:
    """The visits that a record is made from, and why they deserve doubt."""

    visits: list[Visit]
    suspect: tuple[str, ...]


def choose(visits: Sequence[Visit], judge: Judge, plan: Plan) -> Chosen:
    """Good visits alone where there are enough, else all of them with the commonest reason."""
    good = judge.good(visits)
    if len(good) >= min(plan.min_visits, len(visits)):
        return Chosen(good, ())
    reasons = Counter(reason for visit in visits for reason in judge.reasons(visit))
    (worst, count), *_ = reasons.most_common(1)
    return Chosen(list(visits), (f"{worst} ({count} of {len(visits)} visits)",))


def enough(visits: Sequence[Visit], judge: Judge, plan: Plan) -> bool:
    """Whether a workload needs no further visit."""
    if len(visits) >= plan.max_visits:
        return True
    good = judge.good(visits)
    if len(good) < plan.min_visits:
        return False
    return half_width(samples(good, judge.clock), judge.clock) <= plan.interval


def _without_waiting(
    visits: Sequence[Visit], rows: Sequence[tuple[int, ...]]
) -> list[tuple[int, ...]]:
    """Wall times for the runs that waited; the rows as they are where all of them did."""
    walls = [visit.values["wall"] for visit in visits]
    pairs = [list(zip(row, wall, strict=True)) for row, wall in zip(rows, walls, strict=True)]
    if all(ran_with_waiting(wall, thread) for pair in pairs for thread, wall in pair):
        return list(rows)
    return [
        tuple(wall if ran_with_waiting(wall, thread) else thread for thread, wall in pair)
        for pair in pairs
    ]


def samples(visits: Sequence[Visit], clock: str) -> Samples:
    """[visits, runs] in ns or nJ; wall time where the clock asked for was not read.

    A run whose thread had to wait for its processor counts with its wall time where there are
    others: systems that share their processors charge such a thread too little now and then (28 %
    less than it had ever taken, seen on a virtual machine), and the fastest run would be that one.
    """
    rows = [visit.values.get(clock) or visit.values["wall"] for visit in visits]
    if clock == "thread":
        rows = _without_waiting(visits, rows)
    fewest = min(map(len, rows), default=0)  # some runners make more runs than they were asked for
    return np.array([row[-fewest:] for row in rows], dtype=np.int64)
