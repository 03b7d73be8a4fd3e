"""Accuracies: of sub-networks on validation images, and how sure one can be of them."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from harness.spaces.arch import Arch
from harness.supernet.supernet import Supernet
from harness.training import bn
from harness.training.data import Digits, prepare

BN_IMAGES = 256  # training images for recomputed batch-norm statistics of digits
_BN_SEED = 20_000


class SubnetEvaluator:
    """Cuts sub-networks out of a supernet and judges them on the validation images.

    Keeps the images at every resolution, which are the same for all sub-networks.
    """

    def __init__(self, supernet: Supernet, data: Digits) -> None:
        self.supernet = supernet
        self.data = data
        training = bn_pixels(data)
        resolutions = supernet.space.resolutions
        self._training = {r: prepare(training, r) for r in resolutions}
        self._validation = {r: prepare(data.validation.pixels, r) for r in resolutions}

    def subnet(self, arch: Arch) -> nn.Sequential:
        """The static network with batch-norm statistics recomputed on training images."""
        network = self.supernet.extract(arch)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        bn.recompute(network, self._training[arch.resolution])
        return network

    def accuracy(self, arch: Arch) -> float:
        """Top-1 on the validation images, percent."""
        logits = predict(self.subnet(arch), self._validation[arch.resolution])
        return top1(logits.argmax(1).numpy(), self.data.validation.labels.numpy())


def bn_pixels(data: Digits) -> Tensor:
    """The training images that batch-norm statistics are recomputed on; always the same."""
    return data.batch(BN_IMAGES, torch.Generator().manual_seed(_BN_SEED))[0]


@torch.inference_mode()
def predict(network: nn.Module, images: Tensor, batch_size: int = 64) -> Tensor:
    """Logits [n, classes]."""
    return torch.cat([network(batch) for batch in images.split(batch_size)])


def top1(predicted: npt.NDArray[np.integer], labels: npt.NDArray[np.integer]) -> float:
    """Share of right answers, percent."""
    return float(np.mean(predicted == labels) * 100)


def top1_interval(
    predicted: npt.NDArray[np.integer],
    labels: npt.NDArray[np.integer],
    originals: npt.NDArray[np.integer],
    rng: np.random.Generator,
) -> tuple[float, float]:
    """95 % interval of the accuracy, percent, by bootstrap over originals.

    Images made from one original are right or wrong together, so the original is what is drawn.
    """
    names, group = np.unique(originals, return_inverse=True)
    right = np.bincount(group, predicted == labels)
    size = np.bincount(group)
    draws = rng.integers(0, len(names), (1000, len(names)))
    accuracies = right[draws].sum(axis=1) / size[draws].sum(axis=1) * 100
    low, high = np.percentile(accuracies, [2.5, 97.5])
    return float(low), float(high)
