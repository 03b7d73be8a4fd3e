from itertools import pairwise

import numpy as np
import pytest

from harness.errors import UsageError
from harness.spaces.arch import Arch, Number
from harness.spaces.block import Block
from harness.spaces.catalogue import SPACES, find_space
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.spaces.mobile import MobileSpace
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0, OFA_MBV3_W1_2
from harness.spaces.space import Space, make_divisible
from harness.spaces.transformer import DecoderLayer, EncoderLayer


def uniform_arch(
    space: MobileSpace, resolution: int, depth: int, kernel: int, expand: Number
) -> Arch:
    return Arch(
        resolution,
        (depth,) * len(space.stages),
        (kernel,) * len(space.slots),
        (expand,) * len(space.slots),
    )


# Cai et al., ICLR 2020, Table 1: (D, W, K), parameters in millions, FLOPs (MACs) in millions.
PAPER_TABLE_1 = [
    (2, 3, 3, "3.4", 121),
    (2, 3, 7, "3.5", 151),
    (2, 6, 3, "4.7", 223),
    (2, 6, 7, "4.8", 283),
    (4, 3, 3, "4.4", 226),
    (4, 3, 7, "4.6", 293),
    (4, 6, 3, "7.3", 433),
    (4, 6, 7, "7.7", 566),
]


@pytest.mark.parametrize(("depth", "expand", "kernel", "params_m", "macs_m"), PAPER_TABLE_1)
def test_params_and_macs_are_those_of_the_papers_table_1(
    depth: int, expand: int, kernel: int, params_m: str, macs_m: int
) -> None:
    blocks = OFA_MBV3_W1_0.blocks(uniform_arch(OFA_MBV3_W1_0, 224, depth, kernel, expand))
    assert f"{sum(block.params for block in blocks) / 1e6:.1f}" == params_m
    assert round(sum(block.macs for block in blocks) / 1e6) == macs_m


def test_distinct_blocks_are_exactly_those_of_all_archs_of_a_small_space() -> None:
    seen: set[Block] = set()
    for resolution in DIGITS.resolutions:
        for depth in DIGITS.depths:
            for kernel in DIGITS.kernels:
                for expand in DIGITS.expands:
                    seen.update(
                        DIGITS.blocks(uniform_arch(DIGITS, resolution, depth, kernel, expand))
                    )
    assert set(DIGITS.distinct_blocks()) == seen


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_each_block_takes_what_the_one_before_makes(space: Space) -> None:
    for genome in sample(space, 20, np.random.default_rng(1)):
        arch = decode(space, genome)
        blocks = space.blocks(arch)
        assert arch.resolution in blocks[0].input_shape
        for block, following in pairwise(blocks):
            if isinstance(following, DecoderLayer) and isinstance(block, EncoderLayer):
                assert (following.tokens, following.source_embed) == block.output_shape
            else:
                assert following.input_shape == block.output_shape
        assert space.classes in blocks[-1].output_shape


def test_width_1_2_has_the_channels_of_the_published_note10_table() -> None:
    # Keys of that table: Conv_1 7x7x192 to 1152, Conv_2 1152 to 1536, stem and stages 24 to 192.
    widths = [OFA_MBV3_W1_2.stem.width, *(stage.width for stage in OFA_MBV3_W1_2.stages)]
    assert widths == [24, 32, 48, 96, 136, 192]
    assert (OFA_MBV3_W1_2.head_width, OFA_MBV3_W1_2.mix_width) == (1152, 1536)


def test_make_divisible_never_takes_more_than_a_tenth_away() -> None:
    for value in range(1, 2000):
        rounded = make_divisible(value, 8)
        assert rounded % 8 == 0
        assert rounded >= 0.9 * value


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"resolution": 13}, "resolution 13"),
        ({"depths": (1, 2, 4)}, "depths 4"),
        ({"depths": (1, 2)}, "3 depths"),
        ({"kernels": (4,) * 9}, "kernels 4"),
        ({"expands": (3,) * 2}, "expands"),
    ],
)
def test_an_arch_of_another_space_is_refused_naming_the_odd_part(
    change: dict[str, object], named: str
) -> None:
    good = uniform_arch(DIGITS, 16, 2, 5, 4)
    DIGITS.check(good)
    parts = {name: getattr(good, name) for name in ("resolution", "depths", "kernels", "expands")}
    with pytest.raises(UsageError, match=named):
        DIGITS.check(Arch(**(parts | change)))


def test_a_misspelt_space_names_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"ofa-mbv3-w1\.0"):
        find_space("ofa-mbv3-w10")
