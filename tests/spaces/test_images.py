"""The space of own images: its name says all, and is found again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.spaces.catalogue import SPACES, find_space
from harness.spaces.images import PIXELS, images_space, is_images


@given(st.sampled_from(PIXELS), st.integers(1, 99_999), st.sampled_from([1, 3]))
def test_any_such_space_is_found_by_its_name(pixels: int, classes: int, channels: int) -> None:
    space = images_space(pixels, classes, channels)
    assert find_space(space.name) == space
    assert is_images(space.name)


def test_spaces_of_other_classes_colours_or_sizes_have_other_names_and_blocks() -> None:
    spaces = [
        images_space(p, classes, channels)
        for p in PIXELS
        for classes in (2, 300)
        for channels in (1, 3)
    ]
    assert len({space.name for space in spaces}) == len(spaces)
    blocks = {frozenset(space.distinct_blocks()) for space in spaces}
    assert len(blocks) == len(spaces)
    for space in spaces:
        assert space.blocks(space.largest)[0].in_channels == space.image_channels
        assert space.blocks(space.largest)[-1].out_channels == space.classes
        assert min(space.resolutions) >= 32
        assert max(space.resolutions) <= 128


def test_a_network_for_large_images_costs_little_more_than_for_small_ones() -> None:
    small, large = (images_space(pixels, 4, 3) for pixels in PIXELS)
    macs = [sum(block.macs for block in space.blocks(space.largest)) for space in (small, large)]
    assert macs[0] < macs[1] < 1.3 * macs[0]


@pytest.mark.parametrize(
    "name", ["images", "images-64", "images-65-4", "images-64-0", "images-64-04"]
)
def test_a_name_that_says_less_or_other_things_is_no_space(name: str) -> None:
    with pytest.raises(UsageError, match="images-64-4"):
        find_space(name)
    assert not any(is_images(other) for other in SPACES)
