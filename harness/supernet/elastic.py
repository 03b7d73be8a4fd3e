"""Layers that can act with fewer channels or a smaller kernel (Cai et al., ICLR 2020, section 3.2).

Each holds the weights of its largest form; a smaller form uses their leading channels. They have
the names and shapes of `networks.layers`, so that a sub-network is cut out by slicing.
"""

from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.networks.layers import MBConv
from harness.spaces.block import Block


def batch_norm(x: Tensor, bn: nn.BatchNorm2d) -> Tensor:
    """Batch norm with the leading channels of `bn`."""
    channels = x.shape[1]
    assert bn.running_mean is not None
    assert bn.running_var is not None
    return F.batch_norm(
        x,
        bn.running_mean[:channels],
        bn.running_var[:channels],
        bn.weight[:channels],
        bn.bias[:channels],
        bn.training,
        bn.momentum or 0.0,
        bn.eps,
    )


class ElasticKernel(nn.Module):
    """Depthwise weights for every kernel size, cut from the largest.

    A smaller kernel is the centre of the next larger one, multiplied by a learned matrix that all
    channels of the layer share (7 to 5: 25x25, 5 to 3: 9x9), at first the identity.
    """

    def __init__(self, kernels: tuple[int, ...]) -> None:
        super().__init__()
        self.kernels = kernels
        self.matrices = nn.ParameterDict(
            {
                f"{larger}to{smaller}": nn.Parameter(torch.eye(smaller**2))
                for smaller, larger in pairwise(kernels)
            }
        )

    def forward(self, weight: Tensor, kernel: int) -> Tensor:
        """[channels, 1, largest, largest] to [channels, 1, kernel, kernel]."""
        for index in range(len(self.kernels) - 1, self.kernels.index(kernel), -1):
            larger, smaller = self.kernels[index], self.kernels[index - 1]
            edge = (larger - smaller) // 2
            centre = weight[:, :, edge : edge + smaller, edge : edge + smaller]
            flat = F.linear(centre.flatten(1), self.matrices[f"{larger}to{smaller}"])
            weight = flat.view(-1, 1, smaller, smaller)
        return weight


class ElasticMBConv(nn.Module):
    """An inverted bottleneck whose kernel and inner width can be chosen at each call."""

    def __init__(self, spec: dict[str, Any], kernels: tuple[int, ...]) -> None:
        """`spec` is the layer's largest block."""
        super().__init__()
        largest = MBConv(spec)
        self.expand, self.depthwise = largest.expand, largest.depthwise
        self.se, self.project = largest.se, largest.project
        self.kernel_transform = ElasticKernel(kernels)
        self.stride, self.residual = spec["stride"], spec["residual"]
        self.has_se = bool(spec["se_channels"])

    def forward(self, x: Tensor, block: Block) -> Tensor:
        """Act as `block`, which differs from the largest in kernel and inner width alone."""
        mid, kernel = block.mid_channels, block.kernel
        y = F.conv2d(x, self.expand[0].weight[:mid])
        y = self.expand[2](batch_norm(y, self.expand[1]))
        weight = self.kernel_transform(self.depthwise[0].weight[:mid], kernel)
        y = F.conv2d(y, weight, stride=self.stride, padding=kernel // 2, groups=mid)
        y = self.depthwise[2](batch_norm(y, self.depthwise[1]))
        if self.has_se:
            y = y * self._attention(y, mid, block.se_channels)
        y = F.conv2d(y, self.project[0].weight[:, :mid])
        y = batch_norm(y, self.project[1])
        return x + y if self.residual else y

    def _attention(self, y: Tensor, mid: int, squeezed: int) -> Tensor:
        reduce, expand = self.se.reduce, self.se.expand
        pooled = y.mean((2, 3), keepdim=True)
        z = F.relu(F.conv2d(pooled, reduce.weight[:squeezed, :mid], reduce.bias[:squeezed]))
        return F.hardsigmoid(F.conv2d(z, expand.weight[:mid, :squeezed], expand.bias[:mid]))

    @torch.no_grad()
    def cut(self, target: MBConv) -> None:
        """Give the static layer `target`, of any width and kernel, the weights it shares."""
        mid, _, kernel, _ = target.depthwise[0].weight.shape
        weight = self.kernel_transform(self.depthwise[0].weight[:mid], kernel)
        target.depthwise[0].weight.copy_(weight)
        source = self.state_dict()
        for name, value in target.state_dict().items():
            if name != "depthwise.0.weight":
                value.copy_(source[name][tuple(slice(size) for size in value.shape)])

    @torch.no_grad()
    def sort_channels(self) -> None:
        """Put the inner channels in order of importance, the L1 norm of what projects them.

        The largest network computes the same as before; narrower ones keep the best channels.
        """
        order = self.project[0].weight.abs().sum((0, 2, 3)).argsort(descending=True, stable=True)
        _permute(self.expand, order)
        _permute(self.depthwise, order)
        self.project[0].weight.copy_(self.project[0].weight[:, order])
        if self.has_se:
            reduce, expand = self.se.reduce, self.se.expand
            reduce.weight.copy_(reduce.weight[:, order])
            expand.weight.copy_(expand.weight[order])
            expand.bias.copy_(expand.bias[order])
            inner = expand.weight.abs().sum((0, 2, 3)).argsort(descending=True, stable=True)
            expand.weight.copy_(expand.weight[:, inner])
            reduce.weight.copy_(reduce.weight[inner])
            reduce.bias.copy_(reduce.bias[inner])


def _permute(layer: nn.Module, order: Tensor) -> None:
    """Reorder the output channels of a convolution with batch norm."""
    for name, value in layer.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            value.copy_(value[order])
