"""The progressive-shrinking schedule as data (Cai et al., section 3.3 and appendix B)."""

import json
from dataclasses import asdict, dataclass
from typing import Any

from harness.spaces.mobile import MobileSpace


@dataclass(frozen=True)
class Stage:
    """One stage: which choices are open, and how it is trained."""

    name: str
    depths: tuple[int, ...]
    kernels: tuple[int, ...]
    expands: tuple[int, ...]
    steps: int
    subnets_per_step: int  # gradients of so many random sub-networks are added up
    learning_rate: float  # the highest; cosine to zero over the stage
    sort_channels: bool = False  # by importance, before the stage


@dataclass(frozen=True)
class Recipe:
    """All settings of a training run."""

    stages: tuple[Stage, ...]
    batch_size: int = 64
    weight_decay: float = 3e-5  # not on batch norm and biases
    momentum: float = 0.9  # Nesterov
    label_smoothing: float = 0.1
    distill: float = 0.0  # weight of the largest network's soft labels in the loss
    seed: int = 0

    @property
    def settings(self) -> dict[str, Any]:
        """As plain values that come back the same from a file."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @property
    def steps(self) -> int:
        return sum(stage.steps for stage in self.stages)


def progressive_shrinking(
    space: MobileSpace, steps: int, seed: int = 0, distill: float = 0.0
) -> Recipe:
    """Largest network, then elastic kernel, depth in two steps, width in two steps.

    `steps` is about the whole length; three tenths of it train the largest network, which then
    shrinks with 1, 2 and 4 sub-networks a step, as in the paper.
    """
    deepest, widest = space.depths[-1:], space.expands[-1:]
    shares = (
        ("largest", deepest, space.kernels[-1:], widest, 0.30, 1, 0.20),
        ("kernel", deepest, space.kernels, widest, 0.12, 1, 0.15),
        ("depth 1", space.depths[-2:], space.kernels, widest, 0.07, 2, 0.10),
        ("depth 2", space.depths, space.kernels, widest, 0.16, 2, 0.15),
        ("width 1", space.depths, space.kernels, space.expands[-2:], 0.08, 4, 0.10),
        ("width 2", space.depths, space.kernels, space.expands, 0.27, 4, 0.20),
    )
    stages = tuple(
        Stage(
            name,
            depths,
            kernels,
            expands,
            round(steps * share),
            subnets,
            rate,
            sort_channels=name.startswith("width"),
        )
        for name, depths, kernels, expands, share, subnets, rate in shares
    )
    return Recipe(stages, distill=distill, seed=seed)
