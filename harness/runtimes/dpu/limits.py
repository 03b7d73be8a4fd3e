"""What a DPU cannot run: operators that it does not have, and buffers that do not suffice."""

from collections.abc import Iterator
from math import ceil

from harness.errors import Infeasible
from harness.runtimes.dpu.architecture import MOST_CHANNELS, Dpu
from harness.spaces.block import Block
from harness.spaces.convolution import Convolution, convolutions

ACTIVATIONS = ("none", "relu", "relu6", "h_swish")


def check(dpu: Dpu, block: Block) -> None:
    """Raises Infeasible, with the arithmetic, where the DPU cannot run the block."""
    (block,) = convolutions([block])
    if block.act not in ACTIVATIONS:
        raise Infeasible(f"no operator: {block.act} is not one of {', '.join(ACTIVATIONS)}")
    for needed, available, what in _demands(dpu, block):
        if needed > available:
            raise Infeasible(f"{what} = {needed}, and there are {available}")


def _demands(dpu: Dpu, block: Convolution) -> Iterator[tuple[int, int, str]]:
    """What each layer needs of a buffer, what there is of it, and how that is counted.

    Channels and kernels of convolutions: UG1414, "Currently Supported Operators" (what it says of
    depthwise ones does not hold: a measured 7x7 of 1152 channels is beyond it). Rows are our
    assumption, that maps are not tiled by columns: the array computes `pixel_parallel` rows at
    once, all input channels of which lie in one bank group; a depthwise convolution needs those of
    `alu_rows`, one word of channels after the other.
    """
    size = dpu.architecture
    most = MOST_CHANNELS * size.channel_parallel
    for channels in (block.in_channels, block.mid_channels, block.out_channels):
        yield channels, most, "too many channels: channels"
    for width, channels, kernel, stride in _convolutions(block):
        words = dpu.channel_words(channels)
        counted = f"too large a kernel: words of weights, {kernel} x {kernel} x {words}"
        yield kernel**2 * words, dpu.bank_depth, counted
        rows = ceil(((size.pixel_parallel - 1) * stride + kernel) / size.pixel_parallel)
        counted = (
            f"out of BRAM: words of input rows, {rows} x {width} wide x {words} words of "
            f"{channels} channels"
        )
        yield rows * width * words, dpu.bank_depth, counted
    if block.kind == "mbconv":
        rows = ceil(((size.alu_rows - 1) * block.stride + block.kernel) / size.pixel_parallel)
        counted = f"out of BRAM: words of depthwise rows, {rows} x {block.width} wide"
        yield rows * block.width, dpu.bank_depth, counted


def _convolutions(block: Convolution) -> Iterator[tuple[int, int, int, int]]:
    """Input width and channels, kernel and stride of each layer on the array."""
    if block.kind in ("pool", "maxpool"):
        return
    if block.kind not in ("mbconv", "bottleneck"):
        yield block.width, block.in_channels, block.kernel, block.stride
        return
    if block.kind == "bottleneck" or block.mid_channels != block.in_channels:
        yield block.width, block.in_channels, 1, 1
    if block.kind == "bottleneck":
        yield block.width, block.mid_channels, block.kernel, block.stride
    yield block.out_width, block.mid_channels, 1, 1
