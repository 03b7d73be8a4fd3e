"""Training recipes: the checked content of `recipes/NAME.toml`, and how long a run makes them.

A file counts in epochs and states its rates for its own batch size, as papers do; a `Recipe`
counts in steps and has the rates of the run's batch.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from harness.errors import FileFormatError, RecipeError, UsageError
from harness.files import read_toml
from harness.hints import nearest
from harness.spaces.images import is_images
from harness.spaces.space import Space
from harness.training.stages import Initialisation, Optimizer, Recipe, Stage

_SHIPPED = Path(__file__).parent / "recipes"


def _choices(value: object) -> int | None:
    if value == "all":
        return None
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError('write how many of the largest choices are open, or "all"')


Choices = Annotated[int | None, PlainValidator(_choices)]
Weight = Annotated[float, Field(ge=0, le=1000)]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class OpenSection(Strict):
    """`open`: how many of each gene's largest choices, or "all"."""

    kernels: Choices = 1
    depths: Choices = 1
    expands: Choices = 1
    widths: Choices = 1


class StageSection(Strict):
    """`[[stages]]`."""

    name: Annotated[str, Field(min_length=1)]
    epochs: Annotated[float, Field(gt=0, le=100_000)]
    subnets_per_step: Annotated[int, Field(ge=1, le=1000)]
    learning_rate: Annotated[float, Field(gt=0, le=1000)]  # for the file's batch size
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    warmup_from: Annotated[float, Field(ge=0)] = 0.0  # learning rate, whatever the batch
    sort_channels: bool = False
    sandwich: bool = False
    open: OpenSection = OpenSection()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"stage {self.name}: warmup_epochs has to be less than epochs")
        if self.warmup_from > self.learning_rate:
            raise ValueError(f"stage {self.name}: warmup_from is above learning_rate")
        if self.sandwich and self.subnets_per_step < 2:
            raise ValueError(f"stage {self.name}: a sandwich needs 2 subnets_per_step or more")
        return self


class RecipeFile(Strict):
    """A training recipe as it is written down."""

    name: str  # of the file, where it does not say
    title: str
    source: str
    batch_size: Annotated[int, Field(ge=1, le=1_000_000)]
    weight_decay: Weight
    momentum: Annotated[float, Field(gt=0, lt=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    distill: Weight = 0.0
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    add_gradients: bool = False
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    initialisation: Initialisation = "torch"
    teacher_in_training_mode: bool = False
    optimizer: Optimizer = "sgd"
    stages: Annotated[tuple[StageSection, ...], Field(min_length=1, strict=False)]

    @property
    def epochs(self) -> float:
        return sum(stage.epochs for stage in self.stages)


def load_recipe(name_or_path: str) -> RecipeFile:
    """A shipped recipe by name, or a user's own by its path, which ends in `.toml`.

    Raises:
        RecipeError: there is none (the nearest is named), or it is wrong (the key is named).
    """
    path = Path(name_or_path)
    if not name_or_path.endswith(".toml"):
        known = shipped_recipes()
        if name_or_path not in known:
            hint = nearest(name_or_path, known)
            raise RecipeError(f"no recipe called {name_or_path!r}, nor a .toml file; {hint}")
        path = known[name_or_path]
    try:
        return RecipeFile.model_validate({"name": path.stem} | read_toml(path))
    except ValidationError as error:
        raise RecipeError(f"{path}: {_explain(error)}") from error
    except FileFormatError as error:
        raise RecipeError(str(error)) from error


def shipped_recipes() -> dict[str, Path]:
    """The recipes that come with the package, by name."""
    return {path.stem: path for path in sorted(_SHIPPED.glob("*.toml"))}


def default_recipe(space: Space) -> str:
    """The recipe of the space's family, whatever its width; that of digits for images like them.

    Raises:
        UsageError: there is none; one has to be named.
    """
    family = "images" if is_images(space.name) else re.sub(r"-w[\d.-]+$", "", space.name)
    if family in shipped_recipes():
        return family
    if (space.image_channels, space.classes) == (1, 10):
        return "digits"
    raise UsageError(
        f"{space.name} has no recipe of its own; name one: "
        f"{', '.join(shipped_recipes())}, or a .toml file"
    )


def recipe_for(
    file: RecipeFile,
    images: int,
    batch_size: int | None = None,
    epochs_scale: float = 1.0,
    seed: int = 0,
    distill: float | None = None,
) -> Recipe:
    """The recipe for so many training images; None keeps what the file says.

    Every stage has at least one step. Learning rates grow with the batch (Goyal et al., 2017).
    """
    batch_size = batch_size or file.batch_size
    return _recipe(file, epochs_scale * images / batch_size, batch_size, seed, distill)


def recipe_of_steps(
    file: RecipeFile,
    steps: float,
    batch_size: int | None = None,
    seed: int = 0,
    distill: float | None = None,
) -> Recipe:
    """The recipe scaled to about `steps` steps in all, however many images there are."""
    return _recipe(file, steps / file.epochs, batch_size or file.batch_size, seed, distill)


def digits_recipe(steps: int, seed: int = 0, distill: float = 0.0) -> Recipe:
    """The recipe of digits, scaled to about `steps` steps in all."""
    return recipe_of_steps(load_recipe("digits"), steps, seed=seed, distill=distill)


def _recipe(
    file: RecipeFile, steps_per_epoch: float, batch_size: int, seed: int, distill: float | None
) -> Recipe:
    scale = batch_size / file.batch_size
    return Recipe(
        name=file.name,
        stages=tuple(_stage(stage, steps_per_epoch, scale) for stage in file.stages),
        batch_size=batch_size,
        weight_decay=file.weight_decay,
        momentum=file.momentum,
        label_smoothing=file.label_smoothing,
        distill=file.distill if distill is None else distill,
        clip_norm=file.clip_norm,
        add_gradients=file.add_gradients,
        seed=seed,
        dropout=file.dropout,
        initialisation=file.initialisation,
        teacher_in_training_mode=file.teacher_in_training_mode,
        optimizer=file.optimizer,
    )


def _stage(stage: StageSection, steps_per_epoch: float, rate_scale: float) -> Stage:
    steps = max(1, round(stage.epochs * steps_per_epoch))
    learning_rate = stage.learning_rate * rate_scale
    return Stage(
        name=stage.name,
        steps=steps,
        subnets_per_step=stage.subnets_per_step,
        learning_rate=learning_rate,
        # A run so short that both round to the same still has a step at the full rate.
        warmup_steps=min(steps - 1, round(stage.warmup_epochs * steps_per_epoch)),
        # The rate that a small batch can begin with does not grow with the batch.
        warmup_from=min(learning_rate, stage.warmup_from),
        sort_channels=stage.sort_channels,
        sandwich=stage.sandwich,
        **dict(stage.open),
    )


def _explain(error: ValidationError) -> str:
    """The first mistake in one line; an unknown key, often one misspelt, with the nearest."""
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    # Stages are counted from 1.
    where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] != "extra_forbidden":
        return f"{where}: {message}"
    *above, key = (part for part in first["loc"] if isinstance(part, str))
    sections: dict[str, type[Strict]] = {"stages": StageSection, "open": OpenSection}
    fields: dict[str, Any] = (sections[above[-1]] if above else RecipeFile).model_fields
    return f"unknown key {where!r}; {nearest(key, fields)}"
