"""Kernels for LiteRT that known networks have seldom, or never by themselves, on maps of theirs."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from harness.runtimes.conversion.kernel_tflite import PADS
from harness.spaces.kernel import Kernel, Tensor
from harness.spaces.kernel_of_tflite import PAIRED, TFLITE

UNARY = (
    *("RELU", "RELU6", "LEAKY_RELU", "HARD_SWISH", "LOGISTIC", "TANH", "GELU", "ELU"),
    *("ABS", "NEG", "SQUARE", "SQRT", "RSQRT", "EXP", "LOG"),
)
EACH, SEED = 16, 909  # kernels of an operator
ROUNDS = 4  # of so many kernels of what networks have with any numbers of channels
GROUPS = (2, 3, 4, 8, 16, 32)
LARGEST = 1 << 21  # numbers of a map
WINDOWS = (5, 7, 9, 11)
ALPHA = (("alpha", "0.1"),)


def on_maps(kernels: Iterable[Kernel]) -> Iterator[Kernel]:
    """Each operator on some maps, depthwise convolutions with large windows, and what is seldom
    with any numbers of channels."""
    random = np.random.default_rng(SEED)
    known = sorted(kernels)
    shapes = {shape for each in known if len(shape := each.output_shape) == 4 and shape[1] > 1}
    maps = [
        shape for shape in sorted(shapes) if prod(shape) <= LARGEST and shape[1] == shape[2] & ~1
    ]

    def some() -> Iterator[Tensor]:
        for place in random.permutation(len(maps))[:EACH]:
            yield Tensor("float32", maps[int(place)])

    for op in UNARY:
        settings = ALPHA if op == "LEAKY_RELU" else ()
        yield from (Kernel(f"{TFLITE}{op}", (each,), (each,), settings) for each in some())
    for make in _MAKERS:
        yield from map(make, some())
    for op in PAIRED:
        for each in some():
            for other in (each, Tensor("float32", (), True)):
                yield Kernel(f"{TFLITE}{op}", (each, other), (each,))
    depthwise = [each for each in known if each.op == f"{TFLITE}DEPTHWISE_CONV_2D"]
    padded = [k for k in depthwise if "padding" not in k.settings or PADS in k.settings]
    for _ in range(8 * EACH):
        yield _wider(_one(padded, random), int(random.choice(WINDOWS)))
    grouped = [each for each in known if each.variant == f"{TFLITE}CONV_2D-grouped"]
    dense = [each for each in known if each.variant == f"{TFLITE}CONV_2D-dense"]
    drawn: list[Kernel] = []
    for _ in range(ROUNDS):
        drawn += [_narrowed(_one(depthwise, random), random) for _ in range(EACH)]
        drawn += [_regrouped(_one(grouped, random), random) for _ in range(EACH)]
        drawn += [_rechannelled(_one(dense, random), random) for _ in range(EACH)]
        drawn += [make(each, random) for each in some() for make in (_joined, _cut)]
    yield from (each for each in drawn if each.outputs[0].size <= LARGEST)


def _wider(kernel: Kernel, window: int) -> Kernel:
    first, weights, *held = kernel.inputs
    assert weights is not None
    wide = replace(weights, shape=(1, window, window, weights.shape[-1]))
    pads = ",".join([str(window // 2)] * 4)
    attributes = tuple((name, pads if name == PADS else text) for name, text in kernel.attributes)
    return replace(kernel, inputs=(first, wide, *held), attributes=attributes)


def _one(kernels: Sequence[Kernel], random: np.random.Generator) -> Kernel:
    return kernels[int(random.integers(len(kernels)))]


def _channels(random: np.random.Generator, most: int = 512) -> int:
    """From 4 on, even, of all orders alike."""
    return 2 * int(2 ** random.uniform(1, np.log2(most / 2)))


def _with(tensor: Tensor | None, channels: int) -> Tensor:
    assert tensor is not None
    return replace(tensor, shape=(*tensor.shape[:-1], channels))


def _narrowed(kernel: Kernel, random: np.random.Generator) -> Kernel:
    channels = _channels(random)
    inputs = tuple(_with(each, channels) for each in kernel.inputs)
    return replace(kernel, inputs=inputs, outputs=(_with(kernel.outputs[0], channels),))


def _regrouped(kernel: Kernel, random: np.random.Generator) -> Kernel:
    first, weights, *held = kernel.inputs
    assert weights is not None
    groups, into, out = int(random.choice(GROUPS)), _channels(random, 64), _channels(random, 64)
    window = (1, 1) if "pads" not in kernel.settings and random.random() < 0.5 else (3, 3)
    weights = replace(weights, shape=(groups * out, *window, into))
    inputs = (_with(first, groups * into), weights, *(_with(each, groups * out) for each in held))
    return replace(kernel, inputs=inputs, outputs=(_with(kernel.outputs[0], groups * out),))


def _rechannelled(kernel: Kernel, random: np.random.Generator) -> Kernel:
    first, weights, *held = kernel.inputs
    assert weights is not None
    into, out = _channels(random, 256), _channels(random, 256)
    weights = replace(weights, shape=(out, *weights.shape[1:3], into))
    inputs = (_with(first, into), weights, *(_with(each, out) for each in held))
    return replace(kernel, inputs=inputs, outputs=(_with(kernel.outputs[0], out),))


def _joined(each: Tensor, random: np.random.Generator) -> Kernel:
    parts = [_channels(random) for _ in range(random.choice((2, 2, 3, 4)))]
    given = tuple(_with(each, part) for part in parts)
    return Kernel(f"{TFLITE}CONCATENATION", given, (_with(each, sum(parts)),), (("axis", "3"),))


def _cut(each: Tensor, random: np.random.Generator) -> Kernel:
    """Some channels of it, the first or the last."""
    kept, others = _channels(random), _channels(random)
    first = int(random.choice((0, others)))
    sizes = (_whole(0, 0, 0, first), _whole(*each.shape[:3], kept))
    return Kernel(f"{TFLITE}SLICE", (_with(each, kept + others), *sizes), (_with(each, kept),))


def _whole(*values: int, shape: tuple[int, ...] = ()) -> Tensor:
    return Tensor("int32", shape or (len(values),), True, tuple(map(str, values)))


def _of(each: Tensor, *shape: int) -> tuple[Tensor, ...]:
    return (replace(each, shape=shape),)


def _prelu(each: Tensor) -> Kernel:
    alpha = Tensor("float32", (1, 1, each.shape[-1]), True)
    return Kernel(f"{TFLITE}PRELU", (each, alpha), (each,))


def _padded(each: Tensor) -> Kernel:
    _, height, width, channels = each.shape
    pads = _whole(0, 0, 1, 1, 1, 1, 0, 0, shape=(4, 2))
    return Kernel(f"{TFLITE}PAD", (each, pads), _of(each, 1, height + 2, width + 2, channels))


def _with_channels(each: Tensor) -> Kernel:
    _, height, width, channels = each.shape
    pads = _whole(0, 0, 0, 0, 0, 0, 0, channels, shape=(4, 2))
    return Kernel(f"{TFLITE}PAD", (each, pads), _of(each, 1, height, width, 2 * channels))


def _resized(op: str) -> Callable[[Tensor], Kernel]:
    def make(each: Tensor) -> Kernel:
        _, height, width, channels = each.shape
        sizes, out = _whole(2 * height, 2 * width), (1, 2 * height, 2 * width, channels)
        settings = (("halfPixelCenters", "1"),)
        return Kernel(f"{TFLITE}{op}", (each, sizes), _of(each, *out), settings)

    return make


def _strided(each: Tensor) -> Kernel:
    _, height, width, channels = each.shape
    ends = (_whole(0, 0, 0, 0), _whole(*each.shape), _whole(1, 2, 2, 1))
    out = _of(each, 1, height // 2, width // 2, channels)
    return Kernel(f"{TFLITE}STRIDED_SLICE", (each, *ends), out)


def _reduced(op: str) -> Callable[[Tensor], Kernel]:
    def make(each: Tensor) -> Kernel:
        settings = (("keepDims", "1"), ("options", "ReducerOptions"))
        out = _of(each, 1, 1, 1, each.shape[-1])
        return Kernel(f"{TFLITE}{op}", (each, _whole(1, 2)), out, settings)

    return make


def _pooled(op: str) -> Callable[[Tensor], Kernel]:
    def make(each: Tensor) -> Kernel:
        _, height, width, channels = each.shape
        sizes = {"filterHeight": 3, "filterWidth": 3, "strideH": 2, "strideW": 2}
        told = sorted([*((name, str(n)) for name, n in sizes.items()), ("options", _POOLING)])
        out = _of(each, 1, height // 2, width // 2, channels)
        return Kernel(f"{TFLITE}{op}", (each,), out, tuple(told))

    return make


_POOLING = "Pool2DOptions"
_MAKERS = (
    _prelu,
    _padded,
    _with_channels,
    _strided,
    *map(_resized, ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR")),
    *map(_reduced, ("SUM", "REDUCE_MAX", "MEAN")),
    *map(_pooled, ("MAX_POOL_2D", "AVERAGE_POOL_2D")),
)
