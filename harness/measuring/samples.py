"""The visits of a campaign as samples: which of them count, and when they suffice."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.device.conditions import (
    OTHER_PROGRAMS,
    SETTINGS,
    Conditions,
    Fastest,
    Limits,
    changed_between,
    doubts_between,
    ran_with_waiting,
    settings_of,
    waited,
)
from harness.measuring.plan import Plan
from harness.measuring.speeds import Speeds
from harness.measuring.statistics import Samples, half_width
from harness.tables.journal import Journal, Reading, Visit
from harness.tables.record import quantity_of

MET = 3  # visits
NEVER_MET = "hardly visited while the machine was at full speed"
TURBO = "the machine was faster for a moment than nearly always"
LITTLE_DISTURBED = ("thread", "device", "resident")  # by other programs, by some percent at most


@dataclass(frozen=True)
class Judge:
    """Tells good visits from doubtful ones, by what the device said around them."""

    doubts: tuple[tuple[str, ...], ...]  # of what lies between each reading and the one before
    clock: str
    slow: frozenset[tuple[int, int]] = frozenset()  # entry and round of visits at no full speed
    turbo: frozenset[tuple[int, int]] = frozenset()  # and of those at more than that

    @classmethod
    def of(cls, journal: Journal, limits: Limits, clock: str) -> "Judge":
        readings = as_judged(journal.readings, clock)
        fastest, settings = Fastest.of(readings), settings_of(readings)
        pairs = [readings[max(0, end - 1) : end + 1] for end in range(len(readings) + 1)]
        doubts = (
            (*doubts_between(pair, fastest, limits), *changed_between(pair, settings))
            for pair in pairs
        )
        return cls(tuple(doubts), clock, *_slow_and_turbo(journal.visits, clock))

    def reasons(self, visit: Visit) -> tuple[str, ...]:
        found = self.doubts[visit.readings_before]
        if self.clock == "thread" and waited(visit.values):
            found = (*found, "wall time well above CPU time: other load on the processor")
        if (visit.entry, visit.round) in self.turbo:
            found = (*found, TURBO)
        return found

    def met_full_speed(self, visits: Sequence[Visit]) -> bool:
        """Whether some of them were made while the sentinel was at its full speed, too.

        Visits that were all made in a slow hour agree with each other, and are all wrong.
        """
        met = sum((visit.entry, visit.round) not in self.slow for visit in visits)
        return met >= min(MET, len(visits))

    def good(self, visits: Iterable[Visit]) -> list[Visit]:
        return [visit for visit in visits if not self.reasons(visit)]

    def fair(self, visits: Iterable[Visit]) -> list[Visit]:
        """Good ones, and those that other programs disturbed only a little."""
        small = {OTHER_PROGRAMS} if self.clock in LITTLE_DISTURBED else set()
        return [visit for visit in visits if small.issuperset(self.reasons(visit))]


def as_judged(readings: Sequence[Reading], clock: str) -> list[Conditions]:
    """What counts of each reading: of those by older versions what counted then.

    They read the first processor's clock, and the GPU's when it was idle.
    """
    ignored = {"gpu_clock_mhz", *SETTINGS}
    if clock in LITTLE_DISTURBED:
        ignored.add("other_cpus")
    if any(reading.at_work for reading in readings):  # clocks of others are not comparable
        ignored.add("frequency_mhz")
    return [
        reading.conditions
        if reading.at_work
        else {name: value for name, value in reading.conditions.items() if name not in ignored}
        for reading in readings
    ]


def speeds_of(visits: Sequence[Visit], clock: str) -> Speeds | None:
    """By the sentinel's visits; None of energies and memories, which have no fastest."""
    numbers = [number for number, visit in enumerate(visits) if visit.entry == 0]
    if not numbers or quantity_of(clock) != "latency":
        return None
    sentinels = [visits[number] for number in numbers]
    at_s = np.array([visit.at_ns for visit in sentinels]) / 1e9
    return Speeds(np.array(numbers), at_s, samples(sentinels, clock).min(axis=1))


def _slow_and_turbo(
    visits: Sequence[Visit], clock: str
) -> tuple[frozenset[tuple[int, int]], frozenset[tuple[int, int]]]:
    """Entry and round of visits that were not made at full speed."""
    speeds = speeds_of(visits, clock)
    if speeds is None:
        return frozenset(), frozenset()
    others = [(number, visit) for number, visit in enumerate(visits) if visit.entry]
    return (
        frozenset((visit.entry, visit.round) for number, visit in others if speeds.slow(number)),
        frozenset((visit.entry, visit.round) for number, visit in others if speeds.turbo(number)),
    )


@dataclass(frozen=True)
class Chosen:
    """The visits that a record is made from, and why they deserve doubt."""

    visits: list[Visit]
    suspect: tuple[str, ...]


def choose(visits: Sequence[Visit], judge: Judge, plan: Plan) -> Chosen:
    """Good visits alone where there are enough, else all of them with the commonest reason."""
    good = judge.good(visits)
    if len(good) >= min(plan.min_visits, len(visits)):
        return Chosen(good, () if judge.met_full_speed(good) else (NEVER_MET,))
    reasons = Counter(reason for visit in visits for reason in judge.reasons(visit))
    (worst, count), *_ = reasons.most_common(1)
    return Chosen(list(visits), (f"{worst} ({count} of {len(visits)} visits)",))


def enough(visits: Sequence[Visit], judge: Judge, plan: Plan) -> bool:
    """Whether a workload needs no further visit.

    Visits that other programs disturbed a little do where, as things go, not even the most visits
    would bring enough good ones: a machine that is busy all along is not measured for longer.
    """
    if len(visits) >= plan.max_visits:
        return True
    counting = judge.good(visits)
    if len(counting) * plan.max_visits < plan.min_visits * len(visits):
        counting = judge.fair(visits)
    if len(counting) < plan.min_visits or not judge.met_full_speed(counting):
        return False
    return half_width(samples(counting, judge.clock), judge.clock) <= plan.interval


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
