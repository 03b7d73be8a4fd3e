"""Accuracy of any sub-network, from a small network trained on evaluated ones.

The paper's appendix A: one-hot kernels, expands and resolution into three hidden layers of 400.
Trained with torch; predicting takes numpy alone, so that the search needs no torch.
"""

import io
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness import files
from harness.errors import CheckpointError
from harness.predictors.judges import Judges, described
from harness.schema import Count, Number, Positive, checked
from harness.spaces.genome import Genomes, one_hot
from harness.spaces.space import Space, numbers
from harness.tables.end_to_end import spearman

HIDDEN = (400, 400, 400)
HELD_OUT = 0.2  # share of the evaluated sub-networks that judge the predictor
Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Quality:
    """How good the predictor is on sub-networks that it was not trained on."""

    rmse: Positive  # percentage points
    median_error: Positive  # percentage points; far below the RMSE where few networks are far off
    spearman: Number
    trained_on: Count  # sub-networks
    held_out: Count

    def describe(self) -> str:
        return (
            f"accuracy predictor: RMSE {self.rmse:.2f} points, median error "
            f"{self.median_error:.2f}, rank correlation {self.spearman:.3f} "
            f"on {self.held_out} held-out sub-networks"
        )


@dataclass(frozen=True)
class AccuracyPredictor:
    """The trained network, in numpy."""

    space: Space
    weights: tuple[Floats32, ...]  # [inputs, outputs] of each layer
    biases: tuple[Floats32, ...]
    quality: Quality
    judges: Judges | None = None  # None: of an older version, whose intervals rested on the RMSE

    def accuracy(self, genomes: Genomes) -> npt.NDArray[np.float64]:
        """Predicted top-1 on validation images of each network, percent, [n]."""
        return forward(self.weights, self.biases, one_hot(self.space, genomes))

    def judged_by(
        self, genomes: Genomes, accuracies: npt.NDArray[np.float64]
    ) -> "AccuracyPredictor":
        """With intervals told also by networks that searches by it found, evaluated, percent."""
        known = self.judges or Judges(())
        return replace(self, judges=known.and_found(self.accuracy(genomes), accuracies))

    def describe(self) -> str:
        return f"{self.quality.describe()}; {described(self.judges, self.space)}"

    def facts(self) -> dict[str, Any]:
        facts = {"interval": described(self.judges, self.space), "scored": self.space.scored}
        return asdict(self.quality) | facts

    def save(self, path: Path) -> None:
        arrays = {f"weight{i}": weight for i, weight in enumerate(self.weights)}
        arrays |= {f"bias{i}": bias for i, bias in enumerate(self.biases)}
        arrays |= {name: np.array(value) for name, value in asdict(self.quality).items()}
        arrays["resolutions"] = np.array(self.space.resolutions)
        if self.judges:
            shares, found = np.array(self.judges.shares), np.array(self.judges.found)
            arrays |= {"shares": shares, "found": found}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, space=np.array(self.space.name), **arrays)
        files.replace_atomically(path, buffer.getvalue())

    @classmethod
    def load(cls, path: Path, space: Space) -> "AccuracyPredictor":
        """Read a predictor; nothing in the file is executed.

        Raises:
            CheckpointError: the file is missing, broken, or for another space.
        """
        if not path.exists():
            raise CheckpointError(
                f"there is no accuracy predictor {path}; make it with `harness accuracy fit` "
                "and the same --quick, --seed and --distill"
            )
        files.check_regular(path)
        files.check_inflates(path)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as content:
                return cls._of(dict(content), path, space)
        except (
            *(OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile),
            MemoryError,  # of an array that says to be of any size
        ) as error:
            raise CheckpointError(
                f"cannot read {path}: {error}; restore it, or move it away"
            ) from error

    @classmethod
    def _of(cls, content: dict[str, Any], path: Path, space: Space) -> "AccuracyPredictor":
        """Raises KeyError, TypeError or ValueError where something lacks or is out of bounds."""
        if str(content["space"]) != space.name:
            raise CheckpointError(f"{path} predicts for {content['space']}")
        layers = range(len(HIDDEN) + 1)
        weights = [content[f"weight{i}"] for i in layers]
        biases = [content[f"bias{i}"] for i in layers]
        features = one_hot(space, np.zeros((1, len(space.genes)), np.int16)).shape[1]
        if weights[0].shape[:1] != (features,):
            raise CheckpointError(f"{path} predicts for {space.name} as it was, with other choices")
        sizes = [features, *(bias.size for bias in biases)]
        for number, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            if weight.shape != tuple(sizes[number : number + 2]) or bias.ndim != 1:
                raise ValueError(f"layer {number} has the shapes {weight.shape} and {bias.shape}")
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise ValueError(f"layer {number} has weights that are no numbers")
        if sizes[-1] != 1:
            raise ValueError(f"it tells {sizes[-1]} accuracies of a network")
        trained_at = _resolutions(content, space)
        if trained_at != space.resolutions:
            raise CheckpointError(
                f"{path} predicts at {numbers(trained_at)} pixels, not at "
                f"{numbers(space.resolutions)}"
            )
        quality = {name: content[name].item() for name in Quality.__dataclass_fields__}
        shares = content["shares"].tolist() if "shares" in content else None
        return cls(
            space,
            tuple(weights),
            tuple(biases),
            checked(Quality, quality),
            None
            if shares is None
            else checked(Judges, {"shares": shares, "found": content["found"].item()}),
        )


def _resolutions(content: Mapping[str, Any], space: Space) -> tuple[int, ...]:
    """Those of the networks that it was trained on; an older file, which does not tell, had none
    that the space was not released at.
    """
    if "resolutions" in content:
        return tuple(content["resolutions"].tolist())
    return tuple(r for r in space.resolutions if r not in space.never_released_at)


def fit(
    space: Space,
    genomes: Genomes,
    accuracies: npt.NDArray[np.float64],
    seed: int = 0,
    epochs: int = 150,
) -> AccuracyPredictor:
    """Train on evaluated sub-networks (`accuracies` in percent); a fifth of them judges.

    `judged_by` gives it better judges, for the networks that users see.

    Adam at 1e-3 with weight decay 1e-4, accuracy in [0, 1], output bias at the mean accuracy, as
    the authors do.
    """
    import torch
    from torch import nn

    judges = held_out(genomes, seed)
    trained = np.flatnonzero(~judges)
    features = torch.from_numpy(one_hot(space, genomes))
    targets = torch.tensor(accuracies / 100, dtype=torch.float32)[:, None]
    sizes = (features.shape[1], *HIDDEN, 1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        linears = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    nn.init.constant_(linears[-1].bias, float(targets[trained].mean()))
    hidden = [layer for linear in linears[:-1] for layer in (linear, nn.ReLU())]
    network = nn.Sequential(*hidden, linears[-1])
    optimizer = torch.optim.Adam(network.parameters(), 1e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(epochs):
        for batch in torch.from_numpy(trained)[
            torch.randperm(len(trained), generator=generator)
        ].split(32):
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(network(features[batch]), targets[batch])
            loss.backward()
            optimizer.step()
        schedule.step()
    weights = tuple(linear.weight.detach().numpy().T.copy() for linear in linears)
    biases = tuple(linear.bias.detach().numpy().copy() for linear in linears)
    predicted = forward(weights, biases, one_hot(space, genomes[judges]))
    errors = predicted - accuracies[judges]
    quality = Quality(
        rmse=float(np.sqrt(np.mean(errors**2))),
        median_error=float(np.median(np.abs(errors))),
        spearman=spearman(predicted, accuracies[judges]),
        trained_on=len(trained),
        held_out=int(judges.sum()),
    )
    judged = Judges.random(predicted, accuracies[judges])
    return AccuracyPredictor(space, weights, biases, quality, judged)


def held_out(genomes: Genomes, seed: int) -> npt.NDArray[np.bool_]:
    """Which of the evaluated sub-networks judge a predictor, and were not fitted to, [n].

    Whatever their order; a network that is there twice, as in small spaces, is on one side.
    """
    networks, network = np.unique(genomes, axis=0, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(networks))
    return np.isin(network.ravel(), order[: round(len(networks) * HELD_OUT)])


def forward(
    weights: tuple[Floats32, ...], biases: tuple[Floats32, ...], x: Floats32
) -> npt.NDArray[np.float64]:
    """The network: features [n, inputs] to accuracies [n], percent."""
    for weight, bias in zip(weights[:-1], biases[:-1], strict=True):
        x = x @ weight
        x += bias
        np.maximum(x, 0, out=x)
    return np.asarray((x @ weights[-1] + biases[-1])[:, 0] * 100, dtype=float)
