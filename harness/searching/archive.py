"""One search for the whole front: an archive of the best networks by cost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import InfeasibleConstraint
from harness.progress import Progress, silent
from harness.searching.guide import Guide
from harness.searching.objectives import Cost, Floats, Found, Objectives
from harness.searching.pareto import front, front_of_three
from harness.searching.variation import children
from harness.spaces.genome import Genomes, sample

BINS, ELITES = 64, 4  # bins of cost (evenly spaced in its logarithm), networks kept in each
SECOND_BINS = 12  # of a second cost
BATCH = 512  # children judged at once
CHILDREN = 2  # made for each that is judged
RESTARTS_FROM = 100_000  # evaluations: longer searches start several times and then join
RESTARTS, ALONE = 5, 0.6  # how often, and for which share of the evaluations
BARREN = 20  # generations without a new child: a small space is searched through
_SEEN = 1 << 22  # networks are remembered by a number below this; few are taken for others

Bins = npt.NDArray[np.int64]


@dataclass(frozen=True)
class _Grid:
    """Which bin a network falls into."""

    objectives: Objectives
    edges: tuple[Floats, ...]  # one array a cost

    @classmethod
    def over(cls, objectives: Objectives, genomes: Genomes) -> "_Grid":
        costs: list[tuple[Cost, int]] = [(objectives.cost, BINS)]
        if objectives.second:
            costs.append((objectives.second, SECOND_BINS))
        spans = ((cost.of(genomes), bins) for cost, bins in costs)
        return cls(
            objectives,
            # Where all cost about the same, rounding alone would let edges fall.
            tuple(
                np.maximum.accumulate(np.geomspace(values.min(), values.max(), bins - 1))
                for values, bins in spans
            ),
        )

    def bins(self, genomes: Genomes, cost: Floats) -> Bins:
        bins = np.digitize(cost, self.edges[0])
        if self.objectives.second:
            second = np.digitize(self.objectives.second.of(genomes), self.edges[1])
            bins = bins * SECOND_BINS + second
        return bins


@dataclass(frozen=True)
class _Archive:
    """The kept networks: the best of each bin, and all that nothing beats, sorted by bin."""

    grid: _Grid
    bins: Bins
    found: Found

    def with_more(self, genomes: Genomes, cost: Floats, accuracy: Floats) -> "_Archive":
        rows = np.concatenate([self.found.genomes, genomes])
        cost = np.concatenate([self.found.cost, cost])
        accuracy = np.concatenate([self.found.accuracy, accuracy])
        bins = np.concatenate([self.bins, self.grid.bins(genomes, cost[len(self.bins) :])])
        order = np.lexsort((-accuracy, bins))
        keep = _ranks(bins[order]) < ELITES
        if self.grid.objectives.second is None:
            keep |= np.isin(order, front(cost, accuracy))
        kept = order[keep]
        return _Archive(self.grid, bins[kept], Found(rows[kept], cost[kept], accuracy[kept]))

    def parents(self, count: int, rng: np.random.Generator) -> tuple[Genomes, Genomes]:
        """Pairs from the same or neighbouring bins, all bins alike."""
        occupied = np.unique(self.bins)
        mothers = rng.integers(0, len(occupied), count)
        fathers = np.clip(mothers + rng.integers(-1, 2, count), 0, len(occupied) - 1)
        return self._members(occupied[mothers], rng), self._members(occupied[fathers], rng)

    def _members(self, bins: Bins, rng: np.random.Generator) -> Genomes:
        """A random network of each of the bins."""
        start = np.searchsorted(self.bins, bins)
        end = np.searchsorted(self.bins, bins, side="right")
        return self.found.genomes[rng.integers(start, end)]


class _Search:
    """The state of one search: what it has learned, and which networks it has judged."""

    def __init__(
        self, objectives: Objectives, seed: int | Sequence[int], known: Genomes | None
    ) -> None:
        self.objectives = objectives
        self.rng = np.random.default_rng(seed)
        self.guide = Guide(objectives.space)
        self.evaluations = 0
        genes = len(objectives.space.genes)
        self._multipliers = self.rng.integers(1, 1 << 62, genes, dtype=np.int64) | 1
        self._seen = np.zeros(_SEEN, bool)
        self.first = objectives.start(self.rng)
        if known is not None:
            rows = np.concatenate([self.first, known[objectives.allowed(known)]])
            self.first = np.unique(rows, axis=0)
        self.grid = _Grid.over(objectives, self.beginning())

    def beginning(self) -> Genomes:
        """The networks to start from, and random ones that are allowed."""
        drawn = sample(self.objectives.space, BATCH - len(self.first), self.rng)
        return np.concatenate([self.first, drawn[self.objectives.allowed(drawn)]])

    def judged(self, archive: _Archive, genomes: Genomes) -> _Archive:
        accuracy = self.objectives.accuracy(genomes)
        self.guide.learn(genomes, accuracy)
        self.evaluations += len(genomes)
        self._seen[self._numbers(genomes)] = True
        return archive.with_more(genomes, self.objectives.cost.of(genomes), accuracy)

    def empty(self) -> _Archive:
        none = self.first[:0]
        return _Archive(self.grid, np.empty(0, np.int64), Found(none, np.empty(0), np.empty(0)))

    def evolve(self, archive: _Archive, until: int, on_batch: Callable[[int], None]) -> _Archive:
        """Generations until as many networks were judged, or children are no longer new."""
        barren = 0
        while self.evaluations < until and barren < BARREN:
            new = self.new(archive)
            barren = 0 if len(new) else barren + 1
            if len(new):
                archive = self.judged(archive, new)
            on_batch(self.evaluations)
        return archive

    def new(self, archive: _Archive) -> Genomes:
        """Children that are allowed and not judged yet: those most is expected of, bin by bin."""
        parents = archive.parents(CHILDREN * BATCH, self.rng)
        new = children(self.objectives.space, *parents, self.rng)
        numbers, first = np.unique(self._numbers(new), return_index=True)
        new = new[first[~self._seen[numbers]]]
        new = new[self.objectives.allowed(new)]
        bins = self.grid.bins(new, self.objectives.cost.of(new))
        order = np.lexsort((-self.guide.score(new), bins))
        rank = _ranks(bins[order]) + self.rng.random(len(order))  # of equal ranks, any
        return new[order[np.argsort(rank)[:BATCH]]]

    def _numbers(self, genomes: Genomes) -> npt.NDArray[np.int64]:
        return np.asarray((genomes.astype(np.int64) @ self._multipliers >> 20) % _SEEN)


def search_front(
    objectives: Objectives,
    evaluations: int,
    seed: int | Sequence[int] = 0,
    on_batch: Progress = silent,
    known: Genomes | None = None,
) -> Found:
    """The predicted Pareto front over the whole range of costs.

    Parents come from all bins alike, the second parent from the same or a neighbouring bin, so
    that every cost is searched at once and good networks wander along the front. A long search
    starts several times: what one start has settled on, another may not. The cheapest network is
    always part of a front of two objectives. `known` networks are started from, too. `on_batch`
    gets evaluations done and wanted.

    Raises:
        InfeasibleConstraint: no network meets the limits.
        PredictorError: the accuracy predictor gives what is no number.
    """
    search = _Search(objectives, seed, known)
    several = evaluations >= RESTARTS_FROM
    starts = RESTARTS if several else 1
    alone = ALONE * evaluations / starts if several else evaluations

    def tell(done: int) -> None:
        on_batch(min(done, evaluations), evaluations)

    joined = search.empty()
    for start in range(starts):
        archive = search.judged(search.empty(), search.beginning())
        found = search.evolve(archive, int(alone * (start + 1)), tell).found
        joined = joined.with_more(found.genomes, found.cost, found.accuracy)
    return _front_of(search.evolve(joined, evaluations, tell), objectives)


def _front_of(archive: _Archive, objectives: Objectives) -> Found:
    found = archive.found
    if not len(found.genomes):
        raise InfeasibleConstraint(f"no network of {objectives.space.name} meets the limits")
    if objectives.second is None:
        best = front(found.cost, found.accuracy)
    else:
        best = front_of_three(found.cost, objectives.second.of(found.genomes), found.accuracy)
    return Found(found.genomes[best], found.cost[best], found.accuracy[best])


def _ranks(bins: Bins) -> Bins:
    """Each row's position in its bin, for bins in order."""
    return np.arange(len(bins)) - np.searchsorted(bins, bins)
