"""Costs made of their blocks' (latency, MACs, memory), as dense arrays over a whole space."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
import numpy.typing as npt

from harness.spaces.block import Block
from harness.spaces.genome import Genomes, canonical
from harness.spaces.space import Place, Space

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CostTable:
    """The cost of every choice: a network costs what stands at its places, all or the most of it.

    `places` has an array for each place, with an axis for each of its genes and, last, one for
    the depth gene that may leave it out (there it costs 0). Its unit is that of the block cost. A
    resolution that has no cost is infinite everywhere.
    """

    space: Space
    places: tuple[Floats, ...]
    peak: bool = False  # costs do not add up; the largest counts

    @classmethod
    def of(
        cls,
        space: Space,
        cost: Callable[[Block], float],
        resolutions: Collection[int] | None = None,
        peak: bool = False,
    ) -> "CostTable":
        """The costs at `resolutions` (default: all of the space)."""
        covered = np.array([resolutions is None or r in resolutions for r in space.resolutions])
        known = [r for r, here in zip(space.resolutions, covered, strict=True) if here]
        places = []
        for index, place in enumerate(space.places):
            shape = [space.sizes[column] for column in place.genes]
            costs = np.full(shape, np.inf)
            found = [cost(block) for block in space.blocks_at(index, known)]
            costs[covered] = np.reshape(found, (len(known), *shape[1:]))
            if place.depth is not None:
                there = np.arange(space.sizes[place.depth]) >= place.from_choice
                costs = np.where(there, costs[..., None], 0.0)
            places.append(costs)
        return cls(space, tuple(places), peak)

    @property
    def resolutions(self) -> tuple[int, ...]:
        """Those that have costs."""
        finite = zip(self.space.resolutions, np.isfinite(self.places[0]), strict=True)
        return tuple(resolution for resolution, costs in finite if np.all(costs))

    def total(self, genomes: Genomes) -> Floats:
        """The cost of each network, [n]."""
        return np.asarray(self._combine.reduce(self.by_place(genomes), axis=1))

    def by_place(self, genomes: Genomes) -> Floats:
        """What each network costs at each place, [n, places]."""
        flat, steps, starts = self._flat
        # Whole numbers as floats: their product is exact, and much faster than that of integers.
        rows = (genomes.astype(float) @ steps).astype(np.int64) + starts
        return np.asarray(flat[rows])

    @property
    def _combine(self) -> np.ufunc:
        return np.maximum if self.peak else np.add

    @cached_property
    def _flat(self) -> tuple[Floats, Floats, npt.NDArray[np.int64]]:
        """All costs in a row; how far a step of each gene leads [genes, places]; the starts."""
        steps = np.zeros((len(self.space.genes), len(self.places)))
        for index, (place, costs) in enumerate(zip(self.space.places, self.places, strict=True)):
            for axis, column in enumerate(_axes(place)):
                steps[column, index] = np.prod(costs.shape[axis + 1 :])
        starts = np.cumsum([0, *(costs.size for costs in self.places)])[:-1]
        return np.concatenate([costs.ravel() for costs in self.places]), steps, starts

    def cheapest(self) -> tuple[float, Genomes]:
        """The smallest cost in the space, exactly, and the row of a network that has it.

        Genes that several places share are tried in all combinations; given those, the best
        depths and the best genes of each place do not depend on each other.
        """
        sizes, shared = self.space.sizes, self._shared()
        grid = [sizes[column] for column in shared]
        by_depth: dict[int | None, Floats] = {}  # [*grid, choices of the depth gene]
        for place, costs in zip(self.space.places, self.places, strict=True):
            own = tuple(axis for axis, column in enumerate(place.genes) if column not in shared)
            shape = [sizes[column] if column in place.genes else 1 for column in shared]
            least = costs.min(axis=own).reshape(*shape, -1)
            by_depth[place.depth] = self._combine(by_depth.get(place.depth, 0.0), least)
        least_of = (part.min(axis=-1) for part in by_depth.values())
        total = np.broadcast_to(reduce(self._combine, least_of), grid)
        best = np.unravel_index(int(total.argmin()), grid)
        row = np.zeros(len(sizes), np.int16)
        row[shared] = best
        for depth, part in by_depth.items():
            if depth is not None:
                row[depth] = np.broadcast_to(part, (*grid, sizes[depth]))[best].argmin()
        for place, costs in zip(self.space.places, self.places, strict=True):
            axes = _axes(place)
            own_columns = [column for column in place.genes if column not in shared]
            rest = costs[tuple(slice(None) if c in own_columns else row[c] for c in axes)]
            row[own_columns] = np.unravel_index(int(rest.argmin()), rest.shape)
        return float(total[best]), canonical(self.space, row[None])[0]

    def _shared(self) -> list[int]:
        """The genes that decide more than one block."""
        used = np.bincount([column for place in self.space.places for column in place.genes])
        return [int(column) for column in np.flatnonzero(used > 1)]


def _axes(place: Place) -> tuple[int, ...]:
    """The genes that the axes of a place's costs stand for."""
    return place.genes if place.depth is None else (*place.genes, place.depth)
