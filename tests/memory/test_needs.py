"""What networks of our blocks need, block by block and over whole spaces."""

from dataclasses import replace

import numpy as np
import pytest

from harness.memory import of_space
from harness.memory.arena import arena_bytes
from harness.memory.needs import FILE, arena_of, flash_of, head_bytes, in_place_of
from harness.memory.parts import buffers_of, head_of, part_of
from harness.spaces.catalogue import find_space
from harness.spaces.convolution import Convolution
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.spaces.space import Space

SPACES = [DIGITS, find_space("ofa-mbv3-w0.35").at([48, 96]), find_space("ofa-resnet50").at([128])]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_populations_cost_what_their_networks_do(space: Space) -> None:
    genomes = sample(space, 30, np.random.default_rng(1))
    networks = [space.blocks(decode(space, genome)) for genome in genomes]
    for needs, each in (
        (of_space.tflite_micro(space), arena_of),
        (of_space.in_place(space), lambda network: max(map(in_place_of, network))),
        (of_space.flash(space), lambda network: FILE + sum(map(flash_of, network))),
    ):
        of, least, row = needs
        assert of(genomes).tolist() == [each(network) for network in networks]
        assert of(row[None])[0] == least <= of(genomes).min()


@pytest.mark.parametrize("space", SPACES, ids=lambda space: space.name)
def test_buffers_that_are_left_out_of_a_plan_would_not_change_it(space: Space) -> None:
    for genome in sample(space, 100, np.random.default_rng(2)):
        parts = [part_of(block) for block in space.blocks(decode(space, genome))]
        assert head_of(parts) == arena_bytes(buffers_of(parts))


def test_a_strided_layer_pads_a_copy_of_an_even_map_alone() -> None:
    even = Convolution("mbconv", 88, 88, 8, 48, 8, 7, 2, "relu", 0, False)
    assert head_bytes([even]) == 48 * (88**2 + 94**2)
    odd = replace(even, height=87, width=87)
    assert head_bytes([odd]) == 48 * (87**2 + 44**2)
