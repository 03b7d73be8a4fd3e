"""What campaigns of one device tell over time: steps of single workloads, beside all that moved
together.

The logarithm of each time is what the workload takes, plus the machine's level in that campaign,
plus noise. Levels are taken out by median polish (Tukey 1977), as most workloads do nothing of
their own; in what is left a step is the split of a workload's campaigns that parts them best, again
in each part. `compare` says what is too small or too likely chance to be one.

A level that differs between campaigns of the same versions is the machine's own, and no step. With
an update between them it is the update's where it is more than such campaigns differ by.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import TableError
from harness.tables.compare import LEVEL, SMALLEST_MOVE, noise
from harness.tables.conformal import student
from harness.tables.record import Statistics
from harness.tables.repeat import TYPICAL
from harness.tables.versions import WHICH, Environment, differences, same_versions

Floats = npt.NDArray[np.float64]
FEWEST_IN_COMMON = 5  # workloads that tell a level
_POLISHES = 8
_MAD_TO_SD = 1.4826
_LEVEL_WORTH = 4  # differences of levels that what is typical counts for
_DEEPEST = 8  # splits of splits
_NEAR = 3  # points on either side of an update that tell what it did to all


@dataclass(frozen=True)
class Series:
    """What is measured again and again: on a device as it is set, a space or a model file."""

    device: str
    what: str  # the space, or the file's name
    unit: str  # ms, mJ or MB
    identity: str  # JSON
    of_model: bool  # and of blocks timed beside it; else of a space's blocks and networks


@dataclass(frozen=True)
class Point:
    """One campaign."""

    name: str
    started_at: str
    environment: Environment
    seen: Mapping[str, Statistics]  # by workload
    moved: frozenset[str] = frozenset()  # measured as they had moved: they tell no level
    commit: str | None = None  # the first that has it
    suspect: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The day, and the commit."""
        return f"{self.started_at[:10]}{f' ({self.commit[:9]})' if self.commit else ''}"


@dataclass(frozen=True)
class Step:
    """A workload that from `at` on takes `ratio` times as long, beside the machine's level."""

    workload: str
    at: int  # of the points
    ratio: float
    p: float  # of chance alone, corrected for splits and workloads
    before: int  # the last before, in the unit of records
    after: int  # at `at`
    changed: Mapping[str, tuple[Any, Any]]  # of the environment, at that point
    newest: bool  # seen once: the newest point alone has it


@dataclass(frozen=True)
class Update:
    """Versions that differ from the point before, and what all workloads did there."""

    at: int
    changed: Mapping[str, tuple[Any, Any]]
    ratio: float  # of the level
    interval: tuple[float, float]  # 95 %, by what levels of the same versions differ by

    @property
    def counts(self) -> bool:
        """More than the machine's own doing."""
        low, high = self.interval
        return not low <= 1 <= high


@dataclass(frozen=True)
class History:
    """Points in the order of time, and what happened between them."""

    series: Series
    points: tuple[Point, ...]
    levels: tuple[float, ...]  # of each point to the first
    steps: tuple[Step, ...]  # the largest regressions first
    updates: tuple[Update, ...]

    @property
    def regressions(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.ratio > 1)

    def newest_regressions(self, limit: float | None) -> list[str]:
        """What the newest point made slower by more than `limit` (0.05: 5 %); None: nothing asked.

        All together counts where an update did it.
        """
        if limit is None:
            return []
        last = len(self.points) - 1
        steps = [
            step.workload for step in self.regressions if step.at == last and step.ratio > 1 + limit
        ]
        updated = [
            u for u in self.updates if u.at == last and u.counts and u.interval[0] > 1 + limit
        ]
        return [*steps, *(f"everything on {self.series.device}" for _ in updated)]


def history(series: Series, points: Sequence[Point]) -> History:
    """What happened over these points.

    Raises:
        TableError: fewer than two share enough workloads to tell the machine's level.
    """
    kept = _comparable(sorted(points, key=lambda point: (point.started_at, point.name)))
    names = sorted({name for point in kept for name in point.seen})
    values, spread = _matrices(kept, names)
    tells = np.array([[name not in point.moved for name in names] for point in kept])
    levels, rest = _polished(values, tells)
    variances = spread**2 + _between(rest, spread)
    return History(
        series,
        tuple(kept),
        tuple(np.exp(levels - levels[0]).tolist()),
        tuple(sorted(_steps(kept, names, rest, variances), key=lambda step: -step.ratio)),
        tuple(_updates(kept, levels)),
    )


def _comparable(points: Sequence[Point]) -> list[Point]:
    """Those that share enough workloads with others."""
    kept = []
    for point in points:
        others = {name for each in points if each is not point for name in each.seen}
        if len(others & (point.seen.keys() - point.moved)) >= FEWEST_IN_COMMON:
            kept.append(point)
    if len(kept) < 2:
        raise TableError(
            f"no history: of {len(points)} campaigns no two have {FEWEST_IN_COMMON} workloads in "
            "common; every further `harness measure` or committed table adds one"
        )
    return kept


def _matrices(points: Sequence[Point], names: Sequence[str]) -> tuple[Floats, Floats]:
    """Logarithms of times, and their noise, [points, workloads]; NaN where not measured."""
    values = np.full((len(points), len(names)), np.nan)
    spread = values.copy()
    columns = {name: n for n, name in enumerate(names)}
    for row, point in enumerate(points):
        at = [columns[name] for name in point.seen]
        values[row, at] = [math.log(each.value) for each in point.seen.values()]
        spread[row, at] = noise(list(point.seen.values()))
    return values, spread


def _polished(values: Floats, tells: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The level of each point, and what is left of each value."""
    levels = np.zeros(len(values))
    known = np.where(tells, values, np.nan)
    for _ in range(_POLISHES):
        own = _middle(values - levels[:, None], axis=0)
        levels = _middle(known - own, axis=1)
        levels -= levels[0]
    return levels, values - levels[:, None] - own


def _middle(values: Floats, axis: int) -> Floats:
    """The median of what is known; each row or column has something, by `_comparable`."""
    lacking = np.isnan(values).all(axis=axis)
    filled = np.where(np.expand_dims(lacking, axis), 0.0, values)
    return np.asarray(np.nanmedian(filled, axis=axis))


def _between(rest: Floats, spread: Floats) -> float:
    """Variance of what campaigns differ by beyond the records' noise, workload by workload."""
    changes = np.concatenate([np.diff(column[~np.isnan(column)]) for column in rest.T])
    if not len(changes):
        return 0.0
    seen = (_MAD_TO_SD * float(np.median(np.abs(changes)))) ** 2 / 2
    # The estimate's own error: too small a one would cry wolf.
    seen *= (1 + 1.17 / math.sqrt(len(changes))) ** 2
    return max(0.0, seen - float(np.nanmedian(spread**2)))


def _steps(
    points: Sequence[Point], names: Sequence[str], rest: Floats, variances: Floats
) -> Iterator[Step]:
    """Splits beyond chance, of all workloads; then those of their parts."""
    from scipy.stats import false_discovery_control

    parts = [(column, np.flatnonzero(~np.isnan(rest[:, column]))) for column in range(len(names))]
    for _ in range(_DEEPEST):
        candidates = [
            (column, rows, best)
            for column, rows in parts
            if (best := _best_split(rest[rows, column], variances[rows, column]))
        ]
        if not candidates:
            return
        corrected = false_discovery_control([best[2] for _, _, best in candidates])
        parts = []
        for (column, rows, (split, change, _)), p in zip(candidates, corrected, strict=True):
            if p > LEVEL or abs(change) < math.log(SMALLEST_MOVE):
                continue
            parts += [(column, rows[:split]), (column, rows[split:])]
            yield _step(points, names[column], rows, split, math.exp(change), float(p))


def _best_split(rest: Floats, variances: Floats) -> tuple[int, float, float] | None:
    """Where the mean changes most for its noise: index, change, and p corrected for splits.

    Each side has two points; the newest one may stand alone, as may the first of three.
    """
    from scipy.special import ndtr

    count = len(rest)
    if count < 2:
        return None
    splits = np.array([n for n in range(1, count) if n > 1 or count <= 3])
    weights = 1 / variances
    before = np.cumsum(weights)[splits - 1]
    after = weights.sum() - before
    sums = np.cumsum(weights * rest)[splits - 1]
    changes = ((weights * rest).sum() - sums) / after - sums / before
    z = np.abs(changes) / np.sqrt(1 / before + 1 / after)
    best = int(np.argmax(z))
    p = min(1.0, 2 * float(ndtr(-z[best])) * len(splits))
    split = int(splits[best])
    # Of medians: one campaign that was disturbed is no step there and back.
    return split, float(np.median(rest[split:]) - np.median(rest[:split])), p


def _step(
    points: Sequence[Point],
    name: str,
    rows: npt.NDArray[np.intp],
    split: int,
    ratio: float,
    p: float,
) -> Step:
    last, at = int(rows[split - 1]), int(rows[split])
    environments = [points[n].environment for n in (last, at)]
    values = [points[n].seen[name].value for n in (last, at)]
    newest = split == len(rows) - 1 and at == len(points) - 1
    return Step(name, at, ratio, p, values[0], values[1], versions_changed(*environments), newest)


def versions_changed(old: Environment, new: Environment) -> dict[str, tuple[Any, Any]]:
    """What both tell and have otherwise, but for which unit it was."""
    return {
        name: pair
        for name, pair in differences(old, new).items()
        if name not in WHICH and name in old and name in new
    }


def _updates(points: Sequence[Point], levels: Floats) -> Iterator[Update]:
    """At each change of versions: the level of the few points after it against the few before."""
    pairs = list(pairwise(points))
    starts = [n + 1 for n, (old, new) in enumerate(pairs) if versions_changed(*_told(old, new))]
    borders = [0, *starts, len(points)]
    own = [
        levels[n + 1] - levels[n]
        for n, (old, new) in enumerate(pairs)
        if same_versions(*_told(old, new))
    ]
    freedom = _LEVEL_WORTH + len(own)
    # A difference of two levels has twice the variance of one.
    squares = 2 * _LEVEL_WORTH * TYPICAL["full"].level ** 2 + float(np.square(own).sum())
    variance = squares / freedom / 2
    for last, at, following in zip(borders, borders[1:], borders[2:], strict=False):
        # The machine's own level moves with time: what is far away tells nothing of the update.
        before, after = max(last, at - _NEAR), min(following, at + _NEAR)
        change = float(np.mean(levels[at:after]) - np.mean(levels[before:at]))
        off = student(freedom) * math.sqrt(variance * (1 / (at - before) + 1 / (after - at)))
        changed = versions_changed(*_told(points[at - 1], points[at]))
        ends = math.exp(change - off), math.exp(change + off)
        yield Update(at, changed, math.exp(change), ends)


def _told(old: Point, new: Point) -> tuple[Environment, Environment]:
    return old.environment, new.environment
