"""Which images are held out, and which are for the test."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.training.splits import split

SIZES = st.lists(st.integers(1, 60), min_size=2, max_size=8)


@given(SIZES, st.integers(1, 50), st.integers(0, 3))
def test_parts_are_disjoint_and_every_class_keeps_an_image_to_train_on(
    sizes: list[int], limit: int, seed: int
) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    held, test = split(labels, limit, seed)
    assert not (held & test).any()
    assert np.bincount(labels[~(held | test)], minlength=len(sizes)).min() >= 1
    assert held.any() == any(size > 1 for size in sizes)
    assert max(held.sum(), test.sum()) <= limit
    for of_class, size in zip(np.bincount(labels[held], minlength=len(sizes)), sizes, strict=True):
        assert of_class <= max(1, size // 5)


@pytest.mark.parametrize(
    ("images", "held_out"), [(100, 20), (800, 160), (5000, 1000), (10_000, 1000), (50_000, 5000)]
)
def test_a_fifth_of_few_images_is_held_out_and_a_tenth_of_many(images: int, held_out: int) -> None:
    held, test = split(np.arange(images) % 4, 10_000, 0)
    assert held.sum() == test.sum() == held_out
    assert split(np.arange(images) % 4, 7, 0)[0].sum() == 7
