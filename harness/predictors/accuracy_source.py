"""Where accuracies come from: a predictor, evaluated networks in a CSV, a user's own function."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from harness import files
from harness.errors import FileFormatError, HarnessError, PredictorError
from harness.own_code import imported
from harness.predictors.accuracy import AccuracyPredictor, fit
from harness.predictors.judges import Judges
from harness.predictors.released_accuracy import load_released_accuracy
from harness.spaces.arch import PARTS, Arch
from harness.spaces.genome import Genomes, decode_all, encode
from harness.spaces.space import Space, numbers

Floats = npt.NDArray[np.float64]
FEWEST = 50  # rows of a CSV


class AccuracySource(Protocol):
    """What a search asks for accuracies."""

    @property
    def judges(self) -> Judges | None:
        """Networks that tell how far it is off; None: nobody knows."""

    def accuracy(self, genomes: Genomes) -> Floats:
        """Predicted top-1 of each network, percent, [n]."""

    def describe(self) -> str:
        """What it is and how good."""

    def facts(self) -> dict[str, Any]:
        """The same as figures, for `front.json`."""


@dataclass(frozen=True)
class OwnFunction:
    """A user's function: takes an arch, returns its top-1 in percent."""

    space: Space
    name: str
    function: Callable[[Arch], float]
    judges: None = None

    def accuracy(self, genomes: Genomes) -> Floats:
        """Raises PredictorError where the function fails."""
        try:
            values = [float(self.function(arch)) for arch in decode_all(self.space, genomes)]
        except HarnessError:
            raise
        except Exception as error:  # whatever a function of others raises
            raise PredictorError(f"{self.name} failed: {error!r:.300}") from error
        return np.array(values)

    def describe(self) -> str:
        return f"accuracy: by {self.name}, which says nothing of its error"

    def facts(self) -> dict[str, Any]:
        return {"source": self.name, "rmse": None}


def is_function(text: str) -> bool:
    """Whether `text` names a function: it is imported and called only where that is asked for."""
    return ":" in text and Path(text).suffix.lower() not in (".npz", ".pth", ".csv")


def accuracy_source(text: str, space: Space) -> AccuracySource:
    """The source that `text` means: a .npz or .pth predictor, a .csv, or `module:function`.

    Raises:
        PredictorError: it means none of these.
        UsageError: the function cannot be imported.
        FileFormatError: the file is broken, or for another space.
    """
    path = Path(text)
    suffix = path.suffix.lower()
    if suffix == ".npz":
        return AccuracyPredictor.load(path, space)
    if suffix == ".pth":
        return load_released_accuracy(path, space)
    if suffix == ".csv":
        return fit(space, *read_csv(path, space))
    if not is_function(text):
        raise PredictorError(
            f"{text!r} is no source of accuracies: give a .npz or .pth predictor, a .csv of "
            "evaluated networks, or a function as package.module:name"
        )
    return OwnFunction(space, text, imported(text))


def read_csv(path: Path, space: Space) -> tuple[Genomes, Floats]:
    """Evaluated networks: columns as the arch's parts (lists separated by spaces) and `accuracy`.

    Raises:
        FileFormatError: a column or row is missing or wrong, or a network is there twice; the line
            is named.
    """
    archs, accuracies = [], []
    _, rows = files.read_csv(path)
    for number, row in rows:
        where = f"{path}:{number}"
        try:
            archs.append(_arch(row, space))
            space.check(archs[-1])
            accuracies.append(float(row["accuracy"]))
        except (KeyError, TypeError, ValueError, AttributeError, HarnessError) as error:
            what = f"no column {error}" if isinstance(error, KeyError) else error
            raise FileFormatError(f"{where}: {what}") from error
        if not 0 <= accuracies[-1] <= 100:
            raise FileFormatError(f"{where}: an accuracy of {accuracies[-1]} percent")
    if len(archs) < FEWEST:
        raise FileFormatError(f"{path} has {len(archs)} networks; at least {FEWEST} are needed")
    seen = sorted({arch.resolution for arch in archs})
    if unseen := [r for r in space.resolutions if r not in seen]:
        raise FileFormatError(
            f"{path} tells nothing at {numbers(unseen)} pixels: evaluate networks there, or leave "
            f"them out by --resolutions {','.join(map(str, seen))}"
        )
    genomes = encode(space, archs)
    lines: dict[bytes, int] = {}
    for (number, _), genome in zip(rows, genomes, strict=True):
        first = lines.setdefault(genome.tobytes(), number)
        if first != number:
            raise FileFormatError(f"{path}:{number}: the network of line {first} again; delete one")
    return genomes, np.array(accuracies)


def _arch(row: dict[str, str], space: Space) -> Arch:
    """The arch of a row; columns that the space does not have may be missing."""
    value: dict[str, Any] = {}
    for part in dict.fromkeys((*PARTS, *(gene.part for gene in space.genes))):
        if part in row:
            words = row[part].split()
            value[part] = [int(word) if word.isdecimal() else float(word) for word in words]
    if len(value.get("r", ())) > 1:
        raise FileFormatError(f"not an arch: more than one resolution, {value['r']}")
    return Arch.from_json(value)
