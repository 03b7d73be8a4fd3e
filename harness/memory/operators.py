"""Blocks as the operators of an int8 .tflite file, before there is one.

As `runtimes/conversion/tflite.py` makes them: batch norm and ReLU are part of the convolution
before them, other activations operators of their own, and what is strided over an even number of
pixels takes a padded copy of its input.
"""

from functools import lru_cache

from harness.memory.graph import INT_BYTES, Graph, Operator
from harness.spaces.block import Block
from harness.spaces.convolution import Convolution, convolutions

FUSED = ("none", "relu", "relu6")  # activations that are part of the operator before them
DIMENSIONS, AXES = 4, 2  # of what is averaged


@lru_cache(maxsize=1 << 16)
def graph_of(each: Block) -> Graph:
    """One block as operators; its input is the first map, its output the last.

    Raises:
        Infeasible: it is none of a convolutional network.
    """
    (block,) = convolutions([each])
    writer = _Writer((block.height, block.width, block.in_channels))
    if block.kind == "mbconv":
        _mbconv(writer, block)
    elif block.kind == "bottleneck":
        _bottleneck(writer, block)
    elif block.kind == "pool":
        writer.mean()
    elif block.kind == "maxpool":
        writer.pad("PADV2", block.kernel)
        writer.resize(writer.channels, 1 + (block.height - 1) // block.stride)
        writer.add("MAX_POOL_2D")
    else:
        writer.convolve(block.out_channels, block.kernel, block.stride)
        writer.activate(block.act)
        if block.residual:
            writer.add("ADD", 0)
    return Graph(tuple(writer.sizes), tuple(writer.operators), (0,), (writer.last,))


def _mbconv(writer: "_Writer", block: Convolution) -> None:
    if block.mid_channels != block.in_channels:
        writer.convolve(block.mid_channels)
        writer.activate(block.act)
    writer.convolve(block.mid_channels, block.kernel, block.stride, depthwise=True)
    writer.activate(block.act)
    if block.se_channels:
        _squeeze_and_excite(writer, block)
    writer.convolve(block.out_channels)
    if block.residual:
        writer.add("ADD", 0)


def _squeeze_and_excite(writer: "_Writer", block: Convolution) -> None:
    maps, shape = writer.last, writer.shape
    writer.mean()
    writer.convolve(block.se_channels)
    writer.activate("swish" if block.act == "swish" else "relu")
    writer.convolve(block.mid_channels)
    # A hard sigmoid is a ReLU, part of the convolution, times a constant.
    writer.add("LOGISTIC" if block.act == "swish" else "MUL")
    writer.shape = shape
    writer.add("MUL", maps)


def _bottleneck(writer: "_Writer", block: Convolution) -> None:
    writer.convolve(block.mid_channels)
    writer.activate(block.act)
    writer.convolve(block.mid_channels, block.kernel, block.stride)
    writer.activate(block.act)
    writer.convolve(block.out_channels)
    last, other = writer.last, 0
    if not block.residual:
        writer.shape = (block.height, block.width, block.in_channels)
        if block.stride > 1:
            _average(writer, block)
            writer.convolve(block.out_channels)
        else:
            writer.convolve(block.out_channels, of=0)
        other = writer.last
    writer.add("ADD", other, of=last)
    writer.activate(block.act)


def _average(writer: "_Writer", block: Convolution) -> None:
    """Of the block's input, over as many pixels as its stride."""
    size = -(-block.height // block.stride)
    odd = size * block.stride != block.height
    if odd:
        writer.resize(block.in_channels, size * block.stride)
        writer.add("PAD", of=0)
    writer.resize(block.in_channels, size)
    writer.add("AVERAGE_POOL_2D", of=None if odd else 0)
    if odd:
        writer.add("MUL")  # at the border it was of fewer pixels


class _Writer:
    """A graph that grows by one operator after the other, each of the last map unless another
    is given."""

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self.shape = shape  # height, width, channels of the last map
        self.sizes = [self._size]
        self.operators: list[Operator] = []

    @property
    def last(self) -> int:
        return len(self.sizes) - 1

    @property
    def channels(self) -> int:
        return self.shape[2]

    @property
    def _size(self) -> int:
        height, width, channels = self.shape
        return height * width * channels

    def resize(self, channels: int, size: int) -> None:
        """What the next operator puts out; maps are as wide as high."""
        self.shape = (size, size, channels)

    def add(
        self,
        kind: str,
        *others: int,
        of: int | None = None,
        scratch: tuple[int, ...] = (),
        weights: int = 0,
        channels: int = 0,
    ) -> None:
        inputs = (self.last if of is None else of, *others)
        self.sizes.append(self._size)
        self.operators.append(Operator(kind, inputs, (self.last,), scratch, weights, channels))

    def convolve(
        self,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        depthwise: bool = False,
        of: int | None = None,
    ) -> None:
        size, _, before = self.shape
        if stride > 1 and not size % stride:
            # TFLite pads such maps at one side more than at the other, torch at both alike.
            self.pad("PAD", kernel)
            of = None
        self.resize(channels, (size - 1) // stride + 1)
        kind = "DEPTHWISE_CONV_2D" if depthwise else "CONV_2D"
        weights = kernel**2 * channels * (1 if depthwise else before)
        self.add(kind, of=of, weights=weights, channels=channels)

    def pad(self, kind: str, kernel: int) -> None:
        self.resize(self.channels, self.shape[0] + kernel // 2 * 2)
        self.add(kind)

    def activate(self, act: str) -> None:
        if act == "swish":
            self.add("LOGISTIC")
            self.add("MUL", self.last - 1)
        elif act not in FUSED:
            self.add("HARD_SWISH")

    def mean(self) -> None:
        self.resize(self.channels, 1)
        self.add("MEAN", scratch=tuple(INT_BYTES * n for n in (self.channels, DIMENSIONS, AXES)))
