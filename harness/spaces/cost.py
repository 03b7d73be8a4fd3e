"""Costs that add up over blocks (latency, MACs, parameters), as dense arrays over a whole space."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.spaces.block import Block
from harness.spaces.genome import Genomes, active, split
from harness.spaces.space import Space


@dataclass(frozen=True)
class CostTable:
    """The cost of every choice: a network costs its fixed part plus its layers.

    `fixed` is [resolutions], `layer` is [resolutions, layers, kernels, expands], both in the unit
    of the block cost they were made from. A resolution that has no cost is infinite everywhere.
    """

    space: Space
    fixed: npt.NDArray[np.float64]
    layer: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        space: Space,
        cost: Callable[[Block], float],
        resolutions: Collection[int] | None = None,
    ) -> "CostTable":
        """The costs at `resolutions` (default: all of the space)."""
        shape = (len(space.resolutions), space.layers, len(space.kernels), len(space.expands))
        fixed, layer = np.full(shape[0], np.inf), np.full(shape, np.inf)
        for r, resolution in enumerate(space.resolutions):
            if resolutions is not None and resolution not in resolutions:
                continue
            before, after = space.fixed_blocks(resolution)
            fixed[r] = sum(cost(block) for block in (*before, *after))
            for slot, k, e in np.ndindex(*layer.shape[1:]):
                kernel, expand = space.kernels[k], space.expands[e]
                layer[r, slot, k, e] = cost(space.layer_block(resolution, slot, kernel, expand))
        return cls(space, fixed, layer)

    def total(self, genomes: Genomes) -> npt.NDArray[np.float64]:
        """The cost of each network, [n]."""
        resolution, depths, kernels, expands = split(self.space, genomes)
        slots = np.arange(self.space.layers)
        layers = self.layer[resolution[:, None], slots, kernels, expands]
        present = active(self.space, depths)
        total = self.fixed[resolution] + np.where(present, layers, 0.0).sum(axis=1)
        return np.asarray(total, dtype=float)

    def cheapest(self) -> tuple[float, Genomes]:
        """The smallest cost in the space, exactly, and the row of a network that has it."""
        space = self.space
        shape = (len(space.resolutions), len(space.stages), space.max_depth)
        flat = self.layer.reshape(*self.layer.shape[:2], -1)
        choice = flat.argmin(axis=2).reshape(shape)
        by_depth = flat.min(axis=2).reshape(shape).cumsum(axis=2)
        at_choices = by_depth[:, :, np.asarray(space.depths) - 1]
        depth = at_choices.argmin(axis=2)
        cost = self.fixed + at_choices.min(axis=2).sum(axis=1)
        best = int(cost.argmin())
        kernels, expands = np.divmod(choice[best].reshape(-1), len(space.expands))
        present = active(space, depth[best][None])[0]
        row = np.concatenate([[best], depth[best], kernels * present, expands * present])
        return float(cost[best]), row.astype(np.int16)
