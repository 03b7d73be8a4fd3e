"""The training loop: progressive shrinking, resumable after any step with the same result."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from harness.errors import CheckpointError, TrainingDiverged, UsageError
from harness.progress import Progress, silent
from harness.spaces.arch import Arch
from harness.spaces.space import Space
from harness.supernet.checkpoint import Checkpoint
from harness.supernet.initialise import he_fout
from harness.supernet.supernet import Supernet
from harness.supernet.translating import supernet_of
from harness.training import checkpoints
from harness.training.distributed import ALONE, Ranks
from harness.training.draws import Draw, ImageData, Share, draws, dropout_seed, resolution_of
from harness.training.learning import (
    adamw,
    clipped,
    cosine,
    cross_entropy,
    set_rate,
    sgd,
    soft_labels,
)
from harness.training.metrics import Metrics, MetricsFile
from harness.training.stages import Recipe, Stage
from harness.training.teacher import freeze, restored

ALL = 1000  # choices of a gene: more than any has


@dataclass(frozen=True)
class Engine:
    """How the steps of a recipe are computed.

    How a batch is cut into micro-batches decides how many images a batch norm sees, and which
    augmentation each image gets; all else changes only rounding.
    """

    ranks: Ranks = ALONE
    accumulate: int = 1  # micro-batches of each rank
    autocast: bool = False  # bfloat16 in forward and loss
    checkpoint_every_s: float = 2.0

    @property
    def share(self) -> Share:
        return Share(self.ranks.rank, self.ranks.count, self.accumulate)


def train(
    space: Space,
    data: ImageData,
    recipe: Recipe,
    path: Path,
    on_step: Progress = silent,
    engine: Engine | None = None,
    say: Callable[[str], None] = lambda _text: None,
) -> Supernet:
    """Train a supernet, or go on where the newest checkpoint on the way to `path` stopped.

    What is random in a step depends on the seed and the step's number alone, so an interrupted
    run ends with the very weights of one that was not. `on_step` gets the number of steps done
    and wanted.

    Raises:
        CheckpointError: a checkpoint is broken or was trained with other settings or data.
        TrainingDiverged: loss or weights are no numbers; nothing spoilt is written.
        UsageError: the batch cannot be cut into equal micro-batches of two images or more.
        WorkspaceError: a checkpoint cannot be written; the one before is intact.
    """
    engine = engine or Engine()
    ranks = engine.ranks
    _check_cut(recipe, engine)
    start = _resume(path, recipe, data, say if ranks.first else lambda _text: None)
    torch.manual_seed(recipe.seed)
    supernet = start.supernet(space, path) if start else _fresh(space, recipe)
    if start and start.step == recipe.steps:
        return supernet
    supernet.set_dropout(recipe.dropout)
    supernet.train().to(ranks.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = _optimizer(supernet, recipe)
    if start:
        optimizer.load_state_dict(start.optimizer)
    as_student = recipe.teacher_in_training_mode
    teacher = None
    if start and start.teacher:
        teacher = restored(space, start.teacher, ranks.device, in_training_mode=as_student)
    first = start.step if start else 0
    network = ranks.wrap(supernet)
    batches = data.stream(_all_draws(space, data, recipe, engine, first))
    log = MetricsFile(path.parent / "metrics.csv", first) if ranks.first else None
    saved_at = time.monotonic()
    try:
        for step, number, done in islice(_schedule(recipe), first, None):
            stage = recipe.stages[number]
            if done == 0:
                if step and recipe.distill and teacher is None:
                    teacher = freeze(supernet, data, ranks.device, in_training_mode=as_student)
                if stage.sort_channels:
                    supernet.sort_channels(_opened_before(recipe, number))
                    optimizer.state.clear()  # momentum belongs to the old order
            began = time.perf_counter()
            rate = _learning_rate(stage, done)
            micro_batches = list(islice(batches, engine.accumulate))
            loss = _step(
                network, optimizer, recipe, stage, step, rate, micro_batches, teacher, engine
            )
            if log:
                took_s = time.perf_counter() - began
                log.append(_metrics(space, data, recipe, step, stage, rate, loss, took_s))
            on_step(step + 1, recipe.steps)
            finished = step + 1 == recipe.steps
            due = time.monotonic() - saved_at > engine.checkpoint_every_s
            if ranks.first and (finished or due):
                kept = teacher.state_dict() if teacher and not finished else None
                state = {} if finished else optimizer.state_dict()
                weights = supernet.state_dict()
                settings = _settings(recipe, data)
                _check_weights(weights, step)
                checkpoint = Checkpoint(space.name, settings, step + 1, weights, state, kept)
                (checkpoints.finish if finished else checkpoints.save)(path, checkpoint)
                saved_at = time.monotonic()
    finally:
        if log:
            log.close()
    ranks.wait()
    return supernet.cpu().eval()


def finished(path: Path, recipe: Recipe, data: ImageData) -> Checkpoint | None:
    """The supernet at `path` where it is the end of this recipe."""
    if not path.exists():
        return None
    checkpoint = Checkpoint.load(path)
    _check(checkpoint, path, recipe, data)
    return checkpoint if checkpoint.step == recipe.steps else None


def _fresh(space: Space, recipe: Recipe) -> Supernet:
    supernet = supernet_of(space)
    if recipe.initialisation == "he_fout":
        he_fout(supernet)
    return supernet


def _optimizer(supernet: Supernet, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adamw":
        return adamw(supernet, recipe.weight_decay)
    return sgd(supernet, recipe.momentum, recipe.weight_decay)


def _resume(
    path: Path, recipe: Recipe, data: ImageData, say: Callable[[str], None]
) -> Checkpoint | None:
    """The checkpoint to go on from, where there is one."""
    found = checkpoints.newest(path, say)
    if found is None:
        return None
    _check(*found, recipe, data)
    return found[0]


def _check(checkpoint: Checkpoint, path: Path, recipe: Recipe, data: ImageData) -> None:
    """Raises CheckpointError, with what differs, where a run may not go on from it."""
    now = _settings(recipe, data)
    differing = [
        name
        for name in sorted(now.keys() | checkpoint.settings.keys())
        if now.get(name) != checkpoint.settings.get(name)
    ]
    if differing:
        then, today = checkpoint.settings.get(differing[0]), now.get(differing[0])
        raise CheckpointError(
            f"{path} was trained with other settings: {differing[0]} was {then!s:.100}, is "
            f"{today!s:.100}; use --fresh or another --root"
        )


def _settings(recipe: Recipe, data: ImageData) -> dict[str, Any]:
    return recipe.settings | {"classes": len(data.classes), "data": data.facts}


def _check_cut(recipe: Recipe, engine: Engine) -> None:
    parts = engine.ranks.count * engine.accumulate
    if recipe.batch_size % parts or recipe.batch_size < 2 * parts:
        raise UsageError(
            f"a batch of {recipe.batch_size} images cannot be cut into {parts} equal micro-batches "
            "of two or more (ranks x --accumulate); choose another --batch-size"
        )


def _check_weights(weights: dict[str, Tensor], step: int) -> None:
    """Raises TrainingDiverged where what would be written is spoilt."""
    for name, value in weights.items():
        if not bool(torch.isfinite(value).all()):
            raise TrainingDiverged(
                f"{name} is no number any more after step {step}: start again with a recipe of "
                "lower rates, or with a clip_norm"
            )


def _schedule(recipe: Recipe) -> Iterator[tuple[int, int, int]]:
    """Every step: its number, its stage's, and how many of the stage's steps are done."""
    step = 0
    for number, stage in enumerate(recipe.stages):
        for done in range(stage.steps):
            yield step, number, done
            step += 1


def _opened_before(recipe: Recipe, number: int) -> int:
    """How many of the largest inner widths the stages before have trained."""
    before = recipe.stages[:number]
    return max((ALL if each.expands is None else each.expands for each in before), default=1)


def _learning_rate(stage: Stage, done: int) -> float:
    """Linear while warming up, at its last step the highest, then cosine to zero."""
    if done < stage.warmup_steps:
        rise = stage.learning_rate - stage.warmup_from
        return stage.warmup_from + rise * (done + 1) / stage.warmup_steps
    progress = (done - stage.warmup_steps) / max(1, stage.steps - stage.warmup_steps)
    return cosine(stage.learning_rate, progress)


def _all_draws(
    space: Space, data: ImageData, recipe: Recipe, engine: Engine, first: int
) -> Iterator[Draw]:
    """This rank's micro-batches from step `first` to the end."""
    for step in range(first, recipe.steps):
        pixels = resolution_of(space.resolutions, recipe.seed, step)
        yield from draws(data.count, recipe.batch_size, pixels, recipe.seed, step, engine.share)


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    recipe: Recipe,
    stage: Stage,
    step: int,
    learning_rate: float,
    micro_batches: list[tuple[Tensor, Tensor]],
    teacher: nn.Module | None,
    engine: Engine,
) -> float:
    """One update: the same sub-networks on all micro-batches of all ranks. Returns the mean loss.

    Raises:
        TrainingDiverged: it is no number; nothing was updated.
    """
    ranks, rng = engine.ranks, np.random.default_rng([recipe.seed, step])
    supernet = network if isinstance(network, Supernet) else network.module
    assert isinstance(supernet, Supernet)
    archs = sampled(supernet.space, stage, rng)
    passes = len(archs) * len(micro_batches)
    total = torch.zeros((), device=ranks.device)
    set_rate(optimizer, learning_rate)
    optimizer.zero_grad()
    for number, (images, labels) in enumerate(micro_batches):
        inputs, targets = images.to(ranks.device), labels.to(ranks.device)
        bf16 = torch.autocast(inputs.device.type, torch.bfloat16, enabled=engine.autocast)
        with bf16:
            soft = soft_labels(teacher, inputs)
        for place, arch in enumerate(archs):
            supernet.activate(arch)
            if recipe.dropout:
                torch.manual_seed(dropout_seed(recipe.seed, step, engine.share, number, place))
            last = number * len(archs) + place + 1 == passes
            with ranks.accumulating(network, last=last):
                with bf16:
                    loss = cross_entropy(
                        network, inputs, targets, recipe.label_smoothing, soft, recipe.distill
                    )
                (loss / (len(micro_batches) if recipe.add_gradients else passes)).backward()
            total += loss.detach() / passes
    mean = ranks.mean(total)
    norm = clipped(supernet, recipe.clip_norm)
    if not (math.isfinite(mean) and math.isfinite(norm)):
        raise TrainingDiverged(
            f"the loss is {mean} and its gradient {norm} at step {step} (stage {stage.name}, "
            f"learning rate {learning_rate:.3g}): start again with a recipe of lower rates, or "
            "with a clip_norm"
        )
    optimizer.step()
    return mean


def sampled(space: Space, stage: Stage, rng: np.random.Generator) -> list[Arch]:
    """The step's sub-networks: random ones; of a sandwich also the largest and the smallest."""
    ends = (-1, 0) if stage.sandwich else ()
    chosen = [_end(space, stage, end) for end in ends]
    more = range(stage.subnets_per_step - len(chosen))
    return [*chosen, *(random_arch(space, stage, rng) for _ in more)]


def _end(space: Space, stage: Stage, end: int) -> Arch:
    """The largest (-1) or smallest (0) of the stage's open choices."""
    values = {(gene.part, gene.index): stage.open_choices(gene)[end] for gene in space.genes}
    return Arch.of(values | {("r", 0): space.resolutions[-1]})


def random_arch(space: Space, stage: Stage, rng: np.random.Generator) -> Arch:
    """A sub-network of the stage's open choices, each equally likely."""
    values = {}
    for gene in space.genes:
        choices = stage.open_choices(gene)
        values[gene.part, gene.index] = choices[rng.integers(len(choices))]
    values["r", 0] = space.resolutions[-1]
    return Arch.of(values)


def _metrics(
    space: Space,
    data: ImageData,
    recipe: Recipe,
    step: int,
    stage: Stage,
    learning_rate: float,
    loss: float,
    took_s: float,
) -> Metrics:
    return Metrics(
        step,
        round((step + 1) * recipe.batch_size / data.count, 3),
        stage.name,
        resolution_of(space.resolutions, recipe.seed, step),
        float(f"{learning_rate:.6g}"),
        float(f"{loss:.8g}"),
        float(f"{recipe.batch_size / took_s:.4g}"),
    )
