import csv
from pathlib import Path

import pytest

from harness.reports.architectures import Drawn, kernels, layers, save_architectures
from harness.spaces.arch import Arch
from harness.spaces.catalogue import find_space
from harness.spaces.digits import DIGITS

ARCH = Arch(12, (1, 2, 1), (3, 0, 0, 5, 7, 0, 3, 0, 0), (3, 0, 0, 6, 4, 0, 3, 0, 0))


def test_every_place_is_there_and_what_the_depth_leaves_out_is_empty() -> None:
    found = layers(DIGITS, ARCH)
    assert len(found) == len(DIGITS.places)
    assert tuple(layer.block for layer in found if layer.block) == DIGITS.blocks(ARCH)
    assert [layer.stage for layer in found if layer.block is None] == [0, 0, 1, 2, 2]
    assert [e for layer in found if layer.look and (e := layer.look.expand)] == [3, 6, 4, 3]


def test_latencies_belong_to_the_blocks_in_their_order() -> None:
    values = [float(n) for n in range(len(DIGITS.blocks(ARCH)))]
    found = layers(DIGITS, ARCH, values)
    assert [layer.latency_ms for layer in found if layer.block] == values
    assert all(layer.latency_ms is None for layer in found if layer.block is None)


def test_kernels_are_those_of_layers_in_stages() -> None:
    assert kernels([layers(DIGITS, ARCH)]) == [3, 5, 7]
    smallest = Arch(12, (1, 1, 1), (3, 0, 0) * 3, (3, 0, 0) * 3)
    assert kernels([layers(DIGITS, smallest)]) == [3]


@pytest.mark.parametrize("name", ["digits", "ofa-mbv3-w1.2", "ofa-proxyless-w1.3", "ofa-resnet50"])
def test_networks_of_every_space_are_drawn(tmp_path: Path, name: str) -> None:
    space = find_space(name)
    drawn = [Drawn("largest", layers(space, space.largest))]
    png, *_, data = save_architectures(drawn, name, tmp_path)
    assert png.read_bytes().startswith(b"\x89PNG")
    with data.open(newline="") as file:
        blocks = [row["block"] for row in csv.DictReader(file) if row["block"]]
    assert blocks == [block.key for block in space.blocks(space.largest)]
