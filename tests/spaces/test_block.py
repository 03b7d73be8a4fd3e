import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FileFormatError
from harness.spaces.block import Block
from harness.spaces.digits import DIGITS
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0

sizes = st.integers(0, 5000)
blocks = st.builds(
    Block,
    kind=st.sampled_from(["conv", "mbconv", "pool", "mix", "linear"]),
    height=sizes,
    width=sizes,
    in_channels=sizes,
    mid_channels=sizes,
    out_channels=sizes,
    kernel=sizes,
    stride=sizes,
    act=st.sampled_from(["none", "relu", "relu6", "h_swish"]),
    se_channels=sizes,
    residual=st.booleans(),
)


@given(blocks)
def test_a_key_reads_back_as_the_same_block(block: Block) -> None:
    assert Block.parse(block.key) == block


@given(st.text())
def test_any_other_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(FileFormatError, match="mbconv-56x56"):
        Block.parse(text)


def test_keys_of_all_blocks_of_a_space_differ() -> None:
    for space in (DIGITS, OFA_MBV3_W1_0):
        keys = [block.key for block in space.distinct_blocks()]
        assert len(set(keys)) == len(keys)
