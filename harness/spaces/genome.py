"""Arches of one space as rows of an integer array: what the search and the predictors see.

A row holds indices into the choices of the space's genes. Genes of layers that the depth leaves
out hold index 0 (`canonical`), so that two rows are equal exactly when they are the same network.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from harness.spaces.arch import Arch, Number
from harness.spaces.space import Space

Genomes = npt.NDArray[np.int16]  # [population, genes]


def present(space: Space, genomes: Genomes) -> npt.NDArray[np.bool_]:
    """Which genes the depths leave in, [n, genes]."""
    depths = [0 if gene.depth is None else gene.depth for gene in space.genes]
    from_choice = [0 if gene.depth is None else gene.from_choice for gene in space.genes]
    return np.asarray(genomes[:, depths] >= np.array(from_choice))


def canonical(space: Space, genomes: Genomes) -> Genomes:
    """The same networks with index 0 for every gene that is left out."""
    return (genomes * present(space, genomes)).astype(np.int16)


def encode(space: Space, archs: Iterable[Arch]) -> Genomes:
    """Arches as rows.

    Raises:
        UsageError: an arch is not of this space.
    """
    rows = []
    for arch in archs:
        space.check(arch)
        rows.append(
            [
                gene.choices.index(arch.part(gene.part)[gene.index])
                if space.present(arch, gene)
                else 0
                for gene in space.genes
            ]
        )
    return np.array(rows, dtype=np.int16).reshape(len(rows), len(space.genes))


def decode(space: Space, genome: Genomes) -> Arch:
    """The arch of one row."""
    return next(decode_all(space, genome[None]))


def decode_all(space: Space, genomes: Genomes) -> Iterator[Arch]:
    """The arch of each row; many together take a fraction of the time that each alone would."""
    columns: dict[str, dict[int, list[Number]]] = {}
    here = present(space, genomes)
    for gene, chosen, there in zip(space.genes, genomes.T.tolist(), here.T.tolist(), strict=True):
        columns.setdefault(gene.part, {})[gene.index] = [
            gene.choices[choice] if is_there else 0
            for choice, is_there in zip(chosen, there, strict=True)
        ]
    parts = [
        zip(*(column for _, column in sorted(part.items())), strict=True)
        for part in columns.values()
    ]
    for row in zip(*parts, strict=True):
        yield Arch.of_parts(dict(zip(columns, row, strict=True)))


def sample(space: Space, count: int, rng: np.random.Generator) -> Genomes:
    """Random rows as in the OFA paper: every choice of every gene equally likely.

    Shallow and deep networks come alike, which suits training, predictors and calibration.
    """
    rows = rng.integers(0, space.sizes, (count, len(space.sizes)), dtype=np.int16)
    return canonical(space, rows)


def one_hot(space: Space, genomes: Genomes) -> npt.NDArray[np.float32]:
    """The paper's encoding (appendix A), [n, features].

    Kernels, expands, widths and the resolution one-hot, zero for layers that are left out. A depth
    shows in what it leaves out; where that is no gene, it is one-hot itself.
    """
    shown = {gene.depth for gene in space.genes if gene.depth is not None}
    columns = [column for column in range(1, len(space.genes)) if column not in shown] + [0]
    sizes = np.array(space.sizes)[columns]
    starts = np.cumsum(sizes) - sizes
    marks = np.zeros((len(genomes), int(sizes.sum())), np.float32)
    here = present(space, genomes)[:, columns]
    np.put_along_axis(marks, starts + genomes[:, columns], here, axis=1)
    return marks
