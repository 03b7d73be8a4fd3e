"""Supernet checkpoints: weights, where training stands, and what they were trained with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import CheckpointError
from harness.networks.file import SCHEMA, load_tensors, save_tensors
from harness.schema import Count, checked
from harness.spaces.space import Space
from harness.supernet.supernet import Supernet
from harness.supernet.translating import supernet_of


@dataclass(frozen=True)
class Checkpoint:
    """One moment of training; `settings` decide whether a run may go on from it."""

    space: str
    settings: dict[str, Any]
    step: Count  # steps done, over all stages
    weights: dict[str, Any]  # tensors
    optimizer: dict[str, Any]
    teacher: dict[str, Any] | None  # the largest network, where distillation needs it

    def save(self, path: Path) -> None:
        save_tensors({"schema": SCHEMA, "kind": "supernet"} | vars(self), path)

    @classmethod
    def load(cls, path: Path) -> "Checkpoint":
        """Read a checkpoint; nothing in it is executed.

        Raises:
            CheckpointError: the file is missing, broken or no supernet of ours.
        """
        content = load_tensors(path, "supernet")
        try:
            return checked(cls, content)
        except ValueError as error:
            raise CheckpointError(f"{path} is not a whole checkpoint: {error}") from error

    def supernet(self, space: Space, path: Path) -> Supernet:
        """The network with these weights.

        Raises:
            CheckpointError: the weights are of another space; `path` is named.
        """
        if self.space != space.name:
            raise CheckpointError(f"{path} holds a supernet of {self.space}, not of {space.name}")
        network = supernet_of(space)
        try:
            network.load_state_dict(self.weights)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{path} does not fit {space.name}: {error}") from error
        return network.eval()
