import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FileFormatError
from harness.spaces.block import Block
from harness.spaces.catalogue import SPACES
from harness.spaces.convolution import Convolution
from harness.spaces.space import Space

sizes = st.integers(0, 5000)
blocks = st.builds(
    Convolution,
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
    for space in SPACES.values():
        keys = [block.key for block in space.distinct_blocks()]
        assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_blocks_of_every_space_are_read_back_from_their_keys(space: Space) -> None:
    for block in space.distinct_blocks(space.resolutions[-1:]):
        assert Block.parse(block.key) == block


@pytest.mark.parametrize("key", ["encoder-t30", "decoder", "encoder-t30-e512-q512-h8-f2048-r0-x1"])
def test_what_only_begins_like_a_block_is_refused(key: str) -> None:
    with pytest.raises(FileFormatError, match="not a block"):
        Block.parse(key)
