"""ONNX files for runtimes of several generations."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from harness.networks.build import build_lively, build_random, input_shape
from harness.runtimes.conversion.onnx import OPSET, OnnxConverter
from harness.runtimes.conversion.onnx_steps import translator_file
from harness.runtimes.onnxruntime import OPSETS
from harness.runtimes.session import seed_of
from harness.runtimes.tensorrt import opset_of
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.digits import DIGITS
from harness.spaces.transformer import DecoderLayer, EncoderLayer, Vocabulary
from harness.spaces.translation import HAT_WMT14_ENDE
from tests.conftest import predict

BLOCKS = DIGITS.blocks(
    Arch(16, (2, 1, 2), (5, 7, 0, 3, 0, 0, 5, 3, 0), (4, 3, 0, 6, 0, 0, 4, 6, 0))
)

TRANSLATOR: tuple[Block, ...] = (
    *[EncoderLayer(5, embed=12, inner=8, heads=2, ffn=10)] * 3,
    DecoderLayer(6, 5, 16, 12, 8, heads=2, cross_heads=4, cross_layers=2, ffn=20),
    DecoderLayer(6, 5, 16, 12, 8, heads=4, cross_heads=2, cross_layers=3, ffn=12),
    Vocabulary(6, 16, 19),
)


@pytest.mark.parametrize("opset", sorted({11, 13, *OPSETS.values(), OPSET}))
def test_files_for_older_runtimes_give_the_same_outputs(opset: int) -> None:
    content = OnnxConverter(2, opset).make(BLOCKS)
    (own,) = (each.version for each in onnx.load_from_string(content).opset_import)
    assert own == opset
    shape = input_shape(BLOCKS, 2)
    images = np.random.default_rng(3).normal(size=shape).astype(np.float32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (given,) = session.run(None, {"images": images})
    wanted = predict(build_lively(BLOCKS, seed_of(BLOCKS)), torch.from_numpy(images)).numpy()
    assert given == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("opset", [13, OPSET])
@pytest.mark.parametrize("blocks", [TRANSLATOR, TRANSLATOR[3:4], TRANSLATOR[-1:]], ids=len)
def test_files_of_translators_decode_as_torch_does(blocks: tuple[Block, ...], opset: int) -> None:
    network = build_random(blocks, seed=5)
    images = np.random.default_rng(4).normal(size=input_shape(blocks, 2)).astype(np.float32)
    content = translator_file(network, torch.from_numpy(images), opset, random=False)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (given,) = session.run(None, {"images": images})
    wanted = predict(network, torch.from_numpy(images)).numpy()
    assert given == pytest.approx(wanted, abs=1e-5)


def test_files_of_random_translators_multiply_their_weights_when_they_are_loaded() -> None:
    blocks = HAT_WMT14_ENDE.blocks(HAT_WMT14_ENDE.largest)[-2:-1]
    content = OnnxConverter(1, OPSET).make(blocks)
    assert len(content) < 0.02 * 4 * blocks[0].in_turn * blocks[0].params
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    images = np.ones(input_shape(blocks, 1), np.float32)
    (given,) = session.run(None, {"images": images})
    assert given.shape == (1, *blocks[0].output_shape)
    assert np.isfinite(given).all()
    assert given.std() > 0.1


def test_files_of_other_opsets_have_other_names() -> None:
    assert len({OnnxConverter(1, opset).path(BLOCKS) for opset in (11, 13, 17)}) == 3


@pytest.mark.parametrize(
    ("version", "opset"),
    [(None, 11), ("8.0.1", 13), ("8.5", 13), ("8.6.1", 17), ("10.3.0", 17), ("11.0", 17)],
)
def test_each_tensorrt_gets_operators_that_it_knows(version: str | None, opset: int) -> None:
    assert opset_of(version) == opset
