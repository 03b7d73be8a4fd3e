"""ONNX files for runtimes of several generations."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from harness.networks.build import build_lively, input_shape
from harness.runtimes.conversion.onnx import OPSET, OnnxConverter
from harness.runtimes.onnxruntime import OPSETS
from harness.runtimes.session import seed_of
from harness.runtimes.tensorrt import opset_of
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from tests.conftest import predict

BLOCKS = DIGITS.blocks(
    Arch(16, (2, 1, 2), (5, 7, 0, 3, 0, 0, 5, 3, 0), (4, 3, 0, 6, 0, 0, 4, 6, 0))
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


def test_files_of_other_opsets_have_other_names() -> None:
    assert len({OnnxConverter(1, opset).path(BLOCKS) for opset in (11, 13, 17)}) == 3


@pytest.mark.parametrize(
    ("version", "opset"),
    [(None, 11), ("8.0.1", 13), ("8.5", 13), ("8.6.1", 17), ("10.3.0", 17), ("11.0", 17)],
)
def test_each_tensorrt_gets_operators_that_it_knows(version: str | None, opset: int) -> None:
    assert opset_of(version) == opset
