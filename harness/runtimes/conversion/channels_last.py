"""Networks that take and give channels last, as TFLite files do."""

import litert_torch
import torch
from torch import nn

from harness.runtimes.conversion.source import Source


class MeanOverPixels(nn.Module):
    """Global average pooling of [n, height, width, channels]."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.mean((1, 2), keepdim=True)


def channels_last(source: Source, example: torch.Tensor) -> nn.Module:
    """The network from [n, height, width, channels] to logits, or to such maps.

    `example` is an input of the network as it is, [n, channels, height, width].
    """
    if all(block.kind == "pool" for block in source.blocks):
        # Alone, without a convolution that decides the layout, litert-torch would leave pooling
        # channels first, behind a TRANSPOSE that took more time than itself.
        return MeanOverPixels().eval()
    with torch.no_grad():
        gives_maps = source.network(example).ndim == 4
    outputs = {"outputs": [0]} if gives_maps else {}
    network: nn.Module = litert_torch.to_channel_last_io(source.network, args=[0], **outputs)
    return network.eval()
