"""The largest network, frozen: what sub-networks are distilled from (Hinton et al., 2015)."""

import torch
from torch import Tensor, nn

from harness.networks.build import build
from harness.spaces.space import Space
from harness.supernet.supernet import Supernet
from harness.training import bn
from harness.training.draws import ImageData

RESOLUTIONS = 4  # at most, over which its batch-norm statistics are averaged


def freeze(
    supernet: Supernet, data: ImageData, device: str, *, in_training_mode: bool = False
) -> nn.Module:
    """The largest network as it is now, with statistics over training images.

    Every rank makes the same one by itself. In training mode it takes each batch's own statistics.
    """
    teacher = supernet.extract(supernet.space.largest).to(device)
    resolutions = supernet.space.resolutions
    every = max(1, len(resolutions) // RESOLUTIONS)
    chosen = resolutions[::-every][:RESOLUTIONS]
    batches = (batch.to(device) for pixels in chosen for batch in data.calibration(pixels))
    bn.recompute(teacher, batches)
    return _frozen(teacher, in_training_mode)


def restored(
    space: Space, weights: dict[str, Tensor], device: str, *, in_training_mode: bool = False
) -> nn.Module:
    """The teacher of a checkpoint."""
    teacher = build(space.blocks(space.largest)).to(device)
    for module in teacher.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = space.bn_eps
    teacher.load_state_dict(weights)
    return _frozen(teacher, in_training_mode)


def _frozen(teacher: nn.Sequential, in_training_mode: bool) -> nn.Module:
    teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return teacher.train(in_training_mode).requires_grad_(False)
