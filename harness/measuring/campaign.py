"""A campaign: visiting every workload in interleaved rounds, and the records that come out."""

import itertools
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.measuring.plan import Entry, Plan, campaign_id
from harness.measuring.rounds import rounds
from harness.measuring.statistics import summarise
from harness.progress import Progress, silent
from harness.runtimes.session import Session
from harness.tables.journal import Journal, Visit
from harness.tables.record import Record

SENTINEL_EVERY_S = 0.05
SUSPECT_WALL_OVER_CPU = 1.1
CLOCKS_COST_NS = 2_000  # reading both clocks, a tenth of a very short block


@dataclass(frozen=True)
class Work:
    """What is to be measured on which device, and where the raw samples go.

    The same work in the same environment is one campaign, however often it is interrupted.
    """

    identity: Mapping[str, Any]
    entries: Sequence[Entry]
    plan: Plan
    journal_path: Callable[[str], Path]  # by the campaign's name


@dataclass(frozen=True)
class Campaign:
    """A finished campaign, as a table takes it."""

    id: str
    facts: dict[str, Any]
    records: tuple[Record, ...]


def run_campaign(
    session: Session, work: Work, fresh: bool = False, on_visit: Progress = silent
) -> Campaign:
    """Measure all entries, going on where a killed run stopped.

    A campaign that has a journal is continued (or, when it is finished, read back); `fresh` starts
    a new one instead.

    Raises:
        DeviceError: the device failed; what was measured is kept.
        WorkspaceError: the journal cannot be written.
    """
    latest, following = _takes(session, work)
    name, plan = following if fresh or latest is None else latest
    journal = Journal(work.journal_path(name))
    try:
        visit_all(session, work.entries, plan, journal, on_visit)
    finally:
        journal.close()
    records = summarise_journal(work.entries, journal, name, plan)
    started_s = min(visit.at_ns for visit in journal.visits) / 1e9
    facts = {
        "started_at": datetime.fromtimestamp(started_s, UTC).isoformat(timespec="seconds"),
        "rounds": plan.rounds,
        "runs_per_visit": plan.runs,
        "duration_s": plan.duration_s,
        "seed": plan.seed,
        "environment": dict(session.environment),
        "conditions_before": journal.conditions[0],
        "conditions_after": journal.conditions[-1],
        "wall_over_cpu": wall_over_cpu(journal.visits),
        "slowdown": _slowdown(records),
    }
    return Campaign(name, facts, tuple(records))


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
        if not work.journal_path(name).exists():
            return latest, (name, take)
        latest = name, take
    raise AssertionError("itertools.count ended")


def visit_all(
    session: Session,
    entries: Sequence[Entry],
    plan: Plan,
    journal: Journal,
    on_visit: Progress = silent,
) -> None:
    """Make the visits that the journal does not have yet; each is journalled as it is made.

    The first entry is the sentinel: it is visited every 50 ms instead of once a round.
    `on_visit` gets the visits done and wanted, without the sentinel's.
    """
    done = {(visit.entry, visit.round) for visit in journal.visits if visit.entry}
    total = plan.rounds * (len(entries) - 1)
    if len(done) == total:
        return
    for entry in entries:
        session.load(entry.workload)
    journal.append_conditions(session.conditions())
    sentinel_due = 0.0
    for number, order in rounds(len(entries) - 1, plan.rounds, plan.seed):
        started = time.monotonic()
        todo = [index + 1 for index in order if (index + 1, number) not in done]
        for index in todo:
            if time.monotonic() >= sentinel_due:
                _visit(session, entries, 0, number, plan, journal)
                sentinel_due = time.monotonic() + SENTINEL_EVERY_S
            _visit(session, entries, index, number, plan, journal)
            done.add((index, number))
            on_visit(len(done), total)
        if todo:
            _visit(session, entries, 0, number, plan, journal)
            pause = plan.duration_s / plan.rounds - (time.monotonic() - started)
            time.sleep(max(0.0, pause))
    journal.append_conditions(session.conditions())


def _visit(
    session: Session,
    entries: Sequence[Entry],
    index: int,
    round_number: int,
    plan: Plan,
    journal: Journal,
) -> None:
    samples = session.visit(entries[index].workload, plan.runs)
    journal.append(Visit(index, round_number, samples.at_ns, samples.wall_ns, samples.thread_ns))


def summarise_journal(
    entries: Sequence[Entry], journal: Journal, campaign: str, plan: Plan
) -> list[Record]:
    """One record for each entry and clock."""
    by_entry: dict[int, list[Visit]] = defaultdict(list)
    for visit in sorted(journal.visits, key=lambda visit: visit.at_ns):
        by_entry[visit.entry].append(visit)
    records = []
    for index, entry in enumerate(entries):
        visits = by_entry[index]
        clocks = {"wall": [visit.wall_ns for visit in visits]}
        threads = [visit.thread_ns for visit in visits if visit.thread_ns is not None]
        if threads:
            clocks["thread"] = threads
        for clock, samples in clocks.items():
            records.append(
                Record(
                    role=entry.role,
                    blocks=entry.blocks,
                    arch=entry.arch,
                    quantity="latency",
                    clock=clock,
                    campaign=campaign,
                    statistics=summarise(np.array(samples), plan.seed),
                    suspect=_suspect(visits),
                )
            )
    return records


def wall_over_cpu(visits: Sequence[Visit]) -> float | None:
    """How much longer than their CPU time the runs took; well above 1 on a loaded machine."""
    ratios = [sum(v.wall_ns) / sum(v.thread_ns) for v in visits if v.thread_ns]
    return float(np.median(ratios)) if ratios else None


def _slowdown(records: Sequence[Record]) -> float:
    """How much longer the sentinel usually took than at full speed; 1 on a steady machine."""
    sentinel = next(record.statistics for record in records if record.role == "sentinel")
    return sentinel.median_ns / sentinel.value_ns


def _suspect(visits: Sequence[Visit]) -> tuple[str, ...]:
    """Reasons to doubt a workload's numbers."""
    ratio = wall_over_cpu(visits)
    waiting_ns = [sum(v.wall_ns) - sum(v.thread_ns) for v in visits if v.thread_ns]
    runs = sum(len(visit.wall_ns) for visit in visits)
    if ratio is None or ratio <= SUSPECT_WALL_OVER_CPU or sum(waiting_ns) < CLOCKS_COST_NS * runs:
        return ()
    return (f"wall time is {ratio:.2f} times CPU time: other load on the machine",)
