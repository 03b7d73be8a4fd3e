"""What a network answers in 8 bits, emulated in torch: what files that claim to do so must answer.

Weights are rounded symmetrically for each output channel, what operators put out to 256 levels
over the range that it has on some inputs, all as .tflite files do; batch norm is part of the
convolution before it, ReLU part of the operator before.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from harness.networks.layers import SqueezeExcite

Floats = npt.NDArray[np.float32]
Range = tuple[float, float]


@dataclass(frozen=True)
class EightBits:
    """Logits in 8 bits, and how far apart two ways of rounding may be.

    A runtime rounds at other places than we do, so that its rounding errors are others. They may
    be as far from ours as errors of rounding at random, to one of the two levels around a number.
    """

    logits: Floats
    apart: float  # RMS between them and logits rounded at random

    def agree(self, logits: Floats) -> bool:
        """Whether they may be of the same network, in 8 bits too."""
        return rms(logits - self.logits) <= self.apart


def in_eight_bits(network: nn.Sequential, seen: Tensor, images: Tensor) -> EightBits:
    """Of a network of ours, which is changed; ranges are those of the inputs `seen`."""
    _fold(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weight = module.weight.data
            largest = weight.abs().flatten(1).amax(1).view(-1, *[1] * (weight.ndim - 1))
            largest[largest == 0] = 1.0  # of a filter that is pruned altogether
            module.weight.data = (weight * 127 / largest).round() * largest / 127
    ranges: dict[nn.Module, Range] = {}
    at_random: torch.Generator | None = None

    def observe(module: nn.Module, _inputs: object, output: Tensor) -> None:
        ranges[module] = _range(output)

    def replace(module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
        return rounded(output, ranges[module], at_random)

    def answers() -> Floats:
        found: Floats = network(rounded(images, _range(seen), at_random)).numpy()
        return found

    with torch.inference_mode():
        operators = _operators(network)
        hooks = [each.register_forward_hook(observe) for each in operators]
        network(seen)
        for hook in hooks:
            hook.remove()
        for each in operators:
            each.register_forward_hook(replace)
        logits = answers()
        at_random = torch.Generator().manual_seed(0)
        return EightBits(logits, rms(answers() - logits))


def rounded(values: Tensor, within: Range, at_random: torch.Generator | None = None) -> Tensor:
    """To the nearest of 256 levels over a range; or at random to one of the two levels around."""
    step = (within[1] - within[0]) / 255
    if step == 0:  # nothing was ever seen there but zeros
        return torch.zeros_like(values)
    zero = round(-128 - within[0] / step)
    levels = values / step
    if at_random is not None:
        levels = levels + torch.rand(values.shape, generator=at_random) - 0.5
    return (levels.round().add(zero).clamp(-128, 127) - zero) * step


def rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _range(values: Tensor) -> Range:
    """Zero is always one of the levels."""
    return min(0.0, float(values.min())), max(0.0, float(values.max()))


def _fold(network: nn.Sequential) -> None:
    for module in network.modules():
        if isinstance(module, nn.Sequential) and len(module) == 3:
            conv, norm, _ = module
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[0], module[1] = fuse_conv_bn_eval(conv, norm), nn.Identity()


def _operators(network: nn.Sequential) -> list[nn.Module]:
    """What puts out a tensor of its own in a file."""
    before_relu: set[nn.Module] = set()
    for module in network.modules():
        if isinstance(module, SqueezeExcite) and isinstance(module.act, nn.ReLU):
            before_relu.add(module.reduce)
        elif isinstance(module, nn.Sequential) and isinstance(module[-1], nn.ReLU):
            before_relu.add(module[0])
    none = (nn.Sequential, nn.Identity, nn.Flatten)
    return [m for m in network.modules() if not isinstance(m, none) and m not in before_relu]
