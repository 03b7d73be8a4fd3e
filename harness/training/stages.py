"""A training run as data: stages that open more and more choices (Cai et al., section 3.3)."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.spaces.arch import Number
from harness.spaces.space import Gene

Initialisation = Literal["torch", "he_fout"]
Optimizer = Literal["sgd", "adamw"]


@dataclass(frozen=True)
class Stage:
    """One stage: how it is trained, and how many of each gene's largest choices are open.

    1 opens only the largest, None all. Resolutions are not chosen here: all are open.
    """

    name: str
    steps: int
    subnets_per_step: int  # gradients of so many random sub-networks are added up
    learning_rate: float  # the highest, for the global batch; cosine to zero over the stage
    warmup_steps: int = 0  # linear from `warmup_from`, at the beginning
    warmup_from: float = 0.0  # learning rate
    sort_channels: bool = False  # by importance, before the stage
    sandwich: bool = False  # of a step's sub-networks one is the largest, one the smallest
    kernels: int | None = 1
    depths: int | None = 1
    expands: int | None = 1
    widths: int | None = 1

    def open_choices(self, gene: Gene) -> tuple[Number, ...]:
        """The choices of a gene that the stage draws from, ascending."""
        open_of = {"ks": self.kernels, "d": self.depths, "e": self.expands, "w": self.widths}
        count = open_of.get(gene.part)
        return gene.choices if count is None else gene.choices[-count:]


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run."""

    name: str
    stages: tuple[Stage, ...]
    batch_size: int  # global: over all ranks and micro-batches
    weight_decay: float  # not on batch norm and biases
    momentum: float  # Nesterov; AdamW has its own
    label_smoothing: float
    distill: float  # weight of the largest network's soft labels in the loss
    clip_norm: float | None  # of all gradients together
    add_gradients: bool  # of a step's sub-networks, as the authors' code does; else their mean
    seed: int
    dropout: float = 0.0  # share of the classifier's inputs
    initialisation: Initialisation = "torch"  # of the weights that training begins with
    teacher_in_training_mode: bool = False  # normalised by the batch's own statistics
    optimizer: Optimizer = "sgd"

    @property
    def settings(self) -> dict[str, Any]:
        """As plain values that come back the same from a file.

        What recipes of earlier versions could not say is left out where it is as it was then, so
        that their runs, checkpoints and fronts are found.
        """
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        for name in ("dropout", "initialisation", "teacher_in_training_mode", "optimizer"):
            if plain[name] == getattr(Recipe, name):
                del plain[name]
        for stage in plain["stages"]:
            if stage["warmup_from"] == Stage.warmup_from:
                del stage["warmup_from"]
        return plain

    @classmethod
    def of(cls, settings: dict[str, Any]) -> "Recipe":
        """The recipe that has these settings.

        Raises:
            KeyError, TypeError: they are no settings of a recipe.
        """
        stages = tuple(Stage(**stage) for stage in settings["stages"])
        return cls(**{**settings, "stages": stages})

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)
