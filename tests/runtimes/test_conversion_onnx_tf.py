"""The old way to .tflite files; it needs an environment of its own."""

import sys
from pathlib import Path

import numpy as np
import pytest

from harness.errors import ConversionFailed, MissingExtra
from harness.networks.build import build_lively, input_shape
from harness.runtimes.conversion.cache import converted
from harness.runtimes.conversion.graph import read_graph
from harness.runtimes.conversion.onnx_tf import VARIABLE, OnnxTfConverter, worker_python
from harness.runtimes.session import seed_of
from harness.spaces.digits import DIGITS
from tests.conftest import predict

BLOCK = next(b for b in DIGITS.distinct_blocks() if b.act == "h_swish" and b.residual)
BLOCKS = (BLOCK,)


@pytest.fixture
def _environment() -> None:
    try:
        worker_python()
    except MissingExtra as error:
        pytest.skip(str(error))


@pytest.mark.usefixtures("_environment")
def test_the_file_computes_the_same_and_shows_what_the_way_costs() -> None:
    import torch
    from ai_edge_litert.interpreter import Interpreter

    content = converted(OnnxTfConverter(2), BLOCKS).read_bytes()
    assert read_graph(content).ops["TRANSPOSE"] > 0
    assert read_graph(content).ops["DEPTHWISE_CONV_2D"] == 1
    model = Interpreter(model_content=content)
    model.allocate_tensors()
    given, wanted = model.get_input_details()[0], model.get_output_details()[0]
    images = np.random.default_rng(0).standard_normal(input_shape(BLOCKS, 2), dtype=np.float32)
    model.set_tensor(given["index"], images)
    model.invoke()
    expected = predict(build_lively(BLOCKS, seed_of(BLOCKS)), torch.from_numpy(images)).numpy()
    assert np.abs(expected - images).max() > 1e-3
    assert np.allclose(model.get_tensor(wanted["index"]), expected, rtol=1e-3, atol=1e-4)


def test_without_the_environment_it_says_how_to_make_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(MissingExtra, match="tox -e onnx-tf --notest"):
        OnnxTfConverter(1).path(BLOCKS)


def test_a_python_without_onnx_tf_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, sys.executable)
    with pytest.raises(MissingExtra, match=f"{sys.executable} has no onnx-tf"):
        OnnxTfConverter(1).path(BLOCKS)


def test_what_fails_there_is_said_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho first >&2\necho 'KeyError: strange' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv(VARIABLE, str(python))
    with pytest.raises(ConversionFailed, match=rf"{BLOCK.key} .*: KeyError: strange"):
        OnnxTfConverter(1).make(BLOCKS)
    with pytest.raises(MissingExtra, match="does not run"):
        OnnxTfConverter(1).path(BLOCKS)
