"""How children are made from parents, whole populations at a time."""

import numpy as np

from harness.spaces.genome import Genomes, canonical
from harness.spaces.space import Space

MUTATION = 0.05  # chance of each gene; the reference has 0.1, which found less


def children(space: Space, mothers: Genomes, fathers: Genomes, rng: np.random.Generator) -> Genomes:
    """Every gene from either parent with equal chance; then some redrawn, at least one a child."""
    bits = np.unpackbits(np.frombuffer(rng.bytes(mothers.size // 8 + 1), np.uint8))
    crossed = np.where(bits[: mothers.size].reshape(mothers.shape), mothers, fathers)
    return canonical(space, _mutated(space, crossed, rng))


def _mutated(space: Space, genomes: Genomes, rng: np.random.Generator) -> Genomes:
    count, genes = genomes.shape
    more = rng.binomial(genomes.size, max(0.0, MUTATION - 1 / genes))
    rows = np.concatenate([np.arange(count), rng.integers(0, count, more)])
    columns = rng.integers(0, genes, len(rows))
    changed = genomes.copy()
    changed[rows, columns] = rng.integers(0, np.array(space.sizes)[columns])
    return changed
