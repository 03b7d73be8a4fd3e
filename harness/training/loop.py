"""The training loop: progressive shrinking, resumable after any step with the same result."""

import math
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.errors import CheckpointError
from harness.progress import Progress, silent
from harness.spaces.arch import Arch
from harness.spaces.space import Space
from harness.supernet.checkpoint import Checkpoint
from harness.supernet.supernet import Supernet
from harness.training.data import Digits, prepare
from harness.training.stages import Recipe, Stage

CHECKPOINT_EVERY_S = 2.0


def train(
    space: Space,
    data: Digits,
    recipe: Recipe,
    path: Path,
    on_step: Progress = silent,
) -> Supernet:
    """Train a supernet, or go on where the checkpoint at `path` stopped.

    What is random in a step depends on the seed and the step's number alone, so an interrupted
    run ends with the very weights of one that was not. `on_step` gets the number of steps done
    and wanted.

    Raises:
        CheckpointError: the file at `path` is broken or was trained with other settings.
    """
    start = _resume(path, recipe)
    torch.manual_seed(recipe.seed)
    supernet = start.supernet(space, path) if start else Supernet(space)
    if start and start.step == recipe.steps:
        return supernet
    supernet.train().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(supernet, recipe)
    if start:
        optimizer.load_state_dict(start.optimizer)
    teacher = _teacher(space, start.teacher) if start and start.teacher else None
    saved_at = time.monotonic()
    for step, stage, progress in _schedule(recipe):
        if start and step < start.step:
            continue
        if progress == 0:
            if step and recipe.distill and teacher is None:
                teacher = _teacher(space, supernet.state_dict())
            if stage.sort_channels:
                supernet.sort_channels()
                optimizer.state.clear()  # momentum belongs to the old order
        for group in optimizer.param_groups:
            group["lr"] = stage.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
        _step(supernet, optimizer, data, recipe, stage, step, teacher)
        on_step(step + 1, recipe.steps)
        done = step + 1 == recipe.steps
        if done or time.monotonic() - saved_at > CHECKPOINT_EVERY_S:
            weights = supernet.state_dict()
            kept = teacher.state_dict() if teacher else None
            state = {} if done else optimizer.state_dict()
            Checkpoint(space.name, recipe.settings, step + 1, weights, state, kept).save(path)
            saved_at = time.monotonic()
    return supernet.eval()


def finished(path: Path, recipe: Recipe) -> Checkpoint | None:
    """The checkpoint at `path` where it is the end of this recipe."""
    checkpoint = _resume(path, recipe)
    return checkpoint if checkpoint and checkpoint.step == recipe.steps else None


def _resume(path: Path, recipe: Recipe) -> Checkpoint | None:
    """The checkpoint to go on from, where there is one."""
    if not path.exists():
        return None
    checkpoint = Checkpoint.load(path)
    if checkpoint.settings != recipe.settings:
        raise CheckpointError(
            f"{path} was trained with other settings; use --fresh or another path"
        )
    return checkpoint


def _schedule(recipe: Recipe) -> Iterator[tuple[int, Stage, float]]:
    """Every step: its number, its stage, and how far into the stage it is (0 to 1)."""
    step = 0
    for stage in recipe.stages:
        for done in range(stage.steps):
            yield step, stage, done / stage.steps
            step += 1


def _optimizer(supernet: Supernet, recipe: Recipe) -> torch.optim.SGD:
    matrices = [p for p in supernet.parameters() if p.ndim > 1]
    vectors = [p for p in supernet.parameters() if p.ndim <= 1]  # batch norm and biases
    groups = [
        {"params": matrices, "weight_decay": recipe.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.SGD(groups, lr=0.1, momentum=recipe.momentum, nesterov=True)


def _step(
    supernet: Supernet,
    optimizer: torch.optim.SGD,
    data: Digits,
    recipe: Recipe,
    stage: Stage,
    step: int,
    teacher: Supernet | None,
) -> None:
    """One update from one batch."""
    rng = np.random.default_rng([recipe.seed, step])
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    pixels, labels = data.batch(recipe.batch_size, generator)
    images = prepare(pixels, int(rng.choice(supernet.space.resolutions)))
    soft = None
    if teacher is not None:
        with torch.no_grad():
            soft = F.softmax(teacher(images), dim=1)
    optimizer.zero_grad()
    for _ in range(stage.subnets_per_step):
        supernet.activate(_random_arch(supernet.space, stage, rng))
        logits = supernet(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)
        if soft is not None:
            loss = loss + recipe.distill * F.cross_entropy(logits, soft)
        (loss / stage.subnets_per_step).backward()
    nn.utils.clip_grad_norm_(supernet.parameters(), 5.0)
    optimizer.step()


def _random_arch(space: Space, stage: Stage, rng: np.random.Generator) -> Arch:
    """A sub-network of the stage's open choices, each equally likely."""

    open_choices = {"d": stage.depths, "ks": stage.kernels, "e": stage.expands}
    values = {}
    for gene in space.genes:
        allowed = open_choices.get(gene.part, gene.choices)
        choices = [choice for choice in gene.choices if choice in allowed]
        values[gene.part, gene.index] = choices[rng.integers(len(choices))]
    values["r", 0] = space.resolutions[-1]
    return Arch.of(values)


def _teacher(space: Space, weights: dict[str, Tensor]) -> Supernet:
    """The largest network, frozen, as distillation's teacher."""
    teacher = Supernet(space)
    teacher.load_state_dict(weights)
    return teacher.eval().requires_grad_(False)
