"""How long a block takes on a DPU, and what it moves.

The model was found on blocks of OFA-MobileNetV3 measured on an Ultra96-v2; `benchmarks/
dpu_accuracy.py` says how well it holds there and what each of its parts is worth. Bottlenecks,
pooling and whole networks follow from the same engines and buffers; nobody measured those.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.runtimes.dpu.architecture import Dpu, Map
from harness.runtimes.dpu.limits import check
from harness.runtimes.dpu.timeline import Timeline
from harness.spaces.block import Block
from harness.spaces.convolution import Convolution, convolutions

IMAGE_CHANNELS = 4  # an image's three are padded to four
# Of an h_swish over a map that no bank group holds: save it; load it for the hard sigmoid and save
# that; load both for the product.
SWISH_LOADS, SWISH_SAVES = 3, 2


@dataclass(frozen=True)
class Cost:
    """What a block or network takes."""

    cycles: float
    loaded_bytes: int  # weights and feature maps
    saved_bytes: int

    @property
    def traffic_bytes(self) -> int:
        return self.loaded_bytes + self.saved_bytes


@dataclass(frozen=True)
class Edges:
    """Which ends of a block go through DDR; in a network a map may stay in its bank group."""

    load: bool = True
    save: bool = True


def block_cost(dpu: Dpu, block: Convolution, edges: Edges | None = None) -> Cost:
    """The cost of a block, alone by default: its input is loaded, its output saved.

    Raises:
        Infeasible: the DPU cannot run it.
    """
    check(dpu, block)
    line = Timeline(dpu)
    edges = edges or Edges()
    _KINDS[block.kind](line, block, edges)
    if edges.save:
        line.save(outputs_of(block))
    return Cost(line.now, line.loaded_bytes, line.saved_bytes)


def network_cost(dpu: Dpu, network: Sequence[Block]) -> Cost:
    """The cost of a network, a map staying on the chip between blocks where one group holds it.

    A block with a way around its layers reads its input twice, as the compiler has it: then the
    block before saves it nevertheless.

    Raises:
        Infeasible: the DPU cannot run one of the blocks.
    """
    blocks = convolutions(network)
    stays = [dpu.fits(outputs_of(block)) for block in blocks[:-1]]
    loads = [True, *(not stay for stay in stays)]
    followed = zip(stays, blocks[1:], strict=True)
    saves = [*(not stay or _reads_twice(after) for stay, after in followed), True]
    placed = zip(blocks, loads, saves, strict=True)
    costs = [block_cost(dpu, block, Edges(load, save)) for block, load, save in placed]
    return Cost(
        sum(cost.cycles for cost in costs),
        sum(cost.loaded_bytes for cost in costs),
        sum(cost.saved_bytes for cost in costs),
    )


def _reads_twice(block: Convolution) -> bool:
    return block.residual or block.kind == "bottleneck"


def inputs_of(block: Convolution) -> Map:
    channels = IMAGE_CHANNELS if block.in_channels == 3 else block.in_channels
    return Map(channels, block.height, block.width)


def outputs_of(block: Convolution) -> Map:
    return Map(block.out_channels, block.out_height, block.out_width)


def stays_on_chip(dpu: Dpu, block: Convolution, wide: Map, narrow: Map) -> bool:
    """Whether the inner maps of an inverted bottleneck never leave the chip.

    An h_swish needs the map that it reads and the one that it writes in one group; without one the
    expansion and the depthwise convolution run channel by channel, and only the result must fit.
    """
    return 2 * dpu.words(wide) <= dpu.bank_depth if block.act == "h_swish" else dpu.fits(narrow)


def _mbconv(line: Timeline, block: Convolution, edges: Edges) -> None:
    dpu, before, after = line.dpu, inputs_of(block), outputs_of(block)
    wide = Map(block.mid_channels, block.height, block.width)
    narrow = Map(block.mid_channels, block.out_height, block.out_width)
    resident = stays_on_chip(dpu, block, wide, narrow)
    swish, spilled = block.act == "h_swish", not dpu.fits(narrow)
    if edges.load:
        line.load(before)
    ahead = None  # since when weights of later layers may be loaded
    leaves = False
    if block.mid_channels != block.in_channels:
        line.load_weights(wide.channels, before.channels)
        ahead = line.now if resident else None
        line.compute(dpu.convolution(before, wide, 1))
        if swish:
            _swish(line, wide)
            # One group holds the map but not beside its result; a smaller result comes in tiles.
            leaves = not dpu.fits(wide) or (not resident and block.stride > 1)
            line.save(wide, times=int(leaves))
    line.load_weights(narrow.channels, block.kernel**2, ahead)
    ahead = line.now if resident else None
    depthwise = dpu.alu_steps(narrow) * block.kernel**2
    line.load(wide, times=int(leaves), beside=depthwise)
    depthwise_done = line.now
    if spilled:
        line.save(narrow, hidden=not block.se_channels)
    if swish:
        _swish(line, narrow)
    if block.se_channels:
        _squeeze(line, block, narrow, ahead, depthwise_done)
    line.load_weights(after.channels, narrow.channels)
    line.compute(dpu.convolution(narrow, after, 1))
    line.load(narrow, times=int(spilled))
    if block.residual:
        _add(line, before, hidden=spilled)


def _squeeze(
    line: Timeline, block: Convolution, narrow: Map, ahead: float | None, depthwise_done: float
) -> None:
    """Pooling, two small layers on the pooled vector (which goes through DDR), multiplication."""
    dpu, squeezed, spilled = line.dpu, block.se_channels, not line.dpu.fits(narrow)
    line.load(narrow, times=2 * spilled)
    line.load_weights(squeezed, narrow.channels, ahead)
    if ahead is not None:
        # With room for all weights of the block these follow at once, else after the depthwise.
        roomy = block_weights(block) <= dpu.weight_buffer_bytes
        ahead = ahead if roomy else depthwise_done
    line.load_weights(narrow.channels, squeezed, ahead)
    line.compute(dpu.swish(narrow))  # pooling and multiplying, as long as an h_swish's two passes
    line.save(narrow, times=int(spilled))
    pooled = Map(narrow.channels, 1, 1)
    line.save(pooled, hidden=True)
    line.loaded_bytes += pooled.bytes


def _add(line: Timeline, before: Map, *, hidden: bool) -> None:
    """The residual: the input is read once more, hidden where another map is read anyway."""
    if hidden:
        line.loaded_bytes += before.bytes
    else:
        line.load(before)


def _swish(line: Timeline, features: Map) -> None:
    line.compute(line.dpu.swish(features))
    if not line.dpu.fits(features):
        line.load(features, times=SWISH_LOADS)
        line.save(features, times=SWISH_SAVES)


def block_weights(block: Convolution) -> int:
    """Bytes of an inverted bottleneck's weights, without biases."""
    expands = block.mid_channels != block.in_channels
    inner = block.in_channels * expands + block.kernel**2 + block.out_channels
    return block.mid_channels * (inner + 2 * block.se_channels)


def _conv(line: Timeline, block: Convolution, edges: Edges) -> None:
    """A convolution: also the classifier, and what stands behind pooling."""
    before, after = inputs_of(block), outputs_of(block)
    _convolve(line, before, after, block.kernel, loads=edges.load)
    if block.act == "h_swish":
        _swish(line, after)


def _convolve(line: Timeline, before: Map, after: Map, kernel: int, *, loads: bool = False) -> None:
    """One layer on the array, its input being loaded where `loads`.

    An input that one bank group does not hold comes in tiles, weights that their buffer does not
    hold come in portions: each is used while the next is loaded.
    """
    dpu = line.dpu
    vector_bytes = before.channels * kernel**2
    cycles = float(dpu.convolution(before, after, kernel))
    if loads:
        tiles = dpu.words(before) / dpu.bank_depth
        cycles = _overlapped(cycles, dpu.transfer(before.bytes), tiles)
        line.loaded_bytes += before.bytes
    words = dpu.channel_words(before.channels) * dpu.channel_words(after.channels)
    portions = words * kernel**2 / dpu.bank_depth
    started = line.now
    line.load_weights(after.channels, vector_bytes)
    line.now = started + _overlapped(cycles, line.now - started, portions)


def _overlapped(first: float, second: float, portions: float) -> float:
    """Cycles of two engines, one a portion ahead of the other: their sum for a single portion."""
    return max(first, second) + min(first, second) / max(1.0, portions)


def _bottleneck(line: Timeline, block: Convolution, edges: Edges) -> None:
    dpu, before, after = line.dpu, inputs_of(block), outputs_of(block)
    wide = Map(block.mid_channels, block.height, block.width)
    narrow = Map(block.mid_channels, block.out_height, block.out_width)
    _convolve(line, before, wide, 1, loads=edges.load)
    _through_ddr(line, wide)
    _convolve(line, wide, narrow, block.kernel)
    _through_ddr(line, narrow)
    _convolve(line, narrow, after, 1)
    if block.residual:
        _add(line, before, hidden=False)
        return
    line.load(before)
    pooled = Map(block.in_channels, block.out_height, block.out_width)
    if block.stride > 1:
        line.compute(dpu.alu_steps(pooled) * block.stride**2)
    _convolve(line, pooled, after, 1)
    _through_ddr(line, after)  # both summands do not fit at once


def _through_ddr(line: Timeline, features: Map) -> None:
    if not line.dpu.fits(features):
        line.save(features)
        line.load(features)


def _pool(line: Timeline, block: Convolution, edges: Edges) -> None:
    """Pooling, of windows or of the whole map, on the ALU engine."""
    if edges.load:
        line.load(inputs_of(block))
    if block.kind == "pool":
        line.compute(line.dpu.alu_steps(inputs_of(block)))
    else:
        line.compute(line.dpu.alu_steps(outputs_of(block)) * block.kernel**2)


_KINDS: dict[str, Callable[[Timeline, Convolution, Edges], None]] = {
    "conv": _conv,
    "mix": _conv,
    "linear": _conv,
    "mbconv": _mbconv,
    "bottleneck": _bottleneck,
    "pool": _pool,
    "maxpool": _pool,
}
