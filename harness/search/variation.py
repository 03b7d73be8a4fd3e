"""How children are made from parents, whole populations at a time."""

import numpy as np

from harness.spaces.genome import Genomes, canonical
from harness.spaces.space import Space

MUTATION = 0.1  # chance of each gene, as in the reference


def mutate(space: Space, parents: Genomes, rng: np.random.Generator) -> Genomes:
    """Every gene redrawn with the chance `MUTATION`, at least one of each row."""
    changed = rng.random(parents.shape) < MUTATION
    changed[np.arange(len(parents)), rng.integers(0, len(space.sizes), len(parents))] = True
    fresh = rng.integers(0, space.sizes, parents.shape, dtype=np.int16)
    return canonical(space, np.where(changed, fresh, parents))


def cross(space: Space, mothers: Genomes, fathers: Genomes, rng: np.random.Generator) -> Genomes:
    """Every gene from either parent with equal chance."""
    return canonical(space, np.where(rng.random(mothers.shape) < 0.5, mothers, fathers))
