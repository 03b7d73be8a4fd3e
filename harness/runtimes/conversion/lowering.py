"""Our layers as operators of a .tflite file, channels last: the operators that litert-torch makes.

It traces every network anew, 2 s a block; what comes out follows from the layers by these rules.
`faithful.py` compares.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import nn

from harness.networks import layers
from harness.networks.build import input_shape
from harness.runtimes.conversion.flatbuffer import Writer
from harness.runtimes.conversion.source import Source

Floats = npt.NDArray[np.float32]

Act = schema.ActivationFunctionType
FUSED = {nn.Identity: Act.NONE, nn.ReLU: Act.RELU, nn.ReLU6: Act.RELU6}
VALID, SAME = schema.Padding.VALID, schema.Padding.SAME


class UnknownLayerError(Exception):
    """No rule here says what becomes of a layer."""


def lowered(source: Source, batch: int) -> bytes:
    """The file of a network.

    Raises:
        UnknownLayerError: it has a layer that is none of `layers.py`.
    """
    shape = input_shape(source.blocks, batch)
    if len(shape) != 4:
        raise UnknownLayerError(f"{source.blocks[0].kind}, which takes no maps")
    writer = Writer((batch, *shape[2:], shape[1]))
    with torch.no_grad():
        return writer.file(_layer(writer, source.network, writer.input))


def _layer(writer: Writer, layer: nn.Module, x: int) -> int:
    rule = _RULES.get(type(layer))
    if rule is None:
        raise UnknownLayerError(type(layer).__name__)
    return rule(writer, layer, x)


def _sequential(writer: Writer, sequence: nn.Sequential, x: int) -> int:
    """A convolution takes in the batch norm behind it, and the activation where it can; pooling
    before a classifier gives what that takes."""
    rest = list(sequence)
    while rest:
        layer = rest.pop(0)
        if isinstance(layer, nn.Conv2d):
            norm: nn.Module | None = None
            if rest and isinstance(rest[0], nn.BatchNorm2d):
                norm, *rest = rest
            fused = FUSED[type(rest.pop(0))] if rest and type(rest[0]) in FUSED else Act.NONE
            x = _convolution(writer, x, layer, *_folded(layer, norm), fused)
        elif isinstance(layer, nn.AdaptiveAvgPool2d) and rest and _is_classifier(rest[0]):
            x = _flat_mean(writer, x)
        else:
            x = _layer(writer, layer, x)
    return x


def _folded(layer: nn.Conv2d, norm: Any) -> tuple[Floats, Floats]:
    """Weights [out, height, width, in] and biases, with the batch norm in them.

    By NumPy: torch's square root is off by the last bit now and then.
    """
    weight: Floats = layer.weight.numpy().transpose(0, 2, 3, 1)
    bias = np.zeros(len(weight), np.float32) if layer.bias is None else layer.bias.numpy()
    if norm is None:
        return weight, bias
    gain, scale = norm.weight.numpy(), 1 / np.sqrt(norm.running_var.numpy() + np.float32(norm.eps))
    shift = (bias - norm.running_mean.numpy()) * scale * gain + norm.bias.numpy()
    return weight * scale[:, None, None, None] * gain[:, None, None, None], shift


def _convolution(
    writer: Writer, x: int, layer: nn.Conv2d, weight: Floats, bias: Floats, fused: int
) -> int:
    kernel, stride, pad = layer.kernel_size[0], layer.stride[0], int(layer.padding[0])
    batch, *before, inner = writer.shape(x)
    after = [(size + 2 * pad - kernel) // stride + 1 for size in before]
    x, padding = _padded(writer, x, kernel, stride, pad)
    shape = (batch, *after, layer.out_channels)
    options = {
        "padding": padding,
        "strideW": stride,
        "strideH": stride,
        "fusedActivationFunction": fused,
        "dilationWFactor": 1,
        "dilationHFactor": 1,
    }
    if layer.groups == inner:
        inputs = (x, writer.constant(weight.transpose(3, 1, 2, 0)), writer.constant(bias))
        options |= {"depthMultiplier": layer.out_channels // inner}
        depthwise = schema.DepthwiseConv2DOptionsT(**options)
        return writer.add("DEPTHWISE_CONV_2D", inputs, shape, depthwise)
    if layer.groups != 1:
        raise UnknownLayerError(f"a convolution in {layer.groups} groups")
    inputs = (x, writer.constant(weight), writer.constant(bias))
    return writer.add("CONV_2D", inputs, shape, schema.Conv2DOptionsT(**options))


def _padded(
    writer: Writer, x: int, kernel: int, stride: int, pad: int, filling: float = 0.0
) -> tuple[int, int]:
    """The map for a sliding window, and what the window's operator has to pad.

    torch pads all sides alike. Where TFLite's "same", which pads as little as it can, would not,
    an operator of its own does.
    """
    batch, height, width, channels = writer.shape(x)
    least = [(-(-size // stride) - 1) * stride + kernel - size for size in (height, width)]
    if not pad:
        return x, VALID
    if least == [2 * pad, 2 * pad]:
        return x, SAME
    pads = writer.constant(np.array([[0, 0], [pad, pad], [pad, pad], [0, 0]], np.int32))
    shape = (batch, height + 2 * pad, width + 2 * pad, channels)
    if filling:
        inputs = (x, pads, writer.constant(np.array(filling, np.float32)))
        return writer.add("PADV2", inputs, shape, schema.PadV2OptionsT()), VALID
    return writer.add("PAD", (x, pads), shape, schema.PadOptionsT()), VALID


def _mbconv(writer: Writer, layer: Any, x: int) -> int:
    y = x
    for part in (layer.expand, layer.depthwise, layer.se, layer.project):
        y = _layer(writer, part, y)
    return _sum(writer, x, y) if layer.residual else y


def _residual(writer: Writer, layer: Any, x: int) -> int:
    return _sum(writer, x, _layer(writer, layer.layer, x))


def _bottleneck(writer: Writer, layer: Any, x: int) -> int:
    y = x
    for part in (layer.reduce, layer.conv, layer.expand):
        y = _layer(writer, part, y)
    shortcut = _layer(writer, layer.shortcut, _layer(writer, layer.pool, x))
    if type(layer.act) in FUSED:
        return _sum(writer, y, shortcut, FUSED[type(layer.act)])
    return _layer(writer, layer.act, _sum(writer, y, shortcut))


def _squeeze(writer: Writer, layer: Any, x: int) -> int:
    y = _layer(writer, layer.pool, x)
    y = _layer(writer, nn.Sequential(layer.reduce, layer.act), y)
    if isinstance(layer.gate, nn.Hardsigmoid):
        weight, bias = _folded(layer.expand, None)
        # relu6(y + 3) / 6
        y = _convolution(writer, y, layer.expand, weight, bias + np.float32(3), Act.RELU6)
        y = _product(writer, y, writer.constant(np.array(1 / 6, np.float32)))
    else:
        y = _layer(writer, nn.Sequential(layer.expand, layer.gate), y)
    return _product(writer, x, y)


def _sum(writer: Writer, x: int, y: int, fused: int = Act.NONE) -> int:
    options = schema.AddOptionsT(fusedActivationFunction=fused)
    return writer.add("ADD", (x, y), writer.shape(x), options)


def _product(writer: Writer, x: int, y: int) -> int:
    return writer.add("MUL", (x, y), writer.shape(x), schema.MulOptionsT())


def _hard_swish(writer: Writer, _layer: nn.Module, x: int) -> int:
    return writer.add("HARD_SWISH", (x,), writer.shape(x))


def _sigmoid(writer: Writer, _layer: nn.Module, x: int) -> int:
    return writer.add("LOGISTIC", (x,), writer.shape(x))


def _swish(writer: Writer, layer: nn.Module, x: int) -> int:
    return _product(writer, x, _sigmoid(writer, layer, x))


def _same(_writer: Writer, _layer: nn.Module, x: int) -> int:
    return x


def _mean(writer: Writer, _layer: nn.Module, x: int) -> int:
    batch, height, width, channels = writer.shape(x)
    if height == width == 1:
        return x
    options = schema.ReducerOptionsT(keepDims=True)
    return writer.add("MEAN", (x, _pixels(writer)), (batch, 1, 1, channels), options)


def _flat_mean(writer: Writer, x: int) -> int:
    batch, height, width, channels = writer.shape(x)
    operator = "SUM" if height == width == 1 else "MEAN"
    inputs, options = (x, _pixels(writer)), schema.ReducerOptionsT(keepDims=False)
    return writer.add(operator, inputs, (batch, channels), options)


def _pixels(writer: Writer) -> int:
    """Over what a mean is taken."""
    return writer.constant(np.array([2, 1], np.int32))


def _is_classifier(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Sequential) and isinstance(layer[0], nn.Flatten)


def _maximum(writer: Writer, layer: Any, x: int) -> int:
    batch, *before, channels = writer.shape(x)
    kernel, stride, pad = layer.kernel_size, layer.stride, layer.padding
    after = [(size + 2 * pad - kernel) // stride + 1 for size in before]
    x, padding = _padded(writer, x, kernel, stride, pad, filling=-np.inf)
    window = schema.Pool2DOptionsT(padding, stride, stride, kernel, kernel)
    return writer.add("MAX_POOL_2D", (x,), (batch, *after, channels), window)


def _average(writer: Writer, layer: Any, x: int) -> int:
    """Windows side by side; those over the edge are of what is there."""
    batch, *before, channels = writer.shape(x)
    size = layer.kernel_size
    after = [-(-each // size) for each in before]
    over = [each * size - given for each, given in zip(after, before, strict=True)]
    if any(over):
        pads = writer.constant(np.array([[0, 0], [0, over[0]], [0, over[1]], [0, 0]], np.int32))
        shape = (batch, *(each * size for each in after), channels)
        x = writer.add("PAD", (x, pads), shape, schema.PadOptionsT())
    window = schema.Pool2DOptionsT(VALID, size, size, size, size)
    x = writer.add("AVERAGE_POOL_2D", (x,), (batch, *after, channels), window)
    if any(over):
        down, right = (np.full(each, size, np.float32) for each in after)
        down[-1] -= over[0]
        right[-1] -= over[1]
        shares = size * size / (down[:, None] * right)
        x = _product(writer, x, writer.constant(shares.reshape(1, *after, 1)))
    return x


def _flat(writer: Writer, _layer: nn.Module, x: int) -> int:
    """Of one image the classifier takes [1, 1, 1, channels] as it is."""
    batch, *pixels, channels = writer.shape(x)
    if pixels not in ([], [1, 1]):
        raise UnknownLayerError("a classifier of more than one pixel")
    if batch == 1 or not pixels:
        return x
    shape = writer.constant(np.array([batch, channels], np.int32))
    return writer.add("RESHAPE", (x, shape), (batch, channels))


def _linear(writer: Writer, layer: nn.Linear, x: int) -> int:
    weight, bias = (writer.constant(each.numpy()) for each in (layer.weight, layer.bias))
    flat = len(writer.shape(x)) == 2
    options = schema.FullyConnectedOptionsT(keepNumDims=flat)
    shape = (writer.shape(x)[0], layer.out_features)
    return writer.add(
        "FULLY_CONNECTED", (x, weight, bias), shape, options, version=5 if flat else 1
    )


_RULES: dict[type[nn.Module], Callable[[Writer, Any, int], int]] = {
    nn.Sequential: _sequential,
    layers.MBConv: _mbconv,
    layers.Residual: _residual,
    layers.Bottleneck: _bottleneck,
    layers.SqueezeExcite: _squeeze,
    nn.Identity: _same,
    nn.Hardswish: _hard_swish,
    nn.SiLU: _swish,
    nn.Sigmoid: _sigmoid,
    nn.AdaptiveAvgPool2d: _mean,
    nn.MaxPool2d: _maximum,
    nn.AvgPool2d: _average,
    nn.Flatten: _flat,
    nn.Linear: _linear,
}
