"""Training a network file further: on digits or a folder of images, distilled or not."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, cast, get_args

from harness.errors import UsageError
from harness.files import changing
from harness.hints import missing, nearest
from harness.pipeline.evaluate import check_of_images
from harness.pipeline.notices import Listener, NewHead, Remark
from harness.progress import silent
from harness.spaces.catalogue import find_space
from harness.spaces.digits import DIGITS
from harness.spaces.images import is_images
from harness.transports.content import digest

if TYPE_CHECKING:  # torch is imported where it is needed
    from harness.networks.file import NetworkFile
    from harness.supernet.supernet import Supernet
    from harness.training.draws import ImageData
    from harness.training.sparsity import Sparsity


@dataclass(frozen=True)
class FineTuning:
    """Which network is trained further, on what, and how."""

    network: Path
    output: Path
    data: Path | None = None  # a folder of images; None: digits
    supernet: Path | None = None  # to distil from: ours, or as the OFA authors release them
    space: str | None = None  # of the supernet; None: the one the network names
    epochs: float = 25
    learning_rate: float = 0.01
    batch_size: int = 64
    seed: int = 0
    sparsity: float | None = None  # share of zeros
    pattern: str | None = None  # of them; None: unstructured
    rewind: int | None = None  # lottery tickets: the step that weights go back to


@dataclass(frozen=True)
class FineTuned:
    """A network file and what it answers right on images that it was not trained on, percent."""

    path: Path
    images: int
    before: float
    after: float
    weights: tuple[int, int] | None = None  # that are left, and of how many; None: all


def finetune(listener: Listener, asked: FineTuning) -> FineTuned | None:
    """Write the network file; its accuracies, from the first of the ranks.

    Raises:
        MissingExtra: torch or scikit-learn is not installed.
        UsageError: network, data, supernet and sparsity do not fit together.
        FileFormatError: a file or the folder is broken.
        TrainingDiverged: the loss is no number.
    """
    if find_spec("torch") is None:
        raise missing("training needs", "torch", "train")
    import torch

    from harness.networks.file import NetworkFile
    from harness.training import finetune as training
    from harness.training.distributed import joined
    from harness.training.folder import ImageFolder
    from harness.training.teacher import freeze

    sparsity = _sparsity(asked)
    network = NetworkFile.load(asked.network)
    data = _data(asked, network)
    if asked.data is None:
        torch.set_num_threads(1)  # a second thread brings nothing to networks this small
    tuning = training.Tuning(
        asked.epochs, asked.learning_rate, asked.batch_size, asked.seed, sparsity=sparsity
    )
    source = {
        name: {"name": path.name, "sha256": digest(path)} if path else None
        for name, path in (("file", asked.network), ("supernet", _existing(asked.supernet)))
    }
    with joined() as ranks, changing(asked.output) if ranks.first else nullcontext():
        ranks.wait()  # another run may have been at work on the same file
        others = training.has_other_classes(network, data)
        if others and ranks.first:
            listener.tell(NewHead(asked.network, len(network.classes), len(data.classes)))
        supernet = _supernet(asked, network, data, others=others)
        teacher = freeze(supernet, data, ranks.device) if supernet else None
        with listener.step("fine-tune") if ranks.first else nullcontext(silent) as progress:
            result = training.finetune(
                network, data, tuning, asked.output, source, teacher, progress, ranks
            )
        if not ranks.first:
            return None
    if isinstance(data, ImageFolder):
        for remark in (data.lost_colours, data.damage if data.damaged else None):
            if remark:
                listener.tell(Remark(remark))
    held_out, weights = result.origin["held_out"], result.origin.get("weights")
    return FineTuned(
        path=asked.output,
        images=held_out["images"],
        before=held_out["accuracy_before"],
        after=held_out["accuracy_after"],
        weights=None if weights is None else (weights["left"], weights["of"]),
    )


def _sparsity(asked: FineTuning) -> "Sparsity | None":
    """Raises UsageError where what is asked for contradicts itself."""
    from harness.training.sparsity import Pattern, Sparsity

    patterns, pattern = get_args(Pattern), asked.pattern or "unstructured"
    if pattern not in patterns:
        raise UsageError(f"--pattern: no pattern {pattern!r}; {nearest(pattern, patterns)}")
    share = 0.5 if asked.sparsity is None and pattern == "2:4" else asked.sparsity
    if share is None:
        if asked.pattern is None and asked.rewind is None:
            return None
        raise UsageError("--pattern and --rewind are for --sparsity, such as 0.75")
    if pattern == "2:4" and share != 0.5:
        raise UsageError(f"--pattern 2:4 is a sparsity of 0.5, and not {share:g}")
    if asked.rewind is not None and pattern != "unstructured":
        raise UsageError(f"--rewind is for --pattern unstructured, and not for {pattern}")
    return Sparsity(share, cast("Pattern", pattern), asked.rewind)


def _existing(path: Path | None) -> Path | None:
    if path is not None and not path.is_file():
        raise UsageError(f"there is no file {path}")
    return path


def _data(asked: FineTuning, network: "NetworkFile") -> "ImageData":
    from harness.training.data import Digits
    from harness.training.folder import ImageFolder

    check_of_images(network, asked.network)
    if asked.data is not None:
        # As the network's own data were split: what it was trained on may not judge it.
        facts = network.origin.get("data", {})
        channels = network.blocks[0].input_shape[0]
        images = ImageFolder.open(asked.data, facts.get("seed", 0), channels=channels)
        small = network.space == DIGITS.name or is_images(network.space)
        return images.in_minutes() if small else images
    if len(network.classes) != 10 or network.blocks[0].input_shape[0] != 1:
        raise UsageError(
            f"--data says which images {asked.network} is trained on (what is here are digits, "
            "grey images of 10 classes)"
        )
    return Digits.load()


def _supernet(
    asked: FineTuning, network: "NetworkFile", data: "ImageData", *, others: bool
) -> "Supernet | None":
    """What the network is distilled from, at the network's resolution."""
    if asked.supernet is None:
        return None
    from harness.supernet.loading import load_supernet

    if others:
        raise UsageError(
            f"{asked.supernet} cannot teach other classes than it has: leave --supernet out, or "
            f"give data with the {len(network.classes)} classes of {asked.network}"
        )
    try:
        named = find_space(asked.space or network.space)
    except UsageError as error:
        raise UsageError(f"{error}; --space says of which {asked.supernet} is") from error
    space = replace(named, resolutions=(network.preprocessing.resolution,))  # type: ignore[type-var]
    supernet = load_supernet(asked.supernet, space)
    if supernet.space.classes != len(data.classes):
        raise UsageError(
            f"{asked.supernet} has {supernet.space.classes} classes, the data {len(data.classes)}: "
            "it can only teach its own; leave --supernet out"
        )
    if supernet.space.image_channels != data.channels:
        raise UsageError(
            f"{asked.supernet} takes images of {supernet.space.image_channels} channels, the data "
            f"have {data.channels}"
        )
    return supernet
