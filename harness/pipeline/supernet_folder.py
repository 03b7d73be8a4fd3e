"""A supernet by the settings it is trained with, and the folder that it is kept in."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.spaces.images import is_images
from harness.spaces.mobile import MobileSpace
from harness.spaces.space import Space
from harness.spaces.translation import TranslationSpace
from harness.spaces.vit import VitSpace
from harness.training.recipe_files import (
    default_recipe,
    load_recipe,
    recipe_for,
    recipe_of_steps,
)
from harness.training.stages import Recipe
from harness.workspace import Workspace

if TYPE_CHECKING:  # torch is imported where it is needed
    from harness.training.folder import ImageFolder


# For a step of digits, which has up to four sub-networks where these have one.
IMAGE_STEPS, SENTENCE_STEPS = 1.5, 4


@dataclass(frozen=True)
class Kept:
    """A supernet that was trained before."""

    name: str  # of its folder
    recipe: Recipe | None = None  # None: only its name is known
    seed: int = 0  # by which its images were split


@dataclass(frozen=True)
class Training:
    """What a supernet is trained on and how, where that is not digits; None: as the recipe says."""

    data: Path | None = None  # a folder of images
    recipe: str | None = None  # a name or file; None: that of the space
    epochs_scale: float = 1.0
    batch_size: int | None = None  # over all ranks
    distill: float | None = None  # weight of the largest network's soft labels in the loss
    accumulate: int = 1  # micro-batches of each rank
    autocast: bool = False  # bfloat16
    workers: int | None = None  # that decode images; None: as many as processors
    subnets: int | None = None  # evaluated for the accuracy predictor
    kept: Kept | None = None  # what came of it; None: that follows from all settings


DIGITS_ALONE = Training()


@dataclass(frozen=True)
class SupernetFolder:
    """What a supernet is trained on and how, and where it lies: settings that differ never meet."""

    workspace: Workspace
    space: Space
    training_steps: int  # of digits
    seed: int
    training: Training
    own_space: bool = False  # a user's: another may have its name

    @property
    def can_train(self) -> bool:
        """Whether there is data for the space: a folder, grey images of ten digits, sentences."""
        space = self.space
        if isinstance(space, TranslationSpace):
            return space.has_supernet and self.training.data is None
        if self.training.data is not None:
            return True
        fits = (space.image_channels, space.classes) == (1, 10)
        return isinstance(space, MobileSpace | VitSpace) and space.built and fits

    @property
    def in_minutes(self) -> bool:
        """Whether a processor trains the supernet in minutes, in so many steps on any images."""
        return self.training.data is None or is_images(self.space.name)

    @cached_property
    def recipe(self) -> Recipe:
        """How the supernet is trained.

        Raises:
            UsageError: there is no data to train this space on.
        """
        training = self.training
        if training.kept is not None and training.kept.recipe is not None:
            return training.kept.recipe
        if not self.can_train:
            raise UsageError(
                f"there is no data to train {self.space.name} on (what is here are digits, grey "
                "images of 10 classes); `harness train --data` takes a folder of images, "
                "--accuracy says where accuracies come from instead"
            )
        file = load_recipe(training.recipe or default_recipe(self.space))
        scale, batch_size = training.epochs_scale, training.batch_size
        distill = (training.distill or 0.0) if training.data is None else training.distill
        if distill and isinstance(self.space, TranslationSpace):
            raise UsageError(f"--distill is of images, {self.space.name} is of sentences")
        if self.in_minutes and training.recipe is None:
            steps = scale * self.training_steps
            if isinstance(self.space, TranslationSpace):
                steps *= SENTENCE_STEPS
            steps *= 1 if training.data is None else IMAGE_STEPS
            return recipe_of_steps(file, steps, batch_size, self.seed, distill)
        return recipe_for(file, self.images.count, batch_size, scale, self.seed, distill)

    @cached_property
    def images(self) -> "ImageFolder":
        """The folder of images to train on, in grey or in colours as the space takes them.

        Raises:
            UsageError, FileFormatError: it cannot be used.
        """
        from harness.training.folder import ImageFolder

        training, channels = self.training, self.space.image_channels
        assert training.data is not None
        if not channels:
            raise UsageError(f"--data is a folder of images, {self.space.name} is of sentences")
        seed = training.kept.seed if training.kept else self.seed
        images = ImageFolder.open(training.data, seed, training.workers, channels=channels)
        return images.in_minutes() if self.in_minutes else images

    def check_classes(self) -> None:
        """Raises UsageError where the images have others than the space: tables would not fit."""
        wanted, found = self.space.classes, len(self.images.classes)
        if wanted != found:
            raise UsageError(
                f"{self.space.name} has {wanted} classes, {self.training.data} has {found}: leave "
                "--space out, and take the space that follows from the images"
            )

    def on_images(self) -> "SupernetFolder":
        """With as many classes as the folder of images has.

        Raises:
            UsageError: the space's name says another number of classes.
        """
        if is_images(self.space.name):
            self.check_classes()
        space = replace(self.space, classes=len(self.images.classes))  # type: ignore[type-var]
        supernet = replace(self, space=space)
        vars(supernet)["images"] = self.images  # listed once
        return supernet

    @cached_property
    def path(self) -> Path:
        """The folder."""
        if self.training.kept is not None:
            return self.workspace.config(self.training.kept.name).parent
        settings = self.recipe.settings | {"resolutions": list(self.space.resolutions)}
        if self.own_space:
            genes = [str(gene) for gene in self.space.genes]
            blocks = sorted(block.key for block in self.space.distinct_blocks())
            settings |= {"genes": genes, "blocks": blocks}
        if self.training.data is not None:
            settings |= {"data": self.images.facts}
        return self.workspace.training(self.space.name, settings)

    @property
    def checkpoint(self) -> Path:
        """The weights."""
        return self.path / "supernet.pt"

    @property
    def evaluated(self) -> Path:
        """Sub-networks and their validation accuracies."""
        return self.path / "evaluated.jsonl"

    @property
    def found(self) -> Path:
        """Sub-networks that searches by the predictor found, and their validation accuracies."""
        return self.path / "found.jsonl"

    @property
    def predictor(self) -> Path:
        """The accuracy predictor."""
        return self.path / "accuracy.npz"
