"""One search for the whole front: an archive of the best networks by latency bin."""

from dataclasses import dataclass

import numpy as np

from harness.progress import Progress, silent
from harness.search.objectives import Floats, Found, Objectives
from harness.search.pareto import front
from harness.search.variation import cross, mutate
from harness.spaces.genome import Genomes, sample

BINS, ELITES = 64, 4  # latency bins (evenly spaced in log latency), networks kept in each
BATCH = 512  # children made and judged at once


@dataclass(frozen=True)
class _Archive:
    """The kept networks, sorted by bin, best first within each."""

    bins: Floats  # [n], as numbers
    found: Found

    def updated(self, edges: Floats, genomes: Genomes, objectives: Objectives) -> "_Archive":
        latency_ms = np.concatenate([self.found.latency_ms, objectives.latency_ms(genomes)])
        accuracy = np.concatenate([self.found.accuracy, objectives.accuracy(genomes)])
        rows = np.concatenate([self.found.genomes, genomes])
        _, first = np.unique(rows, axis=0, return_index=True)
        first = first[np.isfinite(latency_ms[first])]  # the table covers their resolution
        bins = np.digitize(latency_ms[first], edges)
        order = first[np.lexsort((-accuracy[first], bins))]
        bins = np.digitize(latency_ms[order], edges)
        starts = np.searchsorted(bins, bins)  # of each row's bin
        keep = np.arange(len(bins)) - starts < ELITES
        kept = order[keep]
        return _Archive(bins[keep], Found(rows[kept], latency_ms[kept], accuracy[kept]))


def search_front(
    objectives: Objectives,
    evaluations: int,
    seed: int = 0,
    on_batch: Progress = silent,
) -> Found:
    """The predicted Pareto front over the whole range of latencies.

    Parents come from all bins alike, the second parent from the same or a neighbouring bin, so
    that every latency is searched at once and good networks wander along the front. The network
    with the lowest latency is always part of it. `on_batch` gets evaluations done and wanted.
    """
    rng = np.random.default_rng(seed)
    space = objectives.space
    first = np.concatenate([objectives.smallest[None], sample(space, BATCH - 1, rng)])
    latency_ms = objectives.latency_ms(first)
    latency_ms = latency_ms[np.isfinite(latency_ms)]
    edges = np.geomspace(latency_ms.min(), latency_ms.max(), BINS - 1)
    empty = Found(first[:0], np.empty(0), np.empty(0))
    archive = _Archive(np.empty(0), empty).updated(edges, first, objectives)
    for done in range(BATCH, evaluations, BATCH):
        archive = archive.updated(edges, _children(archive, objectives, rng), objectives)
        on_batch(done, evaluations)
    genomes = np.concatenate([objectives.smallest[None], archive.found.genomes])
    latency_ms, accuracy = objectives.latency_ms(genomes), objectives.accuracy(genomes)
    best = front(latency_ms, accuracy)
    return Found(genomes[best], latency_ms[best], accuracy[best])


def _children(archive: _Archive, objectives: Objectives, rng: np.random.Generator) -> Genomes:
    """A batch of crosses of neighbours, every one mutated."""
    occupied = np.unique(archive.bins)
    mother_bins = rng.integers(0, len(occupied), BATCH)
    steps = rng.integers(-1, 2, BATCH)
    father_bins = np.clip(mother_bins + steps, 0, len(occupied) - 1)
    mothers, fathers = (
        _member(archive, occupied[chosen], rng) for chosen in (mother_bins, father_bins)
    )
    children = cross(objectives.space, mothers, fathers, rng)
    return mutate(objectives.space, children, rng)


def _member(archive: _Archive, bins: Floats, rng: np.random.Generator) -> Genomes:
    """A random elite of each of the bins."""
    start = np.searchsorted(archive.bins, bins)
    end = np.searchsorted(archive.bins, bins, side="right")
    return archive.found.genomes[rng.integers(start, end)]
