"""Accuracies of sub-networks on what is held out of training."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from harness.spaces.arch import Arch
from harness.supernet.supernet import Supernet
from harness.training import bn
from harness.training.draws import ImageData


class SubnetEvaluator:
    """Cuts sub-networks out of a supernet and judges them on the validation images."""

    def __init__(self, supernet: Supernet, data: ImageData, device: str = "cpu") -> None:
        self.supernet = supernet
        self.data = data
        self._device = device

    def source(self, _arch: Arch) -> Tensor | None:
        """What the sub-network's input is made of, where that was learned, too."""
        return None

    def subnet(self, arch: Arch) -> nn.Sequential:
        """The static network with batch-norm statistics recomputed on training images."""
        network = self.supernet.extract(arch)
        network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        batches = self.data.calibration(arch.resolution)
        bn.recompute(network, (batch.to(self._device) for batch in batches))
        return network

    def accuracy(self, arch: Arch) -> float:
        """Top-1 on the validation images, percent."""
        batches = self.data.judges(arch.resolution)
        right, total = count_right(self.subnet(arch), batches, self._device)
        return right / total * 100


@torch.inference_mode()
def count_right(
    network: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], device: str
) -> tuple[int, int]:
    """Right answers, and all."""
    right = total = 0
    for images, labels in batches:
        answers = network(images.to(device)).argmax(1).cpu()
        right += int((answers == labels).sum())
        total += len(labels)
    return right, total
