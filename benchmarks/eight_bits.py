"""Kernels of 8 bits for LiteRT, from those of floats: as small networks for microcontrollers have
them, with fewer channels, smaller maps and larger windows."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from harness.runtimes.conversion.kernel_tflite import PER_CHANNEL
from harness.spaces.kernel import Kernel, Tensor
from harness.spaces.kernel_of_tflite import TFLITE

RESIZED = ("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MUL")
AS_THEY_ARE = ("AVERAGE_POOL_2D", "MAX_POOL_2D", "MEAN", "SOFTMAX", "LOGISTIC", "PAD", "TRANSPOSE")
SHARES = (1, 1 / 2, 1 / 4, 1 / 8)  # of channels, and of maps
WINDOWS = (3, 3, 5, 7)
EACH, SEED = 60, 808  # kernels of an operator


def of_8_bits(kernels: Iterable[Kernel]) -> Iterator[Kernel]:
    """Some of each operator that quantised networks have."""
    random = np.random.default_rng(SEED)
    by_name: dict[str, list[Kernel]] = {}
    for kernel in sorted(kernels):
        if kernel.op == f"{TFLITE}{kernel.name}" and kernel.form.groups in (1, _channels(kernel)):
            by_name.setdefault(kernel.name, []).append(kernel)
    for name in (*RESIZED, "FULLY_CONNECTED", *AS_THEY_ARE):
        found = by_name.get(name, [])
        for number in random.permutation(len(found))[: EACH * (4 if name == "CONV_2D" else 1)]:
            kernel = found[int(number)]
            yield _quantised(_smaller(kernel, random) if name in RESIZED else kernel)
    for kernel in by_name.get("ADD", [])[:EACH]:
        yield from _converting(_smaller(kernel, random).outputs[0])


def _channels(kernel: Kernel) -> int:
    return kernel.output_shape[-1] if kernel.output_shape else 1


def _smaller(kernel: Kernel, random: np.random.Generator) -> Kernel:
    channels, maps = random.choice(SHARES, 2)
    shapes = [each.shape for each in (*kernel.given, *kernel.outputs)]
    if any(len(shape) != 4 for shape in shapes):
        return kernel
    if any(size * maps != int(size * maps) for shape in shapes for size in shape[1:3]):
        maps = 1.0
    window = random.choice(WINDOWS)

    def fewer(size: int) -> int:
        return max(1, round(size * channels)) if size > 4 else size

    def of(tensor: Tensor) -> Tensor:
        if tensor.values or not tensor.shape:
            return tensor
        first, *middle, last = tensor.shape if len(tensor.shape) > 1 else (1, tensor.shape[0])
        if not tensor.constant:
            middle = [max(1, int(size * maps)) for size in middle]
        elif kernel.name == "DEPTHWISE_CONV_2D" and "padding" not in kernel.settings:
            middle = [int(window) for _ in middle]
        elif kernel.name not in RESIZED[:2]:
            middle = [max(1, int(size * maps)) for size in middle]
        if len(tensor.shape) == 1:
            return replace(tensor, shape=(fewer(last),))
        return replace(tensor, shape=(fewer(first), *middle, fewer(last)))

    inputs = tuple(None if each is None else of(each) for each in kernel.inputs)
    return replace(kernel, inputs=inputs, outputs=tuple(map(of, kernel.outputs)))


def _quantised(kernel: Kernel) -> Kernel:
    def of(place: int, tensor: Tensor | None) -> Tensor | None:
        if tensor is None or tensor.dtype != "float32":
            return tensor
        is_bias = tensor.constant and place == 2
        return replace(tensor, dtype="int32" if is_bias else "int8")

    inputs = tuple(of(place, each) for place, each in enumerate(kernel.inputs))
    outputs = tuple(replace(each, dtype="int8") for each in kernel.outputs)
    attributes = dict(kernel.attributes)
    if "CONV" in kernel.name:
        attributes[PER_CHANNEL] = "1"
    op = f"{TFLITE}int8.{kernel.name}"
    return Kernel(op, inputs, outputs, tuple(sorted(attributes.items())))


def _converting(tensor: Tensor) -> Iterator[Kernel]:
    quantised = replace(tensor, dtype="int8")
    yield Kernel(f"{TFLITE}int8.QUANTIZE", (tensor,), (quantised,))
    yield Kernel(f"{TFLITE}int8.DEQUANTIZE", (quantised,), (tensor,))
