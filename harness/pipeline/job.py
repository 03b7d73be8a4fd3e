"""What stays the same over all steps of a run."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from harness.effort import Effort
from harness.errors import UsageError
from harness.progress import Progress
from harness.spaces.mobile import MobileSpace
from harness.spaces.space import Space
from harness.training.recipe_files import default_recipe, digits_recipe, load_recipe, recipe_for
from harness.training.stages import Recipe
from harness.workspace import Workspace

if TYPE_CHECKING:  # torch is imported where it is needed
    from harness.training.folder import ImageFolder


class Console(Protocol):
    """Where a run says what it does."""

    def step(self, title: str) -> AbstractContextManager[Progress]:
        """Show a step that takes long; the progress takes how much is done, of how much."""

    def say(self, text: str) -> None:
        """Show a line."""


@dataclass(frozen=True)
class Training:
    """What a supernet is trained on and how, where that is not digits; None: as the recipe says."""

    data: Path | None = None  # a folder of images
    recipe: str | None = None  # a name or file; None: that of the space
    epochs_scale: float = 1.0
    batch_size: int | None = None  # over all ranks
    distill: float | None = None
    accumulate: int = 1  # micro-batches of each rank
    autocast: bool = False  # bfloat16
    workers: int | None = None  # that decode images; None: as many as processors
    subnets: int | None = None  # evaluated for the accuracy predictor


DIGITS_ALONE = Training()


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
    training: Training = DIGITS_ALONE

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
        training = self.training
        if training.data is not None:
            file = load_recipe(training.recipe or default_recipe(self.space))
            return recipe_for(
                file,
                self.images.count,
                training.batch_size,
                training.epochs_scale,
                self.seed,
                training.distill,
            )
        if not self.can_train:
            raise UsageError(
                f"there is no data to train {self.space.name} on (what is here are digits, grey "
                "images of 10 classes); `harness train --data` takes a folder of images, "
                "--accuracy says where accuracies come from instead"
            )
        return digits_recipe(self.effort.training_steps, self.seed, self.distill)

    @cached_property
    def images(self) -> "ImageFolder":
        """The folder of images to train on.

        Raises:
            UsageError, FileFormatError: it cannot be used.
        """
        from harness.training.folder import ImageFolder

        assert self.training.data is not None
        images = ImageFolder.open(self.training.data, self.seed, self.training.workers)
        if images.channels != self.space.image_channels:
            raise UsageError(
                f"{self.space.name} takes images of {self.space.image_channels} channel(s), those "
                f"in {self.training.data} have {images.channels}"
            )
        return images

    def on_images(self) -> "Run":
        """The same for a supernet with as many classes as the folder of images has."""
        space = replace(self.space, classes=len(self.images.classes))  # type: ignore[type-var]
        job = replace(self, space=space)
        vars(job)["images"] = self.images  # listed once
        return job

    def folder(self) -> Path:
        """Where the supernet and what hangs on it is kept."""
        settings = self.recipe().settings | {"resolutions": list(self.space.resolutions)}
        if ":" in (self.space_text or ""):  # a user's own may be another under the same name
            genes = [str(gene) for gene in self.space.genes]
            blocks = sorted(block.key for block in self.space.distinct_blocks())
            settings |= {"genes": genes, "blocks": blocks}
        if self.training.data is not None:
            settings |= {"data": self.images.facts}
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
    def found(self) -> Path:
        """Sub-networks that searches by the predictor found, and their validation accuracies."""
        return self.folder() / "found.jsonl"

    @property
    def predictor(self) -> Path:
        """The accuracy predictor."""
        return self.folder() / "accuracy.npz"

    @property
    def supernet(self) -> Path:
        return self.folder() / "supernet.pt"
