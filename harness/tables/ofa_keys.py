"""How the released OFA code names the rows of its latency tables.

The keys are those that `MBv3LatencyTable` and, for spaces without squeeze-and-excitation and
h-swish, `ProxylessNASLatencyTable` ask for. They leave out what is the same all over a space (the
width of a squeeze, ReLU or ReLU6), so a key means a block only within one.
"""

from harness.errors import TableError
from harness.spaces.block import Block
from harness.spaces.convolution import Convolution, convolutions
from harness.spaces.space import Space


def layout(space: Space, resolution: int) -> dict[str, tuple[Block, ...]]:
    """The keys of one resolution's file, each with the blocks whose time its row holds.

    Raises:
        TableError: the released code has no key for a block of the space.
    """
    blocks = convolutions(space.distinct_blocks((resolution,)))
    mobile_v3 = any(b.kind == "mix" or b.se_channels or b.act == "h_swish" for b in blocks)
    if mobile_v3:
        return {block_key(block): (block,) for block in blocks}
    # ProxylessNAS times pooling and classifier together, and tells expansions by their ratio.
    (pool,) = (block for block in blocks if block.kind == "pool")
    (classifier,) = (block for block in blocks if block.kind == "linear")
    others = (block for block in blocks if block not in (pool, classifier))
    logits = f"Logits-input:{_shape(pool, pool.in_channels)}-output:{classifier.out_channels}"
    return {_proxyless_key(block): (block,) for block in others} | {logits: (pool, classifier)}


def block_key(block: Block) -> str:
    """The block's key in tables of OFA-MobileNetV3.

    Raises:
        TableError: there is none.
    """
    if not isinstance(block, Convolution):
        raise TableError(f"OFA's published tables have no rows for blocks such as {block.key}")
    shapes = f"-input:{_shape(block, block.in_channels)}-output:"
    if block.kind == "linear":
        return f"Logits{shapes}{block.out_channels}"
    shapes += f"{block.out_height}x{block.out_width}x{block.out_channels}"
    if block.kind == "mbconv":
        return (
            f"expanded_conv{shapes}-expand:{block.mid_channels}-kernel:{block.kernel}"
            f"-stride:{block.stride}-idskip:{block.residual:d}"
            f"-se:{block.se_channels > 0:d}-hs:{block.act == 'h_swish':d}"
        )
    conv = "Conv" if block.kernel > 1 else "Conv_1"  # the first layer; the 1x1 before pooling
    names = {"conv": conv, "pool": "AvgPool2D", "mix": "Conv_2"}
    if block.kind not in names:
        raise TableError(f"OFA's published tables have no rows for blocks such as {block.key}")
    return names[block.kind] + shapes


def _proxyless_key(block: Convolution) -> str:
    expanded = f"-expand:{block.mid_channels}-"
    ratio = f"-expand:{round(block.mid_channels / block.in_channels)}-"
    return block_key(block).removesuffix("-se:0-hs:0").replace(expanded, ratio)


def _shape(block: Convolution, channels: int) -> str:
    return f"{block.height}x{block.width}x{channels}"
