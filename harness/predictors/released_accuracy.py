"""The accuracy predictor that the OFA authors released for OFA-MBv3 (`acc_predictor.pth`)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import CheckpointError
from harness.predictors.accuracy import Floats32, forward
from harness.spaces.genome import Genomes, one_hot
from harness.spaces.space import Space, numbers

FOR = "ofa-mbv3-w1.2"
LAYERS, SLOTS = 120, 8  # features: kernels and expands of 20 layers; resolutions in steps of 16
CAVEAT = (
    "the authors' predictor, for width 1.2: it sits about 3.4 points above the top-1 that networks "
    "of this space really reach, and keeps their order"
)


@dataclass(frozen=True)
class ReleasedAccuracyPredictor:
    """Their network, in numpy."""

    space: Space
    weights: tuple[Floats32, ...]
    biases: tuple[Floats32, ...]
    judges: None = None  # the authors state no error of this file

    def accuracy(self, genomes: Genomes) -> npt.NDArray[np.float64]:
        """Predicted top-1 of each network, percent, [n]; see `CAVEAT`."""
        layers = one_hot(self.space, genomes)[:, :LAYERS]
        pixels = np.array(self.space.resolutions)[genomes[:, 0]]
        sizes = np.eye(SLOTS, dtype=np.float32)[(pixels - 112) // 16]
        return forward(self.weights, self.biases, np.concatenate([layers, sizes], axis=1))

    def describe(self) -> str:
        return f"accuracy: {CAVEAT}"

    def facts(self) -> dict[str, Any]:
        return {"source": "released by the OFA authors", "caveat": CAVEAT, "rmse": None}


def load_released_accuracy(path: Path, space: Space) -> ReleasedAccuracyPredictor:
    """Read their file; nothing in it is executed.

    Raises:
        CheckpointError: the file is broken, or is no predictor for this space or part of it.
    """
    from harness.networks.file import read_tensors

    if space.name == FOR and space.never_released_at:
        raise CheckpointError(
            f"{path} tells nothing at {numbers(space.never_released_at)} pixels, only at "
            f"{space.released_at[0]} to {space.released_at[-1]}: leave them out of --resolutions, "
            "or evaluate networks there (--accuracy with a CSV, or a function)"
        )
    if not path.exists():
        raise CheckpointError(f"there is no {path}; `harness fetch acc-predictor` brings theirs")
    layers = [gene for gene in space.genes if gene.part in ("ks", "e")]
    if sum(len(gene.choices) for gene in layers) != LAYERS or space.name != FOR:
        raise CheckpointError(f"{path} predicts for {FOR}, not for {space.name}")
    content = read_tensors(path)
    try:
        state = content.get("state_dict", content)
        weights = tuple(state[f"{i}.weight"].float().numpy().T.copy() for i in (0, 2, 4, 6))
        biases = tuple(state[f"{i}.bias"].float().numpy().copy() for i in (0, 2, 4, 6))
    except (AttributeError, LookupError, TypeError) as error:
        raise CheckpointError(f"{path} is no accuracy predictor of the OFA authors") from error
    if weights[0].shape[0] != LAYERS + SLOTS:
        raise CheckpointError(f"{path} is no accuracy predictor of the OFA authors")
    return ReleasedAccuracyPredictor(space, weights, biases)
