"""Rounds of visits: every workload that still needs one, in a new random order each time."""

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness.device.conditions import Limits
from harness.errors import DeviceError, TableError, UsageError
from harness.measuring.plan import Entry, Plan
from harness.measuring.preparation import READY, Preparation
from harness.measuring.samples import Judge, enough
from harness.progress import Progress
from harness.runtimes.session import Session
from harness.tables.journal import Journal, Reading, Visit

SENTINEL_EVERY_S = 0.05
FEWEST_VISITS = 3  # no table is made from less
LONGEST_VISIT_S = 10.0  # of networks that take seconds a run; at least one run
READING_EVERY_S = 15.0  # of the conditions, in rounds that take longer
SENTINEL_SHARE = 0.05  # of the visits, at most
PILOT_VISITS, PILOT_PAUSE_S = 40, 0.01  # of the sentinel, to see how steady the machine is
PILOT_S, FEWEST_PILOT_VISITS = 5.0, 8  # where a visit takes long
COOL_DOWN_TIMEOUT_S, COOL_DOWN_POLL_S = 900.0, 2.0


@dataclass
class Visits:
    """The state of a campaign: its journal, and what still needs visits."""

    entries: Sequence[Entry]  # the first is the sentinel
    plan: Plan
    limits: Limits
    clock: str
    journal: Journal
    run_ns: list[int] = field(default_factory=list)  # a warm run of each entry, once loaded
    visit_cost_ns: int = 0  # besides its runs
    by_entry: dict[int, list[Visit]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for visit in self.journal.visits:
            if visit.entry >= len(self.entries):
                raise TableError(
                    f"{self.journal.path} has visits to entry {visit.entry}, and its campaign has "
                    f"{len(self.entries)}; move the file away to measure again"
                )
            self.by_entry[visit.entry].append(visit)

    @property
    def rounds_done(self) -> int:
        """Rounds in which every entry was visited."""
        others = range(1, len(self.entries))
        return min(len(self.by_entry[entry]) for entry in others)

    def todo(self) -> list[int]:
        """Entries that need a visit; none of a campaign that was finished, by whichever rules."""
        if self.journal.is_packed:
            return []
        judge = Judge.of(self.journal, self.limits, self.clock)
        return [
            entry
            for entry in range(1, len(self.entries))
            if not enough(self.by_entry[entry], judge, self.plan)
        ]

    @property
    def finished(self) -> bool:
        return not self.todo()

    def next_round(self) -> int:
        """The round that was begun last, or the first."""
        return max((visit.round for visit in self.journal.visits), default=0)

    def round_s(self) -> float:
        """How long a round over all entries takes, the sentinel's visits included."""
        others = range(1, len(self.run_ns))
        runs_ns = sum((self.runs_of(entry) + 1) * self.run_ns[entry] for entry in others)
        visits_ns = runs_ns + len(others) * self.visit_cost_ns  # a run of each is not timed
        sentinel_share = self.sentinel_visit_s() / self.sentinel_every_s()
        return visits_ns / 1e9 * (1 + sentinel_share) + self.limits.pause_s

    def runs_of(self, entry: int) -> int:
        """Timed runs of a visit: what the plan says, fewer where they take seconds each."""
        fitting = int(LONGEST_VISIT_S * 1e9 / max(1, self.run_ns[entry]))
        return max(1, min(self.plan.runs, fitting))

    def sentinel_visit_s(self) -> float:
        return ((self.plan.runs + 1) * self.run_ns[0] + self.visit_cost_ns) / 1e9

    def sentinel_every_s(self) -> float:
        return max(SENTINEL_EVERY_S, self.visit_cost_ns / 1e9 / SENTINEL_SHARE)

    def shortest_s(self) -> float:
        """How long the rounds that every entry needs will take from now."""
        left = max(0, self.plan.min_visits - self.rounds_done)
        spread = self.plan.duration_s * left / self.plan.min_visits
        return max(left * self.round_s(), spread)


def order(entries: Sequence[int], round_number: int, seed: int) -> list[int]:
    """The entries in the round's random order; the same for the same seed."""
    rng = np.random.default_rng([seed, round_number])
    return [entries[index] for index in rng.permutation(len(entries))]


def go_round(
    session: Session,
    visits: Visits,
    deadline_s: float | None,
    on_plan: Callable[[Visits], None],
    on_visit: Progress,
    preparation: Preparation = READY,
) -> None:
    """Make the visits that the journal does not have yet; each is journalled as it is made.

    The sentinel is visited every 50 ms (seldomer where visits take long) instead of once a round.
    `on_visit` gets the visits done and the fewest wanted in all, without the sentinel's.
    """
    if visits.finished:
        return
    visits.run_ns = _run_times_ns(session, visits, preparation)
    visits.visit_cost_ns = session.visit_cost_ns
    _check_time(visits, deadline_s)
    number = visits.next_round()
    pilots = max(FEWEST_PILOT_VISITS, min(PILOT_VISITS, int(PILOT_S / visits.sentinel_visit_s())))
    for _ in range(len(visits.by_entry[0]), pilots):
        _visit(session, visits, 0, number)
        time.sleep(PILOT_PAUSE_S)
    on_plan(visits)
    duration_s = visits.plan.duration_s
    if deadline_s is not None:
        duration_s = min(duration_s, deadline_s - time.monotonic())
    unheld = visits.limits.unheld(session.conditions())  # from here on it tells what others do
    if unheld:
        logging.getLogger(__name__).warning("harness: %s", unheld)
    while todo := visits.todo():
        if deadline_s and visits.rounds_done >= FEWEST_VISITS and time.monotonic() > deadline_s:
            return
        started = time.monotonic()
        _wait_until_cool(session, visits)
        chosen = order(todo, number, visits.plan.seed)
        _one_round(session, visits, chosen, number, on_visit, preparation)
        pause_s = visits.limits.pause_s
        if number < visits.plan.min_visits:
            spread_s = duration_s / visits.plan.min_visits
            pause_s = max(pause_s, spread_s - (time.monotonic() - started))
        time.sleep(pause_s)
        number += 1


def _one_round(
    session: Session,
    visits: Visits,
    entries: Sequence[int],
    number: int,
    on_visit: Progress,
    preparation: Preparation,
) -> None:
    journal = visits.journal
    sentinel_due = 0.0
    done = sum(len(found) for entry, found in visits.by_entry.items() if entry)
    wanted = max(visits.plan.min_visits * (len(visits.entries) - 1), done + len(entries))
    made = {visit.entry for visit in journal.visits if visit.round == number}
    journal.append_reading(_reading(session, visits, number))
    reading_due = time.monotonic() + READING_EVERY_S
    entries = [entry for entry in entries if entry not in made]  # before the run was killed
    for place in preparation.in_order([visits.entries[entry].workload for entry in entries]):
        entry = entries[place]
        if time.monotonic() >= reading_due:
            journal.append_reading(_reading(session, visits, number))
            if visits.limits.too_hot(journal.readings[-1].conditions):
                _wait_until_cool(session, visits)
                journal.append_reading(_reading(session, visits, number))
            reading_due = time.monotonic() + READING_EVERY_S
        if time.monotonic() >= sentinel_due:
            _visit(session, visits, 0, number)
            sentinel_due = time.monotonic() + visits.sentinel_every_s()
        _visit(session, visits, entry, number)
        done += 1
        on_visit(done, wanted)
    _visit(session, visits, 0, number)
    journal.append_reading(_reading(session, visits, number))


def _reading(session: Session, visits: Visits, number: int) -> Reading:
    return Reading(number, visits.limits.checked(session.conditions()))


def _run_times_ns(session: Session, visits: Visits, preparation: Preparation) -> list[int]:
    """How long a warm run of each entry takes: by visits that were made before, else by loading it.

    Where nothing stays loaded that would be a round for nothing: the sentinel stands for all.
    """
    loaded = [entry.workload for entry in visits.entries[: None if session.resident else 1]]
    times: dict[int, int] = {}
    for index in preparation.in_order(loaded):
        before = [min(visit.values["wall"]) for visit in visits.by_entry[index]]
        times[index] = min(before) if before else session.load(loaded[index])
    for index in range(len(loaded), len(visits.entries)):
        before = [min(visit.values["wall"]) for visit in visits.by_entry[index]]
        times[index] = min(before, default=times[0])
    return [times[index] for index in range(len(visits.entries))]


def _visit(session: Session, visits: Visits, entry: int, number: int) -> None:
    samples = session.visit(visits.entries[entry].workload, visits.runs_of(entry))
    visit = Visit(
        entry,
        number,
        samples.at_ns,
        samples.values,
        samples.runs,
        samples.memory_mb,
    )
    visits.by_entry[entry].append(visits.journal.append(visit))


def _check_time(visits: Visits, deadline_s: float | None) -> None:
    """Raises UsageError where not even a few rounds fit into the time that is left."""
    if deadline_s is None or visits.rounds_done >= FEWEST_VISITS:
        return
    left_s = deadline_s - time.monotonic()
    needed_s = (FEWEST_VISITS - visits.rounds_done) * visits.round_s()
    if needed_s > left_s:
        raise UsageError(
            f"--budget leaves {max(0.0, left_s):.1f} s for measuring, and the fewest visits to "
            f"{len(visits.entries) - 1} workloads take about {needed_s:.1f} s: give at least "
            f"{math.ceil(needed_s - left_s)} s more, or measure fewer --resolutions"
        )


def _wait_until_cool(session: Session, visits: Visits) -> None:
    """Wait while the device is hotter than its profile allows.

    Raises:
        DeviceError: it does not cool down.
    """
    end = time.monotonic() + COOL_DOWN_TIMEOUT_S
    while visits.limits.too_hot(session.conditions()):
        if time.monotonic() > end:
            limit = visits.limits.max_temperature_c
            hot = "so hot that it slows down" if limit is None else f"hotter than {limit:g} degrees"
            raise DeviceError(
                f"the device stays {hot} for {COOL_DOWN_TIMEOUT_S / 60:.0f} minutes; cool it and "
                "start again to go on"
            )
        time.sleep(COOL_DOWN_POLL_S)
