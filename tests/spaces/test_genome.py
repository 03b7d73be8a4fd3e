import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import FileFormatError
from harness.spaces.arch import Arch
from harness.spaces.catalogue import SPACES
from harness.spaces.digits import DIGITS
from harness.spaces.genome import (
    canonical,
    decode,
    encode,
    one_hot,
    present,
    sample,
)

spaces = st.sampled_from(list(SPACES.values()))
seeds = st.integers(0, 2**32 - 1)


@given(spaces, seeds)
def test_arch_to_row_and_back_is_the_same_and_survives_json(space, seed) -> None:  # type: ignore[no-untyped-def]
    (row,) = sample(space, 1, np.random.default_rng(seed))
    arch = decode(space, row)
    space.check(arch)
    assert (encode(space, [arch]) == row).all()
    assert Arch.from_json(json.loads(json.dumps(arch.to_json()))) == arch


@given(spaces, seeds)
def test_canonical_rows_are_equal_exactly_for_equal_networks(space, seed) -> None:  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, space.sizes, (8, len(space.sizes)), dtype=np.int16)
    rows[4:] = rows[:4]
    rows[4:][~present(space, rows)[4:]] = 0  # the same networks with other genes where nothing is
    assert (canonical(space, rows)[:4] == canonical(space, rows)[4:]).all()
    assert len({decode(space, row) for row in rows}) == len(
        np.unique(canonical(space, rows), axis=0)
    )


def test_the_same_seed_draws_the_same_networks() -> None:
    first, again = (sample(DIGITS, 50, np.random.default_rng(5)) for _ in range(2))
    other = sample(DIGITS, 50, np.random.default_rng(6))
    assert (first == again).all()
    assert not (first == other).all()


def test_sampling_by_setting_draws_every_choice_alike(rng: np.random.Generator) -> None:
    for column in sample(DIGITS, 20_000, rng)[:, :4].T:
        assert np.allclose(np.bincount(column) / 20_000, 1 / 3, atol=0.02)


def test_one_hot_has_one_mark_a_layer_and_choice_and_none_where_no_layer_is() -> None:
    smallest = Arch(12, (1, 1, 1), (3, 0, 0) * 3, (4, 0, 0) * 3)
    (features,) = one_hot(DIGITS, encode(DIGITS, [smallest]))
    kernels, expands, sizes = np.split(features, [27, 54])
    assert kernels.reshape(9, 3).tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]] * 3
    assert expands.reshape(9, 3).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]] * 3
    assert sizes.tolist() == [1, 0, 0]


@pytest.mark.parametrize("value", [None, [], {}, {"r": 1}, {"r": "x", "d": [], "ks": [], "e": []}])
def test_what_is_no_arch_is_refused(value: object) -> None:
    with pytest.raises(FileFormatError):
        Arch.from_json(value)


def test_ofas_own_notation_is_read() -> None:
    released = {"ks": [3] * 20, "e": [6] * 20, "d": [2] * 5, "r": [224]}
    assert Arch.from_json(released).resolution == 224
