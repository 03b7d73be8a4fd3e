from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.networks.build import build, build_lively, build_random, input_shape
from harness.networks.layers import make_layer
from harness.spaces.block import Block
from harness.spaces.digits import DIGITS
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0
from harness.spaces.resnet import OFA_RESNET50
from tests.conftest import apart

SOME_OFA_BLOCKS = OFA_MBV3_W1_0.distinct_blocks((128,))[::7]


@pytest.mark.parametrize("block", [*DIGITS.distinct_blocks()[::5], *SOME_OFA_BLOCKS], ids=str)
def test_a_layer_has_the_shape_and_parameters_that_its_block_says(block: Block) -> None:
    layer = build((block,))
    assert sum(parameter.numel() for parameter in layer.parameters()) == block.params
    with torch.no_grad():
        output = layer(torch.zeros(input_shape((block,), 2)))
    expected = block.output_shape[:1] if block.kind == "linear" else block.output_shape
    assert tuple(output.shape) == (2, *expected)


def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_own_alone() -> None:
    block = DIGITS.distinct_blocks()[3]
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first, again, other = (build_random((block,), seed).state_dict() for seed in (4, 4, 5))
    assert torch.equal(torch.rand(3), expected)
    name = next(iter(first))
    assert torch.equal(first[name], again[name])
    assert not torch.equal(first[name], other[name])


@pytest.mark.parametrize("space", [OFA_MBV3_W1_0, OFA_RESNET50], ids=lambda space: space.name)
def test_what_passes_through_a_random_network_neither_fades_nor_grows(space: Any) -> None:
    """However deep it is: torch's own weights lose the input long before its end."""
    blocks = space.at([128]).blocks(replace(space.largest, resolution=128))
    images = torch.randn(input_shape(blocks, 3), generator=torch.Generator().manual_seed(1))
    seen: list[float] = []
    network = build_lively(blocks, 1)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_hook(lambda _module, _given, maps: seen.append(maps.std()))
    with torch.inference_mode():
        assert apart(network(images)) > 0.05
    assert len(seen) > 50
    assert 0.5 < min(seen) <= max(seen) < 3


def test_a_random_network_is_the_same_for_the_same_seed_and_leaves_torchs_numbers_alone() -> None:
    blocks = DIGITS.blocks(DIGITS.largest)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first, again, other = (build_lively(blocks, seed).state_dict() for seed in (4, 4, 5))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert not torch.equal(first["0.0.weight"], other["0.0.weight"])


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="tensor"):
        make_layer({"kind": "tensor", "in_channels": 1, "out_channels": 1})
