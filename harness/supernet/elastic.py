"""Layers that can act with fewer channels or a smaller kernel (Cai et al., ICLR 2020, section 3.2).

Each holds the weights of its largest form; a smaller form uses their leading channels. They have
the names and shapes of `networks.layers`, so that a sub-network is cut out by slicing.
"""

from collections.abc import Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.networks.layers import MBConv, make_layer
from harness.spaces.convolution import Convolution
from harness.supernet.depthwise import depthwise_conv


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


def conv_bn(x: Tensor, layer: nn.Module, out: int) -> Tensor:
    """A convolution with batch norm and activation, with its leading `out` output channels."""
    conv, bn, act = layer.children()
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(bn, nn.BatchNorm2d)
    y = F.conv2d(x, conv.weight[:out, : x.shape[1]], None, conv.stride, conv.padding)
    z: Tensor = act(batch_norm(y, bn))
    return z


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


class Elastic(nn.Module):
    """A layer that can act as any block of its place; `largest` holds the weights."""

    def __init__(self, spec: dict[str, Any]) -> None:
        """`spec` is the place's largest block."""
        super().__init__()
        self.largest = make_layer(spec)

    def forward(self, x: Tensor, _block: Any) -> Tensor:
        """Act as the block given. Without weights there is nothing to choose."""
        y: Tensor = self.largest(x)
        return y

    @torch.no_grad()
    def cut(self, target: nn.Module) -> None:
        """Give the static layer `target` the leading channels of the weights."""
        source = self.largest.state_dict()
        for name, value in target.state_dict().items():
            value.copy_(source[name][tuple(slice(size) for size in value.shape)])

    def sort_channels(self, forms: Sequence[Any]) -> None:
        """Put inner channels in order of importance, where the layer has any.

        `forms`: what the layer was trained to act as, by rising inner width; channels stay within
        the widths that had them.
        """


class ElasticConv(Elastic):
    """A convolution with batch norm and activation: input and output channels."""

    def forward(self, x: Tensor, block: Convolution) -> Tensor:
        layer = self.largest.layer if block.residual else self.largest
        y = conv_bn(x, layer, block.out_channels)
        return x + y if block.residual else y


class ElasticLinear(Elastic):
    """The classifier: input channels."""

    dropout = 0.0  # share of them that is dropped in training; a sub-network has none

    def forward(self, x: Tensor, block: Convolution) -> Tensor:
        linear = self.largest[1]
        y = F.dropout(x.flatten(1), self.dropout, self.training)
        return F.linear(y, linear.weight[:, : block.in_channels], linear.bias)


class ElasticBottleneck(Elastic):
    """ResNet's bottleneck: input, inner and output channels."""

    def forward(self, x: Tensor, block: Convolution) -> Tensor:
        layer, mid, out = self.largest, block.mid_channels, block.out_channels
        y = conv_bn(conv_bn(x, layer.reduce, mid), layer.conv, mid)
        shortcut = x if block.residual else conv_bn(layer.pool(x), layer.shortcut, out)
        z: Tensor = layer.act(conv_bn(y, layer.expand, out) + shortcut)
        return z

    @torch.no_grad()
    def sort_channels(self, forms: Sequence[Convolution]) -> None:
        """Inner channels by the L1 norm of what expands them."""
        layer = self.largest
        widths = [block.mid_channels for block in forms]
        order = _by_importance(layer.expand[0].weight, widths)
        layer.expand[0].weight.copy_(layer.expand[0].weight[:, order])
        _permute(layer.conv, order)
        inner = _by_importance(layer.conv[0].weight, widths)
        layer.conv[0].weight.copy_(layer.conv[0].weight[:, inner])
        _permute(layer.reduce, inner)


class ElasticMBConv(Elastic):
    """An inverted bottleneck whose kernel and inner width can be chosen at each call."""

    def __init__(self, spec: dict[str, Any], kernels: tuple[int, ...]) -> None:
        super().__init__(spec)
        self.kernel_transform = ElasticKernel(kernels)

    def forward(self, x: Tensor, block: Convolution) -> Tensor:
        """Act as `block`, which differs from the largest in kernel and inner width alone."""
        layer, mid, kernel = self.largest, block.mid_channels, block.kernel
        y = x if mid == block.in_channels else conv_bn(x, layer.expand, mid)
        weight = self.kernel_transform(layer.depthwise[0].weight[:mid], kernel)
        y = depthwise_conv(y, weight, block.stride)
        y = layer.depthwise[2](batch_norm(y, layer.depthwise[1]))
        if block.se_channels:
            y = y * self._attention(y, mid, block.se_channels)
        y = conv_bn(y, layer.project, block.out_channels)
        return x + y if block.residual else y

    def _attention(self, y: Tensor, mid: int, squeezed: int) -> Tensor:
        se = self.largest.se
        pooled = y.mean((2, 3), keepdim=True)
        z = F.conv2d(pooled, se.reduce.weight[:squeezed, :mid], se.reduce.bias[:squeezed])
        z = F.conv2d(se.act(z), se.expand.weight[:mid, :squeezed], se.expand.bias[:mid])
        gates: Tensor = se.gate(z)
        return gates

    @torch.no_grad()
    def cut(self, target: nn.Module) -> None:
        """Give the static layer `target`, of any width and kernel, the weights it shares."""
        assert isinstance(target, MBConv)
        mid, _, kernel, _ = target.depthwise[0].weight.shape
        source = self.largest.state_dict()
        weight = self.kernel_transform(self.largest.depthwise[0].weight[:mid], kernel)
        source["depthwise.0.weight"] = weight
        for name, value in target.state_dict().items():
            value.copy_(source[name][tuple(slice(size) for size in value.shape)])

    @torch.no_grad()
    def sort_channels(self, forms: Sequence[Convolution]) -> None:
        """Put the inner channels in order of importance, the L1 norm of what projects them.

        The largest network computes the same as before; narrower ones keep the best channels.
        """
        layer = self.largest
        if isinstance(layer.expand, nn.Identity):
            return  # inner channels are those of the layer before
        order = _by_importance(layer.project[0].weight, [block.mid_channels for block in forms])
        _permute(layer.expand, order)
        _permute(layer.depthwise, order)
        layer.project[0].weight.copy_(layer.project[0].weight[:, order])
        if not isinstance(layer.se, nn.Identity):
            reduce, expand = layer.se.reduce, layer.se.expand
            reduce.weight.copy_(reduce.weight[:, order])
            expand.weight.copy_(expand.weight[order])
            expand.bias.copy_(expand.bias[order])
            inner = _by_importance(expand.weight, [block.se_channels for block in forms])
            expand.weight.copy_(expand.weight[:, inner])
            reduce.weight.copy_(reduce.weight[inner])
            reduce.bias.copy_(reduce.bias[inner])


def elastic_convolution(block: Convolution, kernels: tuple[int, ...]) -> Elastic:
    """The elastic layer of a place whose largest block is `block`."""
    spec = asdict(block)
    if block.kind == "mbconv":
        return ElasticMBConv(spec, kernels)
    kinds = {"conv": ElasticConv, "bottleneck": ElasticBottleneck, "linear": ElasticLinear}
    return kinds.get(block.kind, Elastic)(spec)


def _by_importance(weight: Tensor, widths: Sequence[int]) -> Tensor:
    """Input channels of a convolution, that with the largest L1 norm first, between the widths."""
    norms = weight.abs().sum((0, 2, 3))
    ends = sorted({*widths, len(norms)})
    parts = [
        start + norms[start:end].argsort(descending=True, stable=True)
        for start, end in pairwise((0, *ends))
    ]
    return torch.cat(parts)


def _permute(layer: nn.Module, order: Tensor) -> None:
    """Reorder the output channels of a convolution with batch norm."""
    for name, value in layer.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            value.copy_(value[order])
