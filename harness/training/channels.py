"""Inner channels cut out of inverted bottlenecks: the network is smaller then, and dense."""

from dataclasses import replace

from torch import Tensor

from harness.errors import UsageError
from harness.networks.file import NetworkFile
from harness.spaces.convolution import Convolution
from harness.spaces.space import make_divisible

DIVISOR = 4  # channels: what is left is a multiple, which devices prefer
_ROWS = ("expand.", "depthwise.", "se.expand.")  # a channel is a row of these tensors
_COLUMNS = ("project.0.weight", "se.reduce.weight")  # and a column of these


def cut(network: NetworkFile, share: float) -> NetworkFile:
    """Without so many of each block's inner channels: those that the projection makes least of, by
    the L1 norm of its weights, as channels of supernets are sorted.

    It is of no arch of its space any more.

    Raises:
        UsageError: no block has inner channels to spare.
    """
    blocks, weights = list(network.blocks), dict(network.weights)
    for place, block in enumerate(network.blocks):
        if isinstance(block, Convolution) and (left := _left(block, share)) < block.mid_channels:
            norms = weights[f"{place}.project.0.weight"].abs().sum((0, 2, 3))
            best = norms.topk(left).indices.sort().values
            blocks[place] = replace(block, mid_channels=left)
            for name in weights:
                if name.startswith(f"{place}."):
                    weights[name] = _narrowed(weights[name], name.removeprefix(f"{place}."), best)
    if blocks == list(network.blocks):
        raise UsageError("--pattern channels: no block of the network has inner channels to spare")
    return replace(network, arch=None, blocks=tuple(blocks), weights=weights)


def _left(block: Convolution, share: float) -> int:
    """Without an expansion inner channels are those of the layer before; with one there may not be
    as many, which would mean that there is none."""
    inner = block.mid_channels
    if block.kind != "mbconv" or inner == block.in_channels:
        return inner
    left = make_divisible(inner * (1 - share), DIVISOR)
    return left + DIVISOR if left == block.in_channels else left


def _narrowed(weight: Tensor, name: str, best: Tensor) -> Tensor:
    if name.startswith(_ROWS) and weight.ndim:
        return weight[best]
    return weight[:, best] if name in _COLUMNS else weight
