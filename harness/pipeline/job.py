"""What stays the same over all steps of a run."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.effort import Effort
from harness.errors import UsageError
from harness.progress import Progress
from harness.spaces.mobile import MobileSpace
from harness.spaces.space import Space
from harness.training.recipe_files import digits_recipe
from harness.training.stages import Recipe
from harness.workspace import Workspace


class Console(Protocol):
    """Where a run says what it does."""

    def step(self, title: str) -> AbstractContextManager[Progress]:
        """Show a step that takes long; the progress takes how much is done, of how much."""

    def say(self, text: str) -> None:
        """Show a line."""


@dataclass(frozen=True)
class Run:
    """A space, how much work is put into it, and where it is kept."""

    workspace: Workspace
    space: Space
    effort: Effort
    seed: int
    distill: float  # weight of the largest network's soft labels in the training loss
    fresh: bool
    console: Console
    deadline_s: float | None = None  # by time.monotonic(): measuring has to be done by then
    accuracy: str | None = None  # where accuracies come from; None: a supernet trained here
    space_text: str | None = None  # how the space was asked for, where that is not its name
    resolutions_text: str | None = None  # which part of it was asked for
    quantity: str = "latency"  # what is measured; or "energy"

    @property
    def can_train(self) -> bool:
        """Whether there is data for the space: grey images of ten digits."""
        space = self.space
        fits = (space.image_channels, space.classes) == (1, 10)
        return isinstance(space, MobileSpace) and fits

    def recipe(self) -> Recipe:
        """How the supernet is trained.

        Raises:
            UsageError: there is no data to train this space on.
        """
        if not self.can_train:
            raise UsageError(
                f"there is no data to train {self.space.name} on (what is here are digits, grey "
                "images of 10 classes); --accuracy says where accuracies come from instead"
            )
        return digits_recipe(self.effort.training_steps, self.seed, self.distill)

    def folder(self) -> Path:
        """Where the supernet and what hangs on it is kept."""
        settings = self.recipe().settings | {"resolutions": list(self.space.resolutions)}
        return self.workspace.training(self.space.name, settings)

    @property
    def trained(self) -> str | None:
        """The name of that folder; None where nothing is trained."""
        return None if self.accuracy else self.folder().name

    @property
    def evaluated(self) -> Path:
        """Sub-networks and their validation accuracies."""
        return self.folder() / "evaluated.jsonl"

    @property
    def predictor(self) -> Path:
        """The accuracy predictor."""
        return self.folder() / "accuracy.npz"

    @property
    def supernet(self) -> Path:
        return self.folder() / "supernet.pt"
