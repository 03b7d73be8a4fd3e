"""Rows as HAT's authors publish them, of a made-up device whose times follow from sizes."""

import csv
from pathlib import Path

import numpy as np

from harness.spaces.arch import Arch
from harness.spaces.genome import decode, sample
from harness.spaces.transformer import DecoderLayer, EncoderLayer
from harness.spaces.translation import HAT_WMT14_ENDE

SPACE = HAT_WMT14_ENDE
COLUMNS = (
    *("encoder_embed_dim", "encoder_layer_num", "encoder_ffn_embed_dim_avg"),
    *("encoder_self_attention_heads_avg", "decoder_embed_dim", "decoder_layer_num"),
    *("decoder_ffn_embed_dim_avg", "decoder_self_attention_heads_avg"),
    *("decoder_ende_attention_heads_avg", "decoder_arbitrary_ende_attn_avg"),
    *("latency_mean_encoder", "latency_mean_decoder"),
    *("latency_std_encoder", "latency_std_decoder"),
)


def archs(count: int, seed: int = 0) -> list[Arch]:
    drawn = sample(SPACE, count, np.random.default_rng(seed))
    return [decode(SPACE, genome) for genome in drawn]


def times_ms(arch: Arch) -> tuple[float, float]:
    """Of encoder and decoder: 1 ms a layer, 0.5 ms a step and layer, and what MACs take."""
    encoder, decoder = 0.0, 30 * 0.2
    for block in SPACE.blocks(arch):
        if isinstance(block, EncoderLayer):
            encoder += 1 + block.macs / 1e8
        elif isinstance(block, DecoderLayer):
            decoder += 30 * 0.5 + block.macs / 2e7
        else:
            decoder += block.macs / 3e7
    return encoder, decoder


def row(arch: Arch, noise: float = 1.0) -> list[float]:
    (depth,) = arch.depths

    def mean(part: str, layers: int = depth) -> float:
        return sum(arch.part(part)) / layers

    encoder, decoder = times_ms(arch)
    return [
        *(arch.part("encoder_embed")[0], 6, mean("encoder_ffn", 6), mean("encoder_heads", 6)),
        *(arch.part("decoder_embed")[0], depth, mean("decoder_ffn"), mean("decoder_heads")),
        *(mean("cross_heads"), mean("cross_layers")),
        *(encoder * noise, decoder * noise, encoder * 0.01, decoder * 0.01),
    ]


def write(path: Path, rows: list[list[float]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return path
