"""Arches of one space as rows of an integer array: what the search and the predictors see.

A row holds indices into the space's choices: resolution, depth of each stage, kernel of each
layer, expand of each layer. Layers that the depth leaves out hold index 0 (`canonical`), so that
two rows are equal exactly when they are the same network.
"""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from harness.spaces.arch import Arch
from harness.spaces.space import Space

Genomes = npt.NDArray[np.int16]  # [population, 1 + stages + 2 * layers]


def genes(space: Space) -> npt.NDArray[np.int64]:
    """How many choices each column has, [1 + stages + 2 * layers]."""
    return np.repeat(
        [len(space.resolutions), len(space.depths), len(space.kernels), len(space.expands)],
        [1, len(space.stages), space.layers, space.layers],
    )


def split(space: Space, genomes: Genomes) -> tuple[Genomes, Genomes, Genomes, Genomes]:
    """The columns: resolution [n], depths [n, stages], kernels and expands [n, layers]."""
    stages = len(space.stages)
    edges = [1, 1 + stages, 1 + stages + space.layers]
    resolution, depths, kernels, expands = np.split(genomes, edges, axis=1)
    return resolution[:, 0], depths, kernels, expands


def active(space: Space, depths: Genomes) -> npt.NDArray[np.bool_]:
    """Which layers are there, [n, layers], for depth indices [n, stages]."""
    layers = np.asarray(space.depths)[depths]
    present = np.arange(space.max_depth) < layers[:, :, None]
    return present.reshape(len(depths), space.layers)


def canonical(space: Space, genomes: Genomes) -> Genomes:
    """The same networks with index 0 in every left-out layer."""
    resolution, depths, kernels, expands = split(space, genomes)
    present = active(space, depths)
    return np.concatenate(
        [resolution[:, None], depths, kernels * present, expands * present], axis=1
    ).astype(np.int16)


def encode(space: Space, archs: Iterable[Arch]) -> Genomes:
    """Arches as rows.

    Raises:
        UsageError: an arch is not of this space.
    """
    rows = []
    for arch in archs:
        space.check(arch)
        present = set(space.active_slots(arch))
        kernels, expands = (
            [choices.index(values[slot]) if slot in present else 0 for slot in range(space.layers)]
            for choices, values in ((space.kernels, arch.kernels), (space.expands, arch.expands))
        )
        depths = [space.depths.index(depth) for depth in arch.depths]
        rows.append([space.resolutions.index(arch.resolution), *depths, *kernels, *expands])
    return np.array(rows, dtype=np.int16).reshape(len(rows), len(genes(space)))


def decode(space: Space, genome: Genomes) -> Arch:
    """The arch of one row."""
    resolution, depths, kernels, expands = split(space, genome[None])
    present = active(space, depths)[0]
    return Arch(
        resolution=space.resolutions[resolution[0]],
        depths=tuple(space.depths[index] for index in depths[0]),
        kernels=_values(space.kernels, kernels[0], present),
        expands=_values(space.expands, expands[0], present),
    )


def _values(
    choices: tuple[int, ...], row: Genomes, present: npt.NDArray[np.bool_]
) -> tuple[int, ...]:
    return tuple(choices[i] if here else 0 for i, here in zip(row, present, strict=True))


def sample(space: Space, count: int, rng: np.random.Generator) -> Genomes:
    """Random rows as in the OFA paper: every depth, kernel, expand and resolution equally likely.

    Shallow and deep networks come alike, which suits training, predictors and calibration.
    """
    columns = genes(space)
    return canonical(space, rng.integers(0, columns, (count, len(columns)), dtype=np.int16))


def sample_uniform(space: Space, count: int, rng: np.random.Generator) -> Genomes:
    """Random rows with every network of the space equally likely.

    There are far more deep networks than shallow ones, so nearly all drawn are deep.
    """
    columns = genes(space)
    genomes = rng.integers(0, columns, (count, len(columns)), dtype=np.int16)
    per_layer = len(space.kernels) * len(space.expands)
    networks = np.array([float(per_layer) ** depth for depth in space.depths])
    stages = len(space.stages)
    shares = networks / networks.sum()
    genomes[:, 1 : 1 + stages] = rng.choice(len(networks), (count, stages), p=shares)
    return canonical(space, genomes)


def one_hot(space: Space, genomes: Genomes) -> npt.NDArray[np.float32]:
    """The paper's encoding (appendix A), [n, layers * (kernels + expands) + resolutions].

    Kernel and expand of each layer and the resolution one-hot; left-out layers are all zero.
    """
    resolution, depths, kernels, expands = split(space, genomes)
    present = active(space, depths)[:, :, None]
    parts = [
        (np.eye(len(choices), dtype=np.float32)[rows] * present).reshape(len(genomes), -1)
        for choices, rows in ((space.kernels, kernels), (space.expands, expands))
    ]
    sizes = np.eye(len(space.resolutions), dtype=np.float32)[resolution]
    return np.concatenate([*parts, sizes], axis=1)
