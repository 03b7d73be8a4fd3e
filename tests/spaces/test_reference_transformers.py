"""Sizes of the networks that HAT's authors published."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.catalogue import find_space
from harness.spaces.transformer import Vocabulary

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = DATA / "hat" / "subtransformers.json"
NETWORKS = json.loads(FILE.read_text()) if FILE.exists() else []


def blocks_of(network: dict[str, Any]) -> tuple[Block, ...]:
    """Its layers; embeddings and scores of words are in no printed figure."""
    task = re.fullmatch(r"([a-z]+\d\d)([a-z]{4})", network["task"])
    assert task is not None
    space = find_space(f"hat-{task[1]}-{task[2]}")
    encoder, decoder = network["encoder"], network["decoder"]
    beyond = [0] * (6 - len(decoder["ffn"]))
    value = {
        "r": space.resolutions[0],
        "d": [len(decoder["ffn"])],
        "encoder_embed": [encoder["embed"]],
        "decoder_embed": [decoder["embed"]],
        "encoder_ffn": encoder["ffn"],
        "encoder_heads": encoder["heads"],
        "decoder_ffn": decoder["ffn"] + beyond,
        "decoder_heads": decoder["heads"] + beyond,
        "cross_heads": decoder["cross_heads"] + beyond,
        "cross_layers": decoder["cross_layers"] + beyond,
    }
    blocks = space.blocks(Arch.from_json(value))
    return tuple(block for block in blocks if not isinstance(block, Vocabulary))


@pytest.mark.skipif(not NETWORKS, reason=f"no {FILE} (set HARNESS_DATA)")
def test_reference_networks_of_hat_have_the_parameters_and_flops_in_print() -> None:
    for network in NETWORKS:
        blocks, printed = blocks_of(network), network["printed"]
        params_m = sum(block.params for block in blocks) / 1e6
        assert params_m == pytest.approx(float(printed["params_m"]), abs=0.02), network["name"]
        gflops = 2 * sum(block.macs for block in blocks) / 1e9
        assert gflops == pytest.approx(float(printed["gflops"]), rel=0.01), network["name"]
