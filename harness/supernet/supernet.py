"""The once-for-all network of a space: activate a sub-network, run it, cut it out."""

from dataclasses import asdict

import torch
from torch import Tensor, nn

from harness.networks.build import build
from harness.networks.layers import MBConv, make_layer
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.space import Space
from harness.supernet.elastic import ElasticMBConv


class Supernet(nn.Module):
    """All sub-networks of `space` in one set of weights.

    Its state is the weights and which sub-network is active (`activate`).
    """

    def __init__(self, space: Space) -> None:
        super().__init__()
        self.space = space
        resolution = space.resolutions[-1]
        before, after = space.fixed_blocks(resolution)
        self.before = nn.ModuleList(make_layer(asdict(block)) for block in before)
        self.layers = nn.ModuleList(
            ElasticMBConv(
                asdict(space.layer_block(resolution, slot, space.kernels[-1], space.expands[-1])),
                space.kernels,
            )
            for slot in range(space.layers)
        )
        self.after = nn.ModuleList(make_layer(asdict(block)) for block in after)
        self.activate(largest_arch(space))

    def activate(self, arch: Arch) -> None:
        """Choose the sub-network that `forward` computes.

        Raises:
            UsageError: `arch` is not of this space.
        """
        blocks = self.space.blocks(arch)
        elastic = blocks[len(self.before) : len(blocks) - len(self.after)]
        self.active: list[tuple[int, Block]] = list(
            zip(self.space.active_slots(arch), elastic, strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits [n, classes] of images [n, channels, resolution, resolution]."""
        for layer in self.before:
            x = layer(x)
        for slot, block in self.active:
            x = self.layers[slot](x, block)
        for layer in self.after:
            x = layer(x)
        return x

    @torch.no_grad()
    def extract(self, arch: Arch) -> nn.Sequential:
        """A plain static network with the weights of `arch` and identical outputs."""
        network = build(self.space.blocks(arch))
        slots = list(self.space.active_slots(arch))
        sources = [*self.before, *(self.layers[slot] for slot in slots), *self.after]
        for source, target in zip(sources, network.children(), strict=True):
            if isinstance(source, ElasticMBConv):
                assert isinstance(target, MBConv)
                source.cut(target)
            else:
                target.load_state_dict(source.state_dict())
        return network

    def sort_channels(self) -> None:
        """Order the inner channels of every layer by importance, before widths are shrunk."""
        for layer in self.layers:
            assert isinstance(layer, ElasticMBConv)
            layer.sort_channels()


def largest_arch(space: Space) -> Arch:
    """The sub-network that contains all others, at the highest resolution."""
    return Arch(
        space.resolutions[-1],
        (space.max_depth,) * len(space.stages),
        (space.kernels[-1],) * space.layers,
        (space.expands[-1],) * space.layers,
    )
