"""The visits of a campaign as samples: which of them count, and when they suffice."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.devices.conditions import Limits, round_doubts, top_frequency_mhz, waited
from harness.measuring.plan import Plan
from harness.measuring.statistics import Samples, width
from harness.tables.journal import Conditions, Journal, Visit


@dataclass(frozen=True)
class Judge:
    """Tells good visits from doubtful ones, by what the device said around them."""

    doubts: dict[int, tuple[str, ...]]  # of each round that has any
    clock: str

    @classmethod
    def of(cls, journal: Journal, limits: Limits, clock: str) -> "Judge":
        by_round: dict[int, list[Conditions]] = defaultdict(list)
        for reading in journal.readings:
            by_round[reading.round].append(reading.conditions)
        top_mhz = top_frequency_mhz([reading.conditions for reading in journal.readings])
        doubts = {
            number: round_doubts(readings, top_mhz, limits, clock)
            for number, readings in by_round.items()
        }
        return cls({number: found for number, found in doubts.items() if found}, clock)

    def reasons(self, visit: Visit) -> tuple[str, ...]:
        found = self.doubts.get(visit.round, ())
        if self.clock == "thread" and waited(visit.wall_ns, visit.thread_ns):
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
    return width(samples(good, judge.clock).min(axis=1)) <= plan.interval


def samples(visits: Sequence[Visit], clock: str) -> Samples:
    """[visits, runs] in ns; wall time where the clock asked for was not read."""
    rows = [v.thread_ns if clock == "thread" and v.thread_ns else v.wall_ns for v in visits]
    return np.array(rows, dtype=np.int64)
