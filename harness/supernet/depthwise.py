"""A depthwise convolution that trains fast on CPUs.

The gradient of large depthwise filters is most of a training step there: oneDNN has fast code for
filters of up to three columns and takes one for grouped convolutions otherwise, several times
slower. A filter's columns are independent of each other, so we take their gradients in parts.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def depthwise_conv(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """Convolve [n, channels, h, w] with a filter [channels, 1, k, k] each, padded by k // 2."""
    kernel = weight.shape[-1]
    if x.device.type != "cpu" or kernel <= 3:
        return F.conv2d(x, weight, None, stride, kernel // 2, groups=len(weight))
    if torch.is_autocast_enabled("cpu"):
        dtype = torch.get_autocast_dtype("cpu")
        x, weight = x.to(dtype), weight.to(dtype)
    y: Tensor = _InColumns.apply(x, weight, stride)  # type: ignore[no-untyped-call]
    return y


class _InColumns(torch.autograd.Function):
    """The convolution, with the gradient of three or two columns of the filters at a time."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, stride: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride = stride
        return F.conv2d(x, weight, None, stride, weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    def backward(ctx: Any, dy: Tensor) -> tuple[Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        kernel = weight.shape[-1]
        edge = kernel // 2
        dx, _ = _gradients(dy, x, weight, ctx.stride, edge, (True, False))
        columns, start = [], 0
        for width in (3, *[2] * ((kernel - 3) // 2)):
            end = start + width
            # What these columns see of the padded images; a negative padding cuts off.
            seen = F.pad(x, (edge - start, edge - (kernel - end), edge, edge))
            part = weight[..., start:end]
            columns.append(_gradients(dy, seen, part, ctx.stride, 0, (False, True))[1])
            start = end
        return dx, torch.cat(columns, dim=3), None


def _gradients(
    dy: Tensor, x: Tensor, weight: Tensor, stride: int, padding: int, wanted: tuple[bool, bool]
) -> tuple[Tensor, Tensor]:
    """Of a depthwise convolution: with respect to its images, to its filters."""
    dx, dweight, _ = torch.ops.aten.convolution_backward(
        dy,
        x,
        weight,
        None,
        [stride, stride],
        [padding, padding],
        [1, 1],
        False,
        [0, 0],
        len(weight),
        [*wanted, False],
    )
    return dx, dweight
