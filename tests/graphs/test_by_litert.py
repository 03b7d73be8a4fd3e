"""Model files of anybody become the kernels that LiteRT executes."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("ai_edge_litert")

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from harness.errors import FileFormatError, HarnessError, UsageError
from harness.graphs.graph import Source
from harness.graphs.networks import prior
from harness.graphs.reading import LITERT, read_model
from harness.runtimes.conversion.flatbuffer import written
from harness.runtimes.conversion.kernel_tflite import kernel_file, network_file
from harness.runtimes.model_inputs.asked import parse_asked
from harness.spaces.block import Block
from harness.spaces.kernel import Kernel

PAD = "kernel-tflite.PAD;float32[1,28,28,16];int32{4,2}(0,0,1,1,1,1,0,0);>float32[1,30,30,16]"
CONVOLUTION = (
    "kernel-tflite.CONV_2D;float32[1,30,30,16];float32{32,3,3,16};float32{32};"
    "fusedActivationFunction=1;padding=1;strideH=2;strideW=2;>float32[1,14,14,32]"
)
RESHAPE = "kernel-tflite.RESHAPE;float32[1,14,14,32];int32{2}(1,6272);>float32[1,6272]"
LINEAR = "kernel-tflite.FULLY_CONNECTED;float32[1,6272];float32{10,6272};>float32[1,10]"
SMALL = "kernel-tflite.FULLY_CONNECTED;float32[1,4];float32{4,4};float32{4};>float32[1,4]"
OF_8_BITS = (
    "kernel-tflite.int8.CONV_2D;int8[1,14,14,16];int8{32,3,3,16};int32{32};per_channel=1;"
    "strideH=1;strideW=1;>int8[1,14,14,32]"
)
CHAIN: tuple[tuple[Source, ...], ...] = (
    *((None, None), ((0, 0), None, None), ((1, 0), None), ((2, 0), None)),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A convolution behind a PAD, then a product behind a RESHAPE."""
    kernels = [Kernel.parse(key) for key in (PAD, CONVOLUTION, RESHAPE, LINEAR)]
    path = tmp_path / "m.tflite"
    path.write_bytes(network_file(kernels, CHAIN))
    return path


def changed(path: Path, change: Callable[[Any], None]) -> Path:
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    change(model)
    path.write_bytes(written(model))
    return path


def test_a_pad_is_part_of_the_convolution_and_a_reshape_is_nothing(path: Path) -> None:
    graph = read_model(path)
    first, second = graph.kernels
    assert (first.name, second.name) == ("CONV_2D", "FULLY_CONNECTED")
    assert first.settings["pads"] == "1,1,1,1"
    assert first.macs == 14 * 14 * 32 * 9 * 16
    assert second.macs == 6272 * 10
    assert graph.sources[1][0] == (0, 0)


def test_a_pad_that_others_read_too_is_a_kernel(tmp_path: Path) -> None:
    kernels = [Kernel.parse(key) for key in (PAD, CONVOLUTION, CONVOLUTION)]
    path = tmp_path / "m.tflite"
    sources: tuple[tuple[Source, ...], ...] = ((None, None), *[((0, 0), None, None)] * 2)
    path.write_bytes(network_file(kernels, sources))
    assert [each.name for each in read_model(path).kernels] == ["PAD", "CONV_2D", "CONV_2D"]


@pytest.mark.parametrize(("operator", "number"), [("RELU", "1"), ("RELU6", "3"), ("TANH", None)])
def test_an_activation_that_costs_nothing_is_part_of_the_operator_before(
    tmp_path: Path, operator: str, number: str | None
) -> None:
    add = "kernel-tflite.ADD;float32[1,8];float32[1,8];>float32[1,8]"
    activation = f"kernel-tflite.{operator};float32[1,8];>float32[1,8]"
    sources: tuple[tuple[Source, ...], ...] = ((None, None), ((0, 0),), ((1, 0), (1, 0)))
    path = tmp_path / "m.tflite"
    path.write_bytes(network_file([Kernel.parse(key) for key in (add, activation, add)], sources))
    graph = read_model(path)
    assert graph.kernels[0].settings.get("fusedActivationFunction") == number
    assert len(graph.kernels) == (3 if number is None else 2)
    assert graph.sources[-1] == ((len(graph.kernels) - 2, 0),) * 2


def test_the_name_of_a_kernel_tells_all_of_it(path: Path) -> None:
    for kernel in read_model(path).kernels:
        assert Block.parse(kernel.key) == kernel


def test_a_model_made_of_kernels_is_read_as_the_same_kernels(path: Path, tmp_path: Path) -> None:
    graph = read_model(path)
    again = tmp_path / "again.tflite"
    again.write_bytes(network_file(graph.kernels, graph.sources))
    assert read_model(again).kernels == graph.kernels
    for kernel in (*graph.kernels, Kernel.parse(OF_8_BITS)):
        again.write_bytes(kernel_file(kernel))
        assert read_model(again).kernels == (kernel,)


def test_one_kernel_of_each_operator_that_ships_runs_alone() -> None:
    by_work = sorted(prior(LITERT), key=lambda each: -(each.macs + each.peak_activations))
    smallest = {kernel.op: kernel for kernel in by_work}
    assert len(smallest) > 15
    for kernel in smallest.values():
        interpreter = Interpreter(model_content=kernel_file(kernel), num_threads=1)
        interpreter.allocate_tensors()
        for each in interpreter.get_input_details():
            interpreter.set_tensor(each["index"], np.ones(each["shape"], each["dtype"]))
        interpreter.invoke()
        (out, *_) = interpreter.get_output_details()
        assert tuple(out["shape"]) == kernel.output_shape, kernel.key


def test_operators_of_8_bits_are_others_than_those_of_floats() -> None:
    quantised = Kernel.parse(OF_8_BITS)
    plain = Kernel.parse(OF_8_BITS.replace("int8.", "").replace("int8", "float32"))
    assert (quantised.name, quantised.macs) == (plain.name, plain.macs)
    assert quantised.op != plain.op
    assert quantised.variant != plain.variant


def test_open_sizes_have_to_be_said_and_decide_all_others(path: Path) -> None:
    def open_up(model: Any) -> None:
        (graph,) = model.subgraphs
        number = graph.inputs[0]
        graph.tensors[number].shapeSignature = [1, -1, -1, 16]
        graph.operators.pop()  # the product has one size
        graph.operators.pop()
        graph.outputs = graph.operators[-1].outputs

    changed(path, open_up)
    with pytest.raises(UsageError, match="--shape"):
        read_model(path)
    graph = read_model(path, parse_asked(["tensor_0=1,56,56,16"], [], [], None))
    assert [each.output_shape for each in graph.kernels] == [(1, 28, 28, 32)]


def test_a_custom_operator_is_named(path: Path) -> None:
    def make_custom(model: Any) -> None:
        code = model.operatorCodes[-1]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = "My:Operator\n"

    assert read_model(changed(path, make_custom)).kernels[-1].op == "tflite.custom.My_Operator_"


def test_control_flow_is_named(path: Path) -> None:
    def make_loop(model: Any) -> None:
        code = model.operatorCodes[-1]
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.WHILE

    with pytest.raises(FileFormatError, match=r"control flow \(WHILE\)"):
        read_model(changed(path, make_loop))


def test_sizes_that_depend_on_values_are_refused(path: Path) -> None:
    def make_dynamic(model: Any) -> None:
        model.subgraphs[0].tensors[-1].shapeSignature = [-1, 10]

    with pytest.raises(FileFormatError, match="depend on the values"):
        read_model(changed(path, make_dynamic))


def test_of_several_networks_one_has_to_be_chosen(path: Path) -> None:
    def add_graph(model: Any) -> None:
        model.subgraphs *= 2
        model.signatureDefs = [
            schema.SignatureDefT(signatureKey=name, subgraphIndex=number)
            for number, name in enumerate(("encode", "decode"))
        ]

    with pytest.raises(UsageError, match="signature"):
        read_model(changed(path, add_graph))
    assert len(read_model(path, parse_asked([], [], [], "decode")).kernels) == 2


@pytest.mark.parametrize("length", [0, 7, 40, 700])
def test_a_truncated_file_is_one_line(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(HarnessError) as caught:
        read_model(path)
    assert "\n" not in str(caught.value)


def test_another_kind_of_file_is_one_line(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04" * 100)
    with pytest.raises(FileFormatError, match=r"no \.tflite file"):
        read_model(path)


@settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1))
def test_wrong_bytes_are_read_or_refused_in_one_line(
    path: Path, changes: list[tuple[int, int]]
) -> None:
    content = bytearray(kernel_file(Kernel.parse(SMALL)))
    for place, value in changes:
        content[place % len(content)] = value
    other = path.with_name("other.tflite")
    other.write_bytes(content)
    try:
        kernels = read_model(other).kernels
    except HarnessError as error:
        assert "\n" not in str(error)  # noqa: PT017 - others are read
    else:
        assert all(kernel.macs >= 0 for kernel in kernels)
        assert Counter(Block.parse(kernel.key) for kernel in kernels) == Counter(kernels)
