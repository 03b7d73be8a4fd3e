"""`harness evaluate`: the accuracy of a network file on images that it was not trained on."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import UsageError
from harness.pipeline.notices import Listener, Remark

if TYPE_CHECKING:  # torch is imported where it is needed
    import torch

    from harness.networks.file import NetworkFile
    from harness.training.folder import ImageFolder


@dataclass(frozen=True)
class Accuracy:
    """Of a network on the images of a folder that it was not trained on."""

    network: str
    data: str
    images: str  # "test", or "held-out" where the folder has no test images
    right: int
    total: int
    damage: str  # which images could not be read, or nothing

    @property
    def interval(self) -> tuple[float, float]:
        """95 %, as shares (Wilson, 1927)."""
        from scipy.stats import binomtest

        low, high = binomtest(self.right, self.total).proportion_ci(0.95, "wilson")
        return float(low), float(high)

    def to_json(self) -> dict[str, Any]:
        """For scripts."""
        return asdict(self) | {"top1": self.right / self.total, "top1_95": self.interval}


def evaluate(listener: Listener, path: Path, folder: Path) -> Accuracy:
    """Top-1 on the test images of a folder, else on what is held out of it.

    Raises:
        CheckpointError: the network file is broken.
        UsageError: the folder cannot be used, or has other classes.
    """
    from harness.networks.file import NetworkFile
    from harness.training.distributed import own_device
    from harness.training.evaluate import count_right

    network = NetworkFile.load(path)
    data = images_for(network, path, folder)
    if data.lost_colours:
        listener.tell(Remark(data.lost_colours))
    pixels = network.preprocessing
    what = "test" if data.tested else "held-out"
    device = own_device()
    with listener.step(f"read the {what} images") as progress:
        batches = data.test(pixels.resolution) or data.judges(pixels.resolution)
        progress(1, 1)
    module = network.module().to(device).eval()
    theirs, ours = (data.mean, data.std), (pixels.mean, pixels.std)
    with listener.step("evaluate") as progress:

        def prepared() -> "Iterator[tuple[torch.Tensor, torch.Tensor]]":
            for number, (images, labels) in enumerate(batches, start=1):
                yield renormalised(images, theirs, ours), labels
                progress(number, len(batches))

        right, total = count_right(module, prepared(), device)
    damage = data.damage if data.damaged else ""
    return Accuracy(str(path), str(folder), what, right, total, damage)


def images_for(network: "NetworkFile", path: Path, folder: Path) -> "ImageFolder":
    """The folder's images as the network takes them, split as those that it was trained on.

    Raises:
        UsageError: the folder cannot be used, or has other classes.
    """
    from harness.training.finetune import has_other_classes
    from harness.training.folder import ImageFolder

    check_of_images(network, path)
    seed = network.origin.get("data", {}).get("seed", 0)
    data = ImageFolder.open(folder, seed, channels=network.blocks[0].input_shape[0])
    known, found = network.classes, data.classes
    if has_other_classes(network, data):
        raise UsageError(
            f"{path} knows {len(known)} classes ({', '.join(known[:3])}, ...), {folder} has "
            f"{len(found)} ({', '.join(found[:3])}, ...); `harness finetune` gives it a new head"
        )
    return data


def check_of_images(network: "NetworkFile", path: Path) -> None:
    """Raises UsageError where the network translates instead."""
    if network.decodes:
        raise UsageError(f"{path} takes sentences, and not images")


Channels = float | tuple[float, ...]


def renormalised(
    images: "torch.Tensor", theirs: tuple[Channels, Channels], ours: tuple[Channels, Channels]
) -> "torch.Tensor":
    """Images that were normalised in one way, normalised in another: (mean, std) of each."""
    import torch

    if theirs == ours:
        return images
    (mean, std), (wanted_mean, wanted_std) = (
        [torch.tensor(each).view(-1, 1, 1) for each in pair] for pair in (theirs, ours)
    )
    return (images * std + mean - wanted_mean) / wanted_std
