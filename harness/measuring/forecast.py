"""What a campaign is going to do, told before it starts."""

import time

from harness.measuring.rounds import Visits
from harness.measuring.samples import samples
from harness.measuring.statistics import expected_error
from harness.tables.record import quantity_of


def forecast(visits: Visits, deadline_s: float | None) -> str:
    """How many workloads, how long it will take, and which error to expect, in a line."""
    plan = visits.plan
    roles = [entry.role for entry in visits.entries]
    blocks = roles.count("block")
    what = f"{blocks} blocks and {len(roles) - blocks - 1} networks"
    parts = [f"{what}, {plan.min_visits} to {plan.max_visits} visits of {plan.runs} runs each"]
    shortest_s = visits.shortest_s()
    rounds = plan.min_visits
    if visits.journal.visits and visits.rounds_done:
        parts.append(f"{visits.rounds_done} visits each are there already")
    left_s = None if deadline_s is None else max(0.0, deadline_s - time.monotonic())
    if left_s is not None and left_s < shortest_s:
        rounds = visits.rounds_done + int(left_s / visits.round_s())
        parts.append(f"the budget of {_minutes(left_s)} left suffices for about {rounds}")
    else:
        parts.append(f"about {_minutes(shortest_s)}, longer where times are unsteady")
    if quantity_of(visits.clock) != "latency":
        return "; ".join(parts)
    pilot = samples(visits.by_entry[0], visits.clock).min(axis=1)
    error = expected_error(pilot, max(1, min(rounds, len(pilot) // 2)))
    parts.append(f"expected error of one time {error:.1%}, as steady as the machine is now")
    return "; ".join(parts)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
