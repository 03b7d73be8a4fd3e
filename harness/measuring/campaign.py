"""A campaign: visiting every workload in interleaved rounds, and the records that come out."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.device.conditions import (
    CHANGED,
    NOT_TOLD,
    Conditions,
    Limits,
    changes_in,
    unknown_in,
)
from harness.measuring.plan import Entry, Plan, campaign_id
from harness.measuring.preparation import READY, Preparation
from harness.measuring.rounds import Visits, go_round
from harness.measuring.samples import Judge, choose, samples, speeds_of
from harness.measuring.statistics import percentiles, summarise
from harness.measuring.sustained import sustain
from harness.progress import Progress, silent
from harness.runtimes.session import Session
from harness.tables.journal import Journal, Visit
from harness.tables.record import CLOCKS, Record, Statistics, quantity_of


@dataclass(frozen=True)
class Work:
    """What is to be measured on which device, and where the raw samples go.

    The same work in the same environment is one campaign, however often it is interrupted.
    """

    identity: Mapping[str, Any]
    clock: str
    limits: Limits
    entries: Sequence[Entry]  # the first is the sentinel
    plan: Plan
    journal_path: Callable[[str], Path]  # by the campaign's name
    deadline_s: float | None = None  # by time.monotonic(): what is done by then has to do


@dataclass(frozen=True)
class Campaign:
    """A campaign as a table takes it."""

    id: str
    facts: dict[str, Any]
    records: tuple[Record, ...]


def run_campaign(
    session: Session,
    work: Work,
    fresh: bool = False,
    on_visit: Progress = silent,
    on_plan: Callable[[Visits], None] = lambda _visits: None,
    preparation: Preparation = READY,
) -> Campaign:
    """Measure all entries, going on where a killed run stopped.

    A campaign that has a journal is continued (or, when it is finished, read back); `fresh` starts
    a new one instead.

    Raises:
        DeviceError: the device failed; what was measured is kept.
        UsageError: the time until the deadline does not suffice.
        WorkspaceError: the journal cannot be written.
    """
    latest, following = _takes(session, work)
    name, plan = following if fresh or latest is None else latest
    journal = Journal(work.journal_path(name))
    try:
        visits = Visits(work.entries, plan, work.limits, work.clock, journal)
        go_round(session, visits, work.deadline_s, on_plan, on_visit, preparation)
        if visits.finished and sustain(session, visits, work.deadline_s, on_visit):
            journal.pack()
    finally:
        journal.close()
    records = records_of(visits, name)
    return Campaign(name, _facts(session, plan, visits, records), tuple(records))


def _facts(
    session: Session, plan: Plan, visits: Visits, records: Sequence[Record]
) -> dict[str, Any]:
    journal = visits.journal
    readings = [reading.conditions for reading in journal.readings]
    ends_s = [f(visit.at_ns for visit in journal.visits) / 1e9 for f in (min, max)]
    return asdict(plan) | {
        "started_at": datetime.fromtimestamp(ends_s[0], UTC).isoformat(timespec="seconds"),
        "took_s": round(ends_s[1] - ends_s[0], 1),
        "rounds": visits.rounds_done,
        "finished": journal.is_packed,
        "environment": dict(session.environment),
        "conditions_before": _first_told(readings),
        "conditions_after": readings[-1],
        CHANGED: changes_in(readings),
        NOT_TOLD: list(unknown_in(readings)),
        "wall_over_cpu": wall_over_cpu(journal.visits),
        "slowdown": _slowdown(records),
        "missed": _missed(visits),
    }


def _first_told(readings: Sequence[Conditions]) -> Conditions:
    """The first of each condition: clocks are known only after visits."""
    found = dict(readings[0])
    for reading in readings:
        found |= {name: value for name, value in reading.items() if found.get(name) is None}
    return found


def latest_campaign(session: Session, work: Work) -> str | None:
    """The newest campaign of this work that was begun."""
    latest, _ = _takes(session, work)
    return latest[0] if latest else None


def _takes(session: Session, work: Work) -> tuple[tuple[str, Plan] | None, tuple[str, Plan]]:
    """The newest take of this work that has a journal, and the first that has none."""
    latest = None
    for seed in itertools.count(work.plan.seed):
        take = replace(work.plan, seed=seed)
        name = campaign_id(work.identity, session.environment, work.entries, take)
        if not Journal.exists(work.journal_path(name)):
            return latest, (name, take)
        latest = name, take
    raise AssertionError("itertools.count ended")


def records_of(visits: Visits, campaign: str) -> list[Record]:
    """One record for each entry and clock."""
    quantity = quantity_of(visits.clock)
    records = []
    for clock in CLOCKS:
        complete = all(clock in visit.values for visit in visits.journal.visits)
        if not complete or quantity_of(clock) != quantity:
            continue
        judge = Judge.of(visits.journal, visits.limits, clock)
        for index, entry in enumerate(visits.entries):
            chosen = choose(visits.by_entry[index], judge, visits.plan)
            suspect = chosen.suspect
            if clock == "net" and np.median(samples(chosen.visits, clock)) <= 0:
                suspect = (*suspect, "takes no more than idling does")
            statistics = _statistics(chosen.visits, clock)
            if clock == "wall":
                statistics = _as_seen(statistics, visits, index)
            records.append(
                Record(
                    role=entry.role,
                    blocks=entry.blocks,
                    arch=entry.arch,
                    quantity=quantity,
                    clock=clock,
                    campaign=campaign,
                    statistics=statistics,
                    suspect=suspect,
                )
            )
    return records


def _statistics(visits: Sequence[Visit], clock: str) -> Statistics:
    runs = [visit.runs for visit in visits if visit.runs is not None]
    memory_mb = [visit.memory_mb for visit in visits if visit.memory_mb is not None]
    return summarise(samples(visits, clock), clock, sum(runs) or None, max(memory_mb, default=None))


def _as_seen(statistics: Statistics, visits: Visits, entry: int) -> Statistics:
    """With what users see, who meet good moments and bad: of all visits.

    Where a visit tells one time for many runs, nobody knows what share of them kept to which; runs
    back to back that did not become steady tell nothing that lasts.
    """
    made, lasting = visits.by_entry[entry], visits.journal.sustained.get(entry)
    if all(visit.runs is None for visit in made):
        seen = percentiles(samples(made, "wall"), visits.rounds_done)
        statistics = replace(statistics, **seen)
    if lasting is None or not lasting.steady:
        return statistics
    return replace(statistics, sustained=lasting.latency_ns)


def wall_over_cpu(visits: Sequence[Visit]) -> float | None:
    """How much longer than their CPU time the runs took; well above 1 on a loaded machine."""
    ratios = [
        sum(visit.values["wall"]) / sum(visit.values["thread"])
        for visit in visits
        if "thread" in visit.values
    ]
    return float(np.median(ratios)) if ratios else None


def _slowdown(records: Sequence[Record]) -> float:
    """How much longer the sentinel usually took than at full speed; 1 on a steady machine."""
    sentinel = next(record.statistics for record in records if record.role == "sentinel")
    assert sentinel.median is not None
    return sentinel.median / sentinel.value


def _missed(visits: Visits) -> float:
    """What another campaign may be slower by, as it misses full speed; logarithm."""
    speeds = speeds_of(visits.journal.visits, visits.clock)
    return 0.0 if speeds is None else round(speeds.missed(), 4)
