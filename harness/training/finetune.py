"""A network trained further: on the classes it has, or on others with a new head.

As in the loop, what is random in a step depends on the seed and the step's number alone.
"""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from harness.errors import CheckpointError, TrainingDiverged, UsageError
from harness.networks.build import build_random
from harness.networks.file import SCHEMA, NetworkFile, Preprocessing, load_tensors, save_tensors
from harness.progress import Progress, silent
from harness.spaces.convolution import Convolution
from harness.training import bn
from harness.training.distributed import ALONE, Ranks
from harness.training.draws import Draw, ImageData, Share, draws
from harness.training.evaluate import count_right
from harness.training.learning import clipped, cosine, cross_entropy, set_rate, sgd, soft_labels
from harness.training.sparsity import Sparsity, Thinning, begun, counted, kept


@dataclass(frozen=True)
class Tuning:
    """How a network is trained further: SGD, a cosine from `learning_rate` to zero."""

    epochs: float
    learning_rate: float  # for the global batch
    batch_size: int  # global: over all ranks
    seed: int
    momentum: float = 0.9  # Nesterov
    weight_decay: float = 3e-5  # not on batch norm and biases
    label_smoothing: float = 0.1
    distill: float = 1.0  # weight of the teacher's soft labels, where there is a teacher
    sparsity: Sparsity | None = None

    def steps(self, images: int) -> int:
        """Of one training on so many images."""
        return max(1, round(self.epochs * images / self.batch_size))


def finetune(
    network: NetworkFile,
    data: ImageData,
    tuning: Tuning,
    output: Path,
    source: dict[str, Any],
    teacher: nn.Module | None = None,
    on_step: Progress = silent,
    ranks: Ranks = ALONE,
    checkpoint_every_s: float = 30.0,
) -> NetworkFile:
    """Write the network, trained further; or go on where an interrupted run stopped.

    What is written is the last step's network, not the best one: the held-out images only judge.
    Their accuracies, before and after, are both of batch-norm statistics of the data's training
    images. `source` tells where network and teacher came from; with data and tuning it decides
    whether a run may go on, and is kept in the file's origin. Weights that are zero stay zero.

    Raises:
        UsageError: data or sparsity do not fit the network; `output` is something else.
        CheckpointError: the network has no classifier; a checkpoint is broken or of another run.
        TrainingDiverged: the loss is no number; the last checkpoint is as good as it was.
        WorkspaceError: a file cannot be written; the checkpoint before is intact.
    """
    settings = _settings(data, tuning, source)
    done = _finished(output, settings)
    if done is not None:
        return done
    if tuning.batch_size < 2 * ranks.count:
        raise UsageError(f"a batch of {tuning.batch_size} is too small: 2 images for each rank")
    fitted = fit_head(network, data, tuning.seed)
    resolution, path = fitted.preprocessing.resolution, checkpoint_of(output)
    start = _Checkpoint.load(path, settings) if path.exists() else None
    kept_of_start = start.thinning if start else {}
    thinning = Thinning(tuning.sparsity, tuning.steps(data.count), **kept_of_start)
    steps, begin = thinning.steps, begun(fitted, tuning.sparsity, tuning.seed)
    if start:
        before = start.accuracy_before
    else:
        before = judged(_on(ranks, fitted), data, resolution, ranks.device)
    model, saved_at = _on(ranks, begin), time.monotonic()
    for step, optimizer in _steps(model, start, thinning, data, tuning, resolution, teacher, ranks):
        on_step(step, steps)
        if ranks.first and time.monotonic() - saved_at > checkpoint_every_s:
            weights, state = dict(model.state_dict()), optimizer.state_dict()
            _Checkpoint(settings, step, before, weights, state, thinning.state()).save(path)
            saved_at = time.monotonic()
    after = judged(model, data, resolution, ranks.device)
    origin = {
        "network": network.origin,
        "finetuned": settings | {"new_head": has_other_classes(network, data)},
        "held_out": {
            "images": sum(len(labels) for _, labels in data.judges(resolution)),
            "accuracy_before": before,
            "accuracy_after": after,
        },
        "data": data.facts,
        "bn_images": sum(len(batch) for batch in data.calibration(resolution)),
    }
    if tuning.sparsity:
        origin |= {"weights": counted(model, fitted), "tickets": thinning.tickets}
    result = replace(begin, weights=dict(model.cpu().state_dict()), origin=origin)
    if ranks.first:
        result.save(output)
        path.unlink(missing_ok=True)
    ranks.wait()
    return result


def _on(ranks: Ranks, network: NetworkFile) -> nn.Sequential:
    module = network.module()
    module.to(ranks.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return module


def _steps(
    model: nn.Module,
    start: "_Checkpoint | None",
    thinning: Thinning,
    data: ImageData,
    tuning: Tuning,
    resolution: int,
    teacher: nn.Module | None,
    ranks: Ranks,
) -> Iterator[tuple[int, torch.optim.SGD]]:
    """Train from `start` to the end; after each step the number of steps done."""
    optimizer = sgd(model, tuning.momentum, tuning.weight_decay)
    if start:
        model.load_state_dict(start.weights)
        optimizer.load_state_dict(start.optimizer)
    network, first = ranks.wrap(model.train()), start.step if start else 0
    batches = data.stream(_draws(data, tuning, thinning.steps, resolution, first, ranks))
    for step, (images, labels) in enumerate(batches, start=first):
        if thinning.before(step, model, lambda: judged(model, data, resolution, ranks.device)):
            model.train()
            optimizer.state.clear()
        rate = cosine(tuning.learning_rate, thinning.progress(step))
        set_rate(optimizer, rate)
        inputs, targets = images.to(ranks.device), labels.to(ranks.device)
        loss = cross_entropy(
            network,
            inputs,
            targets,
            tuning.label_smoothing,
            soft_labels(teacher, inputs),
            tuning.distill,
        )
        mean = ranks.mean(loss.detach().clone())
        if not math.isfinite(mean):
            raise TrainingDiverged(
                f"the loss is {mean} at step {step} of fine-tuning (learning rate {rate:.3g}); "
                "begin anew with a lower --learning-rate, into another file"
            )
        optimizer.zero_grad()
        loss.backward()
        if not math.isfinite(clipped(network, None)):
            raise TrainingDiverged(f"gradients are no numbers at step {step} of fine-tuning")
        with kept(model):
            optimizer.step()
        yield step + 1, optimizer


def checkpoint_of(output: Path) -> Path:
    """What an interrupted run left beside the file it was to write."""
    return output.with_name(f"{output.name}.checkpoint")


def has_other_classes(network: NetworkFile, data: ImageData) -> bool:
    """Whether the data need a new head; numbers for names stand for any classes."""
    numbers = tuple(str(number) for number in range(len(network.classes)))
    if network.classes == numbers:
        return len(network.classes) != len(data.classes)
    return network.classes != data.classes


def fit_head(network: NetworkFile, data: ImageData, seed: int) -> NetworkFile:
    """The network for the classes and the normalisation of the data; a new head is random.

    Raises:
        UsageError: its images have other channels than the data.
        CheckpointError: it does not end with a classifier.
    """
    head = network.blocks[-1] if network.blocks else None
    if not isinstance(head, Convolution) or head.kind != "linear":
        raise CheckpointError("the network file does not end with a classifier (linear)")
    channels = network.blocks[0].input_shape[0]
    if channels != data.channels:
        raise UsageError(
            f"the network takes images of {channels} channels, the data have "
            f"{data.channels}: fine-tune a network of as many"
        )
    blocks, weights = network.blocks, network.weights
    if has_other_classes(network, data):
        blocks = (*blocks[:-1], replace(head, out_channels=len(data.classes)))
        name = f"{len(blocks) - 1}."
        fresh = build_random(blocks, seed).state_dict()
        weights = {n: (fresh if n.startswith(name) else weights)[n] for n in fresh}
    return replace(
        network,
        blocks=blocks,
        weights=weights,
        preprocessing=Preprocessing(network.preprocessing.resolution, data.mean, data.std),
        classes=data.classes,
    )


def judged(network: nn.Module, data: ImageData, resolution: int, device: str) -> float:
    """Top-1 on the held-out images, percent, with statistics recomputed on training images.

    Every rank does it by itself.
    """
    bn.recompute(network, (batch.to(device) for batch in data.calibration(resolution)))
    right, total = count_right(network, data.judges(resolution), device)
    return right / total * 100


def _draws(
    data: ImageData, tuning: Tuning, steps: int, resolution: int, first: int, ranks: Ranks
) -> Iterator[Draw]:
    """This rank's part of each batch from step `first` to the end."""
    share = Share(ranks.rank, ranks.count)
    for step in range(first, steps):
        yield from draws(data.count, tuning.batch_size, resolution, tuning.seed, step, share)


def _settings(data: ImageData, tuning: Tuning, source: dict[str, Any]) -> dict[str, Any]:
    """What decides the result, as plain values."""
    facts = {"classes": list(data.classes), "images": data.count, "data": data.facts}
    settings = source | asdict(tuning) | facts
    if tuning.sparsity is None:
        del settings["sparsity"]  # which earlier versions did not know
    return settings


def _difference(there: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """The first setting by which another run was another; sparsity, where only that one had it."""
    names = [*settings, "sparsity"]
    return next((name for name in names if there.get(name) != settings.get(name)), None)


def _finished(output: Path, settings: dict[str, Any]) -> NetworkFile | None:
    """What is there already, where it is the end of this very run."""
    if not output.exists():
        return None
    there = NetworkFile.load(output)
    before = there.origin.get("finetuned", {})
    if _difference(before, settings) is not None:
        raise UsageError(f"{output} is there and is something else; name another file")
    return there


@dataclass(frozen=True)
class _Checkpoint:
    """One moment of fine-tuning; `settings` decide whether a run may go on from it."""

    settings: dict[str, Any]
    step: int  # steps done
    accuracy_before: float  # percent
    weights: dict[str, Tensor]
    optimizer: dict[str, Any]
    thinning: dict[str, Any]  # {} of earlier versions

    def save(self, path: Path) -> None:
        save_tensors({"schema": SCHEMA, "kind": "fine-tuning"} | vars(self), path)

    @classmethod
    def load(cls, path: Path, settings: dict[str, Any]) -> "_Checkpoint":
        """Raises CheckpointError, with what differs, where a run may not go on from it."""
        content = {"thinning": {}} | load_tensors(path, "fine-tuning")
        try:
            found = cls(**{name: content[name] for name in cls.__dataclass_fields__})
        except KeyError as error:
            raise CheckpointError(f"{path} is not a whole checkpoint: no {error}") from error
        if (name := _difference(found.settings, settings)) is not None:
            raise CheckpointError(
                f"{path} is of another run: {name} was {found.settings.get(name)!s:.100}, is "
                f"{settings.get(name)!s:.100}; name another output, or move it away"
            )
        return found
