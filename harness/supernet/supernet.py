"""The once-for-all network of a space: activate a sub-network, run it, cut it out."""

from itertools import product

import torch
from torch import Tensor, nn

from harness.networks.build import build
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.convolution import convolutions
from harness.spaces.space import Space
from harness.spaces.transformer import Transformer
from harness.supernet.elastic import Elastic, ElasticLinear, elastic_convolution
from harness.supernet.elastic_transformer import elastic_transformer


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

    def set_dropout(self, rate: float) -> None:
        """The share of the classifier's inputs that training drops."""
        for layer in self.layers:
            if isinstance(layer, ElasticLinear):
                layer.dropout = rate

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

    def sort_channels(self, opened: int = 1) -> None:
        """Order the inner channels of every layer by importance, before widths are shrunk.

        `opened`: so many of the largest widths were trained already. What they leave out stays
        left out: channels are ordered between those widths, not across them.
        """
        for place, layer in enumerate(self.layers):
            assert isinstance(layer, Elastic)
            layer.sort_channels(self._open_forms(place, opened))

    def _open_forms(self, place: int, opened: int) -> tuple[Block, ...]:
        """The forms of a place that differ in inner width alone, the largest last."""
        genes = [self.space.genes[column] for column in self.space.places[place].genes]
        choices = [
            gene.choices[-opened:] if gene.part == "e" else gene.choices[-1:] for gene in genes
        ]
        return tuple(self.space.block(place, values) for values in product(*choices))


def _layer(space: Space, place: int) -> Elastic:
    blocks = list(space.blocks_at(place, space.resolutions[-1:]))
    if isinstance(blocks[-1], Transformer):
        return elastic_transformer(blocks[-1])
    forms = convolutions(blocks)
    return elastic_convolution(forms[-1], tuple(sorted({form.kernel for form in forms})))


def _set_eps(network: nn.Module, eps: float) -> None:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = eps
