"""What a run tells while it goes on, besides how far it is: values, which `cli/words` words."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.predictors.latency import LatencyPredictor
from harness.progress import Progress
from harness.tables.table import Table


@dataclass(frozen=True)
class Remark:
    """What a room below says of itself in its own words: a predictor, a folder of images."""

    text: str


@dataclass(frozen=True)
class TableState:
    """A table, and what it is worth."""

    path: Path
    table: Table
    predictor: LatencyPredictor | None  # of whole networks; None: its blocks tell


@dataclass(frozen=True)
class NoAccuracies:
    """Nothing is trained for the space here: a search will have to be told accuracies."""

    space: str


@dataclass(frozen=True)
class AccuracyNotCalled:
    """A front's accuracies came from a function, which only whoever names it calls."""

    source: str


@dataclass(frozen=True)
class MeasuredAlready:
    """A device's table is there, as thorough as it is asked for."""

    device: str
    space: str


@dataclass(frozen=True)
class KernelsTimed:
    """A wave of kernels is in a device's table."""

    device: str
    timed: int
    of: int
    error: float  # of kernels left out, a share
    before: float  # the same without the wave


@dataclass(frozen=True)
class OddBlocks:
    """A device whose blocks tell less of each other than those of others do: more are visited."""

    device: str
    times: float  # less alike
    more: int  # blocks that are visited for it
    filled: int  # that are still left out


@dataclass(frozen=True)
class Refreshed:
    """How a sample of blocks compares with the table, and what is measured again for that."""

    shift: float  # of everything
    updated: tuple[str, ...]  # since the table was measured
    moved: int  # blocks, beyond the shift
    compared: int
    again: int  # blocks like them
    blocks: int  # of the space


@dataclass(frozen=True)
class WithoutEnergies:
    """A table of energies cannot tell them."""

    why: str


@dataclass(frozen=True)
class AnswersNotCompared:
    """A converted model whose answers nobody held against onnxruntime's."""

    model: str


@dataclass(frozen=True)
class StartUnknown:
    """A model that was timed does not start in a process of its own."""

    why: str


@dataclass(frozen=True)
class Fetched:
    """A file of others, whole."""

    path: Path
    sha256: str
    before: bool  # it was so at an earlier download, too


@dataclass(frozen=True)
class NewHead:
    """A network is trained on other classes than it has."""

    network: Path
    classes: int
    others: int


Notice = (
    Remark
    | TableState
    | NoAccuracies
    | AccuracyNotCalled
    | MeasuredAlready
    | KernelsTimed
    | OddBlocks
    | Refreshed
    | WithoutEnergies
    | AnswersNotCompared
    | StartUnknown
    | Fetched
    | NewHead
)


class Listener(Protocol):
    """Who is told what a run does."""

    def step(self, title: str) -> AbstractContextManager[Progress]:
        """A step that takes long; the progress takes how much is done, of how much."""

    def tell(self, notice: Notice) -> None:
        """What came up meanwhile."""
