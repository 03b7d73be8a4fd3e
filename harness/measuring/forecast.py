"""What a campaign is going to do, told before it starts."""

import time
from math import hypot, pi, sqrt

from harness.measuring.rounds import Visits
from harness.measuring.samples import samples
from harness.measuring.statistics import expected_error
from harness.tables.filling import Choice
from harness.tables.record import quantity_of

# What calibrated sums of blocks are off by however well both are measured, in the mean: of tables
# that `benchmarks/table_accuracy.py` judged.
_SUMS = 0.010
_BLOCKS = 10  # about as many that tell a network's time: their own errors take each other out


def forecast(visits: Visits, deadline_s: float | None, choice: Choice | None = None) -> str:
    """How many workloads, how long it will take, and which error to expect, in a line.

    `choice`: of the blocks among them, where a whole table is measured.
    """
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
    error = time_error(visits, rounds)
    if choice is None:
        parts.append(f"expected error of one time {error:.1%}, as steady as the machine is now")
        return "; ".join(parts)
    if choice.left_out:
        parts.append(f"{len(choice.left_out)} blocks are filled in from these")
    parts.append(
        f"expected error of predicted networks {network_error(choice, error):.1%} in the mean, as "
        "steady as the machine is now"
    )
    return "; ".join(parts)


def time_error(visits: Visits, rounds: int) -> float:
    """How far above full speed so many visits are expected to leave a time, relative.

    By the sentinel's visits so far: those just before the campaign, as soon as there is a plan.
    """
    pilot = samples(visits.by_entry[0], visits.clock).min(axis=1)
    return expected_error(pilot, max(1, min(rounds, len(pilot) // 2)))


def network_error(choice: Choice, of_one_time: float) -> float:
    """The mean relative error of networks predicted from a table, against measuring them.

    of_one_time: the error of one measured time, relative.
    """
    noise = hypot(of_one_time, of_one_time / sqrt(_BLOCKS))
    return hypot(_SUMS, sqrt(2 / pi) * choice.error, noise)


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
