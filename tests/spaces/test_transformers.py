"""Spaces of transformers: what HAT's and AutoFormer's authors say of their sizes."""

from collections import Counter
from dataclasses import replace

import pytest
import torch

from harness.errors import FileFormatError, Infeasible, UsageError
from harness.networks.build import build, input_shape
from harness.predictors.block_table import resolutions_in
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.convolution import convolutions
from harness.spaces.space import Space
from harness.spaces.transformer import DecoderLayer, EncoderLayer
from harness.spaces.translation import HAT_IWSLT14_DEEN, HAT_WMT14_ENDE
from harness.spaces.vit import (
    AUTOFORMER_BASE,
    AUTOFORMER_SMALL,
    AUTOFORMER_TINY,
    VIT_DIGITS,
    VitSpace,
)

# Their released configurations: embedding, MLP ratios and heads by layer.
T = (
    192,
    (3.5, 3.5, 3, 3.5, 3, 3, 4, 4, 3.5, 4, 3.5, 4, 3.5),
    (3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 4, 3, 3),
)
S = (
    384,
    (3, 3.5, 3, 3.5, 4, 4, 4, 4, 4, 4, 4, 3.5, 4),
    (6, 6, 5, 7, 5, 5, 5, 6, 6, 7, 7, 6, 7),
)
B = (
    576,
    (3.5, 3.5, 4, 3.5, 4, 3.5, 3.5, 3, 4, 4, 3, 4, 3, 3.5),
    (9, 9, 9, 9, 9, 10, 9, 9, 10, 9, 10, 9, 9, 10),
)
Layers = tuple[int, tuple[float, ...], tuple[int, ...]]


def network(space: VitSpace, layers: Layers) -> tuple[Block, ...]:
    embed, ratios, heads = layers
    beyond = (0,) * (space.depths[-1] - len(heads))
    parts = (("embed", (embed,)), ("heads", (*heads, *beyond)), ("mlp", (*ratios, *beyond)))
    # The released T has a ratio of 3, which its space in the paper lacks.
    space = replace(space, ratios=(3, 3.5, 4))
    return space.blocks(Arch(224, (len(heads),), others=parts))


@pytest.mark.parametrize(
    ("space", "layers", "params_m", "macs_g"),
    [
        # In print: 5.7 M (5.8 M in its README) and 1.3 G. The released network has 5.87 M: it is
        # not the one in print.
        (AUTOFORMER_TINY, T, "5.9", "1.3"),
        # In print: 22.9 M and 5.1 G, which no way of counting gives; 4.9 G by their own code.
        (AUTOFORMER_SMALL, S, "22.9", "4.8"),
        # In print: 53.7 M and 11 G.
        (AUTOFORMER_BASE, B, "53.7", "11.0"),
    ],
    ids=["T", "S", "B"],
)
def test_autoformers_have_the_parameters_and_macs_of_their_layers(
    space: VitSpace, layers: Layers, params_m: str, macs_g: str
) -> None:
    blocks = network(space, layers)
    assert f"{sum(block.params for block in blocks) / 1e6:.1f}" == params_m
    assert f"{sum(block.macs for block in blocks) / 1e9:.1f}" == macs_g


def networks_in(space: Space) -> int:
    """Different ones: products of choices, for each number of layers."""
    always = 1
    by_depth = [1] * space.sizes[1]
    for column, gene in enumerate(space.genes):
        if gene.depth is None and column != 1:
            always *= len(gene.choices)
        for choice in range(space.sizes[1]):
            if gene.depth is not None and choice >= gene.from_choice:
                by_depth[choice] *= len(gene.choices)
    return always * sum(by_depth)


def test_hats_space_has_as_many_networks_as_its_readme_says() -> None:
    assert f"{networks_in(HAT_WMT14_ENDE):.2e}" == "4.18e+14"
    assert networks_in(HAT_IWSLT14_DEEN) == networks_in(HAT_WMT14_ENDE)


def test_a_network_has_the_layers_of_its_parts() -> None:
    arch = Arch(
        30,
        (2,),
        others=(
            ("cross_heads", (4, 8, 0, 0, 0, 0)),
            ("cross_layers", (1, 3, 0, 0, 0, 0)),
            ("decoder_embed", (512,)),
            ("decoder_ffn", (1024, 3072, 0, 0, 0, 0)),
            ("decoder_heads", (8, 4, 0, 0, 0, 0)),
            ("encoder_embed", (640,)),
            ("encoder_ffn", (3072,) * 6),
            ("encoder_heads", (4,) * 6),
        ),
    )
    blocks = HAT_WMT14_ENDE.blocks(arch)
    assert Counter(block.kind for block in blocks) == {"encoder": 6, "decoder": 2, "vocabulary": 1}
    assert blocks[0] == EncoderLayer(30, 640, 512, 4, 3072)
    assert blocks[7] == DecoderLayer(30, 30, 512, 640, 512, 4, 8, 3, 3072)
    assert Arch.from_json(arch.to_json()) == arch


def test_sentences_may_be_of_any_length() -> None:
    some = HAT_WMT14_ENDE.at([10, 20])
    shapes = {block.input_shape[0] for block in some.distinct_blocks()}
    assert shapes == {10, 20}
    short = replace(some.largest, resolution=10)
    assert HAT_WMT14_ENDE.blocks(short) == some.blocks(short)
    assert resolutions_in(set(some.distinct_blocks()), HAT_WMT14_ENDE) == (10, 20)
    with pytest.raises(UsageError, match=r"no resolution 900; it has 30, and runs at 2 to 200"):
        HAT_WMT14_ENDE.at([900])


def test_a_decoder_step_by_step_multiplies_as_worked_out_by_hand() -> None:
    layer = DecoderLayer(
        steps=2,
        tokens=3,
        embed=5,
        source_embed=7,
        inner=4,
        heads=2,
        cross_heads=2,
        cross_layers=2,
        ffn=11,
    )
    # Keys and values of 2 x 3 tokens of the source, 7 to 4.
    assert layer.source_macs == 2 * 6 * 7 * 4
    # Each step: queries, keys, values, output; queries and output again; the network inside.
    assert layer.matrix_macs == 2 * (6 * 5 * 4 + 2 * 5 * 11)
    # Scores and sums over 1 and 2 tokens of its own, and over 6 of the source at each step.
    attending = 2 * 4 * (1 + 2) + 2 * 4 * (6 + 6)
    assert layer.macs == layer.source_macs + layer.matrix_macs + attending


def test_transformers_are_no_convolutions() -> None:
    with pytest.raises(Infeasible, match=r"encoder-t30.* is no block of a convolutional network"):
        convolutions([EncoderLayer(30, 640, 512, 4, 3072)])


def test_layers_built_have_the_shapes_and_parameters_of_their_blocks() -> None:
    for block in VIT_DIGITS.distinct_blocks():
        layer = build([block])
        assert sum(each.numel() for each in layer.parameters()) == block.params
        with torch.no_grad():
            output = layer(torch.zeros(input_shape([block], 2)))
        assert tuple(output.shape) == (2, *block.output_shape)


@pytest.mark.parametrize(
    "value",
    [
        {"r": 30, "d": [2]},
        {"r": 30, "d": [2], "Encoder": [1]},
        {"r": 30, "d": [2], "heads": ["x"]},
        {"r": 30, "d": [2], "heads": 3},
        {"r": 30, "d": [2]} | {"a" * n: [1] for n in range(1, 50)},
    ],
)
def test_parts_that_are_none_are_refused(value: object) -> None:
    with pytest.raises(FileFormatError, match="not an arch"):
        Arch.from_json(value)
