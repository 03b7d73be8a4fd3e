"""Files that we write ourselves: what they answer, and that litert-torch would make the same."""

import os
import re
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from harness.networks.build import input_shape
from harness.runtimes.conversion import faithful, lowering, tflite
from harness.runtimes.conversion.cache import Remark, cache_folder, convert_all, keep
from harness.runtimes.conversion.choice import tflite_steps
from harness.runtimes.conversion.faithful import KNOWN, SAMPLE, Comparison
from harness.runtimes.conversion.flatbuffer import written
from harness.runtimes.conversion.graph import difference
from harness.runtimes.conversion.lowering import lowered
from harness.runtimes.conversion.ranges import range_inputs
from harness.runtimes.conversion.self_contained import self_contained
from harness.runtimes.conversion.source import source_of
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import Workload
from harness.spaces.convolution import Convolution

BLOCK = Convolution.parse("mbconv-8x8x8-m16-o8-k3-s1-h_swish-se8-res1")
NETWORK, _ = SAMPLE


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """A process for litert-torch, which warns a lot."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    return tmp_path


def test_the_versions_whose_files_are_ours_are_those_that_the_tests_run_with() -> None:
    assert faithful.versions() == KNOWN


@pytest.mark.parametrize("network", SAMPLE, ids=("mix", "flat"))
def test_files_are_those_of_litert_torch(
    network: tuple[Convolution, ...], elsewhere: ProcessPoolExecutor
) -> None:
    assert elsewhere.submit(apart, network).result() == ["", ""]


def apart(network: tuple[Convolution, ...]) -> list[str]:
    """What is different in float32, and in int8 with ranges in ai-edge-quantizer's default mode."""
    from ai_edge_quantizer import quantizer, recipe
    from ai_edge_quantizer.calibrator import CalibrationMode

    from harness import files
    from harness.runtimes.conversion.by_litert_torch import by_litert_torch

    source = source_of(network)
    ours, theirs = lowered(source, 1), by_litert_torch(source, 1)
    inputs = range_inputs(network, source, 1, None).transpose(0, 1, 3, 4, 2)
    with files.scratch() as folder:
        mine, other = folder / "ours.tflite", folder / "theirs.tflite"
        mine.write_bytes(ours)
        other.write_bytes(theirs)
        mode = CalibrationMode.CALIBRATION_PRESERVE_ALL_TENSORS
        quantize = quantizer.Quantizer(str(other), recipe.static_wi8_ai8())
        result = quantize.quantize(tflite._ranges(other, inputs, mode))
        in_8_bits = self_contained(bytes(result.quantized_model))
        return [
            difference(ours, theirs),
            difference(self_contained(tflite._to_int8(mine, inputs)), in_8_bits),
        ]


def other_options(model: Any) -> None:
    model.subgraphs[0].operators[0].builtinOptions.strideW = 2


def other_version(model: Any) -> None:
    model.operatorCodes[0].version = 2


def other_shape(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[0].outputs[0]].shape = [1, 8, 8, 17]


def other_scale(model: Any) -> None:
    graph = model.subgraphs[0]
    steps = schema.QuantizationParametersT(scale=[0.5], zeroPoint=[0])
    graph.tensors[graph.operators[0].outputs[0]].quantization = steps


def other_wiring(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.operators[2].inputs = [graph.operators[0].outputs[0], *graph.operators[2].inputs[1:]]


def one_less(model: Any) -> None:
    model.subgraphs[0].operators.pop()


def other_weights(model: Any, factor: float = 1.001) -> None:
    graph = model.subgraphs[0]
    buffer = model.buffers[graph.tensors[graph.operators[0].inputs[1]].buffer]
    buffer.data = (buffer.data.view(np.float32) * np.float32(factor)).view(np.uint8)


def rounded_otherwise(model: Any) -> None:
    other_weights(model, 1 + 2**-23)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (other_options, r"^options .* operator 0, CONV_2D$"),
        (other_version, "^version 2 instead of 1 in operator 0, CONV_2D$"),
        (other_shape, r"^outputs .* operator 0, CONV_2D$"),
        (other_scale, r"^outputs .* operator 0, CONV_2D$"),
        (other_wiring, r"^inputs .* operator 2, DEPTHWISE_CONV_2D$"),
        (other_weights, "^other weights in operator 0, CONV_2D$"),
        (one_less, "^10 operators instead of 11$"),
        (rounded_otherwise, "^$"),
    ],
)
def test_what_is_different_is_named(change: Callable[[Any], None], what: str) -> None:
    content = lowered(source_of((BLOCK,)), 1)
    model = schema.ModelT.InitFromPackedBuf(content)
    change(model)
    changed = written(model)
    assert changed != content
    assert re.search(what, difference(changed, content))


KINDS = ("conv", "mbconv", "bottleneck", "maxpool", "pool", "mix", "linear")


@st.composite
def any_block(draw: st.DrawFn) -> Convolution:
    """One that a space could have."""
    kind = draw(st.sampled_from(KINDS))
    convolves = kind in ("conv", "mbconv", "bottleneck")
    channels = draw(st.integers(2, 9))
    height, width = (draw(st.integers(1, 9)) for _ in range(2))
    stride = draw(st.sampled_from((1, 2))) if convolves or kind == "maxpool" else 1
    alike = draw(st.booleans()) or kind in ("pool", "maxpool")
    mid = draw(st.sampled_from((channels, 2 * channels))) if kind == "mbconv" else channels
    return Convolution(
        kind,
        *((1, 1) if kind in ("mix", "linear") else (height, width)),
        channels,
        mid,
        channels if alike else channels + 3,
        draw(st.sampled_from((1, 3, 5, 7))) if kind in ("conv", "mbconv") else 3,
        stride,
        draw(st.sampled_from(("none", "relu", "relu6", "h_swish", "swish"))),
        draw(st.sampled_from((0, 4))) if kind == "mbconv" else 0,
        alike and stride == 1 and convolves,
    )


@settings(max_examples=100, deadline=None)
@given(any_block(), st.integers(1, 3))
def test_files_answer_what_torch_answers(block: Convolution, batch: int) -> None:
    source = source_of((block,))
    maps = torch.randn(input_shape((block,), batch), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = source.network(maps)
    found = answers(lowered(source, batch), maps.permute(0, 2, 3, 1).contiguous().numpy())
    if expected.ndim == 4:
        expected = expected.permute(0, 2, 3, 1)
    assert found.shape == expected.shape
    assert np.abs(found - expected.numpy()).max() <= 1e-5 * max(1.0, float(expected.abs().max()))


def answers(content: bytes, maps: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_content=content, num_threads=1)
    model.allocate_tensors()
    model.set_tensor(model.get_input_details()[0]["index"], maps)
    model.invoke()
    found: npt.NDArray[np.float32] = model.get_tensor(model.get_output_details()[0]["index"])
    return found


def test_what_has_no_rule_is_converted_by_litert_torch_which_is_said(
    cache: Path, elsewhere: ProcessPoolExecutor
) -> None:
    remarks, content = elsewhere.submit(converted_without_a_rule, cache).result()
    assert remarks == ["Hardswish: litert-torch has to convert, 40 times slower"]
    assert difference(content, lowered(source_of((BLOCK,)), 1)) == ""


def converted_without_a_rule(folder: Path) -> tuple[list[str], bytes]:
    os.environ["HARNESS_CACHE"] = str(folder)
    rule = lowering._RULES.pop(nn.Hardswish)
    try:
        return converted_and_remarks()
    finally:
        lowering._RULES[nn.Hardswish] = rule


def converted_and_remarks() -> tuple[list[str], bytes]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        content = TfliteConverter(1, "float32").make((BLOCK,))
    return [str(each.message) for each in caught if each.category is Remark], content


def test_a_litert_torch_that_makes_other_files_converts_itself_which_is_said(
    cache: Path, elsewhere: ProcessPoolExecutor
) -> None:
    for network in SAMPLE:
        keep(Comparison().path(network), b"" if network == NETWORK else b"other options")
    remarks, content = elsewhere.submit(converted_by_a_newer_one, cache).result()
    assert remarks == ["ours have other options: litert-torch has to convert, 40 times slower"]
    assert b"litert_torch" in content  # in the names of its tensors


def converted_by_a_newer_one(folder: Path) -> tuple[list[str], bytes]:
    """As if its version were another one than that which the tests know."""
    os.environ["HARNESS_CACHE"] = str(folder)
    faithful.apart.cache_clear()
    known = KNOWN["litert-torch"]
    KNOWN["litert-torch"] = "0.0"
    try:
        return converted_and_remarks()
    finally:
        KNOWN["litert-torch"] = known
        faithful.apart.cache_clear()


@dataclass(frozen=True)
class Talking:
    """Says the same of each file."""

    suffix: ClassVar[str] = ".talking"
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (0.0, 0.0)

    def path(self, workload: Workload) -> Path:
        return cache_folder() / f"{len(str(workload))}{self.suffix}"

    def make(self, _workload: Workload) -> bytes:
        warnings.warn("they are slow", Remark, stacklevel=1)
        return b"content"


@pytest.mark.usefixtures("cache")
def test_what_is_to_be_said_of_many_files_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    convert_all(Talking(), [(BLOCK,), (BLOCK, BLOCK)])
    assert [record.getMessage() for record in caplog.records] == ["harness: they are slow"]


@pytest.mark.usefixtures("cache")
def test_checking_a_device_tells_whose_files_it_gets() -> None:
    theirs = f"those of litert-torch {KNOWN['litert-torch']}"
    for network in SAMPLE:
        keep(Comparison().path(network), b"")
    assert list(tflite_steps(RuntimeOptions())) == [(".tflite files", theirs)]
    keep(Comparison().path(NETWORK), b"other options")
    told = f"{theirs}, which makes them: ours have other options"
    assert list(tflite_steps(RuntimeOptions())) == [(".tflite files", told)]
    assert list(tflite_steps(RuntimeOptions(converter="onnx-tf"))) == []
