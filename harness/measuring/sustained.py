"""Sustained latency: runs back to back, until they are steady or it has been long enough.

Visits are short and rest in between; who runs a network all the time meets a warmer device, and
warmer caches.
"""

import time
from collections.abc import Sequence

import numpy as np

from harness.measuring.rounds import Visits
from harness.progress import Progress
from harness.runtimes.session import Session, Workload
from harness.tables.journal import Sustained

ROLES = ("network", "holdout")  # whose networks are run for long
WINDOW_S, WINDOW_COSTS = 0.25, 10  # at least so long, and so many times what a visit costs besides
COMPARED = 2  # windows, with as many before them
STEADY = 0.03  # relative difference


def sustain(
    session: Session, visits: Visits, deadline_s: float | None, on_progress: Progress
) -> bool:
    """Run what has no sustained latency yet for long; each is journalled as it is known.

    False where the deadline left some of it for another time.
    """
    journal, longest_s = visits.journal, visits.plan.sustain_s
    roles = [entry.role for entry in visits.entries]
    wanted = ROLES if any(role in ROLES for role in roles) else ("anchor",)
    todo = [number for number, role in enumerate(roles) if role in wanted]
    if journal.is_packed or not longest_s:
        return True
    # What a visit costs besides is known from the visits; long runs would tell another cost.
    window_s = max(WINDOW_S, WINDOW_COSTS * session.visit_cost_ns / 1e9)
    window_s = min(window_s, longest_s / (2 * COMPARED))
    for done, number in enumerate(todo):
        if number in journal.sustained:
            continue
        if deadline_s is not None and time.monotonic() > deadline_s:
            return False
        workload = visits.entries[number].workload
        journal.append_sustained(_sustained(session, workload, number, window_s, longest_s))
        on_progress(done + 1, len(todo))
    return True


def _sustained(
    session: Session, workload: Workload, number: int, window_s: float, longest_s: float
) -> Sustained:
    medians: list[float] = []
    at_ns, started, runs = time.time_ns(), time.monotonic(), 0
    while not is_steady(medians) and time.monotonic() - started < longest_s:
        made = session.sustain(workload, window_s)
        medians.append(float(np.median(made.values["wall"])))
        runs += made.runs or len(made.values["wall"])
    return Sustained(
        entry=number,
        at_ns=at_ns,
        seconds=round(time.monotonic() - started, 3),
        runs=runs,
        latency_ns=max(1, round(float(np.median(medians[-COMPARED:])))),
        steady=is_steady(medians),
    )


def is_steady(medians: Sequence[float]) -> bool:
    """Whether the newest windows took as long as those before them."""
    if len(medians) < 2 * COMPARED:
        return False
    new, old = medians[-COMPARED:], medians[-2 * COMPARED : -COMPARED]
    return abs(float(np.mean(new)) / float(np.mean(old)) - 1) <= STEADY
