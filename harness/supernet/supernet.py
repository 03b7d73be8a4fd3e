"""The once-for-all network of a space: activate a sub-network, run it, cut it out."""

import torch
from torch import Tensor, nn

from harness.networks.build import build
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.space import Space
from harness.supernet.elastic import Elastic, elastic


class Supernet(nn.Module):
    """All sub-networks of `space` in one set of weights, a layer for each of its places.

    Its state is the weights and which sub-network is active (`activate`).
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space
        self.layers = nn.ModuleList(_layer(space, place) for place in range(len(space.places)))
        _set_eps(self, space.bn_eps)
        self.activate(space.largest)

    def activate(self, arch: Arch) -> None:
        """Choose the sub-network that `forward` computes.

        Raises:
            UsageError: `arch` is not of this space.
        """
        blocks = self.space.blocks(arch)
        self.active: list[tuple[int, Block]] = list(
            zip(self.space.active(arch), blocks, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits [n, classes] of images [n, channels, resolution, resolution]."""
        for place, block in self.active:
            x = self.layers[place](x, block)
        return x

    @torch.no_grad()
    def extract(self, arch: Arch) -> nn.Sequential:
        """A plain static network with the weights of `arch` and the same outputs."""
        network = build(self.space.blocks(arch))
        for place, target in zip(self.space.active(arch), network.children(), strict=True):
            layer = self.layers[place]
            assert isinstance(layer, Elastic)
            layer.cut(target)
        _set_eps(network, self.space.bn_eps)
        return network

    def sort_channels(self) -> None:
        """Order the inner channels of every layer by importance, before widths are shrunk."""
        for layer in self.layers:
            assert isinstance(layer, Elastic)
            layer.sort_channels()


def _layer(space: Space, place: int) -> Elastic:
    blocks = list(space.blocks_at(place, space.resolutions[-1:]))
    return elastic(blocks[-1], tuple(sorted({block.kernel for block in blocks})))


def _set_eps(network: nn.Module, eps: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps
