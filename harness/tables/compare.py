"""Two tables of one identity against each other: what moved, and what only looks like it.

A machine's speed differs from campaign to campaign, by several percent where nothing was changed
and by tens where it is shared, for all blocks alike. That shift is told apart from what single
blocks did on top of it. Whether it is the machine's own or an update's, times alone cannot tell:
what the device told of its versions has to.
"""

import math
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import TableError
from harness.spaces.block import Block
from harness.tables.record import Record, Statistics
from harness.tables.repeat import NORMAL95
from harness.tables.table import Table
from harness.tables.versions import WHICH, differences, environment_of, same_versions

Floats = npt.NDArray[np.float64]
LEVEL = 0.01  # expected share of false ones among the blocks that are called moved
# Three campaigns of the same versions on one machine differed in single blocks by up to 4 %, with
# intervals of 1 %: a smaller move is no news, however certain it is.
SMALLEST_MOVE = 1.05
_RESAMPLES = 1000
_MAD_TO_SD = 1.4826  # of normal values
_FINEST = 1e-3  # relative noise that every record has, whatever it says


@dataclass(frozen=True)
class Moved:
    """A block that did something else than all the others."""

    block: Block
    old: int  # ns; of energy nJ, of memory bytes
    new: int
    ratio_beyond_shift: float  # new / old over the shift of all blocks
    p: float  # of chance alone, corrected for the number of blocks

    @property
    def ratio(self) -> float:
        return self.new / self.old


@dataclass(frozen=True)
class Comparison:
    """What happened between two tables; ratios are new / old, above 1 is slower."""

    shift: float  # of all blocks, their median
    # 95 %, of that median had other blocks of this kind been measured in the same two campaigns. It
    # says nothing of other campaigns, whose levels differ by more.
    shift_interval: tuple[float, float]
    moved: tuple[Moved, ...]  # the largest moves first
    compared: int
    only_old: int  # blocks
    only_new: int
    environment: dict[str, tuple[Any, Any]]  # what differs: old and new value, None for none
    # A real device told the same versions both times: the shift is its own.
    machines_own: bool
    as_before: str = "as long"  # of others: as much energy

    @property
    def updated(self) -> tuple[str, ...]:
        """Versions that differ; that another unit was measured is no update."""
        return tuple(name for name in self.environment if name not in WHICH)

    def regressions(self, threshold: float) -> "Regressions":
        """What became slower by more than `threshold` (0.05 is 5 %), beyond noise.

        Where the shift is the machine's own, nothing is held against it: blocks are compared as if
        the machine had been at one speed.
        """
        limit = (1 + threshold) * (self.shift if self.machines_own else 1.0)
        slower = (m for m in self.moved if m.ratio_beyond_shift > 1 and m.ratio > limit)
        shifted = self.shift_interval[0] > limit
        return Regressions(self.shift, shifted, tuple(slower), self.as_before)

    def why_shifted(self) -> str:
        """What the shift is put down to."""
        if self.shift_interval[0] <= 1 <= self.shift_interval[1]:
            return "no shift that the blocks agree on"
        if self.machines_own:
            return (
                "the device told the same versions both times: this is the level of the machine on "
                "that day, and no regression"
            )
        if self.updated:
            return f"this may come from another {', '.join(self.updated)}, and counts"
        return "nothing tells that only the machine's speed changed, so that it counts"


@dataclass(frozen=True)
class Regressions:
    """False where there are none.

    A block is one only where it lost against the others and is slower in all: what the shift does
    to it is the shift's.
    """

    shift: float
    shifted: bool  # everything became slower, and not by the machine's own doing
    blocks: tuple[Moved, ...]
    as_before: str

    def __bool__(self) -> bool:
        return self.shifted or bool(self.blocks)

    def describe(self) -> str:
        everything = f"everything takes {self.shift:.3f} times {self.as_before}"
        parts = [everything] if self.shifted else []
        if self.blocks:
            worst = max(self.blocks, key=lambda moved: moved.ratio)
            more = f" and {len(self.blocks) - 1} more" if len(self.blocks) > 1 else ""
            parts.append(
                f"{worst.block.key} takes {worst.ratio_beyond_shift:.3f} times {self.as_before} "
                f"beyond what everything does{more}"
            )
        return "; ".join(parts)


def compare(old: Table, new: Table, clock: str) -> Comparison:
    """The blocks of two tables against each other.

    Raises:
        TableError: the tables are of another identity or space, or have no block in common.
    """
    _check_alike(old, new)
    campaigns = old.block_campaign(), new.block_campaign()
    before, after = old.blocks(clock), new.blocks(clock)
    common = sorted(before.keys() & after.keys())
    if not common:
        raise TableError(f"the tables of {old.device} have no block in common on the {clock} clock")
    pairs = [(before[block], after[block]) for block in common]
    environments = [
        environment_of(table, campaign)
        for table, campaign in zip((old, new), campaigns, strict=True)
    ]
    real = old.simulated is None and new.simulated is None
    change = np.log([b.statistics.value / a.statistics.value for a, b in pairs])
    shift = float(np.median(change))
    return Comparison(
        shift=math.exp(shift),
        shift_interval=_interval_of_median(change),
        moved=_moved(pairs, change - shift),
        compared=len(common),
        only_old=len(before) - len(common),
        only_new=len(after) - len(common),
        environment=differences(*environments),
        machines_own=real and same_versions(*environments),
        as_before="as long" if old.quantity == "latency" else f"as much {old.quantity}",
    )


def _check_alike(old: Table, new: Table) -> None:
    facts = [{"space": table.space} | table.identity for table in (old, new)]
    found = differences(*facts)
    if found:
        name, (mine, other) = next(iter(found.items()))
        raise TableError(f"cannot compare: {name} is {mine!r} in one table, {other!r} in the other")


def _interval_of_median(change: Floats) -> tuple[float, float]:
    """95 %, as a ratio, by drawing as many blocks again with replacement: of the campaigns as they
    were."""
    rng = np.random.default_rng(0)
    medians = np.median(rng.choice(change, (_RESAMPLES, len(change))), axis=1)
    low, high = np.exp(np.percentile(medians, [2.5, 97.5]))
    return float(low), float(high)


def _moved(pairs: list[tuple[Record, Record]], beyond: Floats) -> tuple[Moved, ...]:
    """The pairs whose change beyond the shift is neither noise nor small, [pairs] log ratios."""
    from scipy.stats import false_discovery_control, norm

    old, new = (noise([pair[side].statistics for pair in pairs]) for side in (0, 1))
    within = old**2 + new**2
    # Most blocks did not move, so their changes show the real noise. What it exceeds the records'
    # by comes between campaigns: it was the same for blocks that repeat well and badly.
    between = max(0.0, _spread(beyond) ** 2 - float(np.median(within)))
    z = np.abs(beyond) / np.sqrt(within + between)
    z /= max(1.0, _spread(z))
    # Benjamini and Hochberg's: calling all up to `a` moved makes a share of `a` false.
    p = false_discovery_control(2 * norm.sf(z))
    chosen = np.flatnonzero((p <= LEVEL) & (np.abs(beyond) >= math.log(SMALLEST_MOVE)))
    order = chosen[np.argsort(-np.abs(beyond[chosen]), kind="stable")]
    return tuple(_move(pairs[i], float(beyond[i]), float(p[i])) for i in order)


def _spread(values: Floats) -> float:
    """Standard deviation around 0, from the median, so that the few that moved do not count.

    One standard error up (1.17 / sqrt(n), relative): too small a one would cry wolf.
    """
    return _MAD_TO_SD * float(np.median(np.abs(values))) * (1 + 1.17 / math.sqrt(len(values)))


def _move(pair: tuple[Record, Record], beyond: float, p: float) -> Moved:
    old, new = pair
    times = old.statistics.value, new.statistics.value
    return Moved(old.blocks[0], *times, math.exp(beyond), p)


def noise(statistics: Sequence[Statistics]) -> Floats:
    """Standard deviation of each record's log, at least that of the median record.

    From the width of the interval, wherever in it the estimate lies, or from the halves (their mean
    is typically off by half of their difference), whichever says more: that either is small can be
    luck. An interval that also covers what whole campaigns differ by makes it too large, never too
    small.
    """
    # Older records have nothing below the estimate: the farther end counts.
    interval = [math.log(max(s.high / s.value, s.value / s.low)) / NORMAL95 for s in statistics]
    own = np.maximum(interval, [_disagreement(s) / 2 for s in statistics])
    return np.maximum(own, max(_FINEST, float(np.median(own))))


def _disagreement(statistics: Statistics) -> float:
    """Between the halves, as a log ratio; 0 where they are not told."""
    if statistics.first_half is None or statistics.second_half is None:
        return 0.0
    return abs(math.log(statistics.second_half / statistics.first_half))


def load_revision(text: str, root: Path) -> Table:
    """The table at a path below `root`, or as git has it: `REVISION:PATH`, as in `HEAD~1:t.jsonl`.

    As in git, PATH starts at the repository's top, or at `root` where it begins with `./`.

    Raises:
        TableError: there is no such file, repository or revision, or it is no table.
    """
    path = root / text
    if path.exists() or ":" not in text:
        return Table.load(path)
    command = ["git", "-C", str(root), "show", "--end-of-options", text]
    try:
        done = subprocess.run(command, capture_output=True, check=False)
    except OSError as error:
        raise TableError(f"cannot read {text}: git: {error.strerror}") from error
    if done.returncode != 0:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise TableError(f"cannot read {text}: {''.join(reason)}")
    return Table.parse(done.stdout, text)
