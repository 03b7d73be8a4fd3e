"""Networks as .tflite files by litert-torch, channels last; 2 s a block, 10 s a network."""

import torch
from torch import nn

from harness import files
from harness.networks.build import input_shape
from harness.runtimes.conversion.source import Source


class MeanOverPixels(nn.Module):
    """Global average pooling of [n, height, width, channels]."""

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return maps.mean((2, 1), keepdim=True)  # in the order of a pool inside a network


def by_litert_torch(source: Source, batch: int) -> bytes:
    """The file; it talks a lot on the way."""
    import litert_torch

    example = torch.zeros(input_shape(source.blocks, batch))
    network = source.network
    if example.ndim == 4:  # maps; tokens are what they are
        network = channels_last(source, example)
        example = example.permute(0, 2, 3, 1).contiguous()
    with files.scratch() as folder:
        path = folder / "model.tflite"
        litert_torch.convert(network, (example,)).export(str(path))
        return path.read_bytes()


def channels_last(source: Source, example: torch.Tensor) -> nn.Module:
    """The network from [n, height, width, channels] to logits, or to such maps.

    `example` is an input of the network as it is, [n, channels, height, width].
    """
    import litert_torch

    if all(block.kind == "pool" for block in source.blocks):
        # Alone, without a convolution that decides the layout, litert-torch would leave pooling
        # channels first, behind a TRANSPOSE that took more time than itself.
        return MeanOverPixels().eval()
    with torch.no_grad():
        gives_maps = source.network(example).ndim == 4
    outputs = {"outputs": [0]} if gives_maps else {}
    network: nn.Module = litert_torch.to_channel_last_io(source.network, args=[0], **outputs)
    return network.eval()
