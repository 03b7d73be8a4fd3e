"""Model files of anybody become the kernels that OpenVINO's CPU executes."""

from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from harness.hints import install

pytest.importorskip("openvino", reason=f"OpenVINO is not installed: {install('openvino')}")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from harness.errors import FileFormatError, HarnessError  # noqa: E402
from harness.graphs.reading import OPENVINO, read_model  # noqa: E402
from harness.runtimes.conversion.kernel_openvino import kernel_file, network_file  # noqa: E402
from harness.runtimes.openvino import open_session  # noqa: E402
from harness.runtimes.options import RuntimeOptions  # noqa: E402
from harness.runtimes.session import ProfilingSession  # noqa: E402
from harness.spaces.block import Block  # noqa: E402
from harness.spaces.kernel import Kernel  # noqa: E402
from harness.transports.local import LocalTransport  # noqa: E402
from tests.graphs.test_by_onnxruntime import residual, save, weights  # noqa: E402


def executed(content: bytes, path: Path) -> Counter[str]:
    """The operators that OpenVINO executes of a file of ours, timed as any other."""
    path.write_bytes(content)
    session = open_session(LocalTransport(), RuntimeOptions())
    assert isinstance(session, ProfilingSession)
    with closing(session):
        return Counter({each.op: each.count for each in session.profile_ops(path)})


def test_what_openvino_fuses_is_one_kernel(tmp_path: Path) -> None:
    graph = read_model(residual(tmp_path / "m.onnx"), runtime=OPENVINO)
    first, second = [kernel for kernel in graph.kernels if kernel.macs]
    assert first.macs == second.macs == 56 * 56 * 64 * 64 * 9
    assert second.settings["n1"].startswith("opset1.Add(n0,i2)")  # what normalising leaves
    (added,) = [kernel for kernel in graph.kernels if len(kernel.given) == 2]
    assert added.settings["n1"].startswith("opset1.ReLU")
    assert {kernel.stage for kernel in graph.kernels if not kernel.macs} == {"moving"}


def test_the_name_of_a_kernel_tells_all_of_it(tmp_path: Path) -> None:
    for kernel in read_model(residual(tmp_path / "m.onnx"), runtime=OPENVINO).kernels:
        assert Block.parse(kernel.key) == kernel


ALONE = (
    (
        "kernel-openvino.Convolution;float32[1,32,14,14];float32{64,32,1,1};"
        "n0=opset1.Convolution(i0,i1)[1,64,14,14];dilations=1,1;pads_begin=0,0;pads_end=0,0;"
        "strides=1,1;n1=opset1.ReLU(n0)[1,64,14,14];layouts=acdb,acdb;>float32[1,64,14,14]"
    ),
    (
        "kernel-openvino.Concat;float32[1,24,28,28];float32[1,24,28,28];"
        "n0=opset1.Concat(i0,i1)[1,48,28,28];axis=1;layouts=acdb,acdb,acdb;>float32[1,48,28,28]"
    ),
    (
        "kernel-openvino.Subgraph;float32[1,16,56,56];float32[1,16,1,1];"
        "n0=opset1.Multiply(i0,i1)[1,16,56,56];layouts=acdb,acdb,acdb;>float32[1,16,56,56]"
    ),
    (
        "kernel-openvino.FullyConnected;float32[1,50,64];float32{128,64};float32{128};"
        "n0=ie_internal_opset.FullyConnected(i0,i1,i2)[1,50,128];output_type=f32;"
        "n1=opset7.Gelu(n0)[1,50,128];n1_approximation_mode=ERF;>float32[1,50,128]"
    ),
)


@pytest.mark.parametrize("key", ALONE)
def test_a_kernel_alone_is_all_that_is_executed(key: str, tmp_path: Path) -> None:
    """Whatever lies with its channels last is not turned before and after."""
    kernel = Kernel.parse(key)
    (count,) = executed(kernel_file(kernel), tmp_path / "alone.openvino").values()
    assert count == 1


SUM = (
    "kernel-openvino.Convolution;float32[1,64,28,28];float32{32,64,1,1};"
    "float32[1,32,28,28];n0=opset1.Convolution(i0,i1)[1,32,28,28];dilations=1,1;pads_begin=0,0;"
    "pads_end=0,0;strides=1,1;n1=opset1.Add(n0,i2)[1,32,28,28];layouts=acdb,acdb,acdb;"
    ">float32[1,32,28,28]"
)


@pytest.mark.parametrize("weights", ["", "float32{1,1,96};"])
def test_a_norm_that_files_cannot_name_is_one_kernel_again(weights: str, tmp_path: Path) -> None:
    inputs = "i0,i1" if weights else "i0"
    key = (
        f"kernel-openvino.RMS;float32[1,4000,96];{weights}n0=ie_internal_opset.RMS({inputs})"
        "[1,4000,96];elementwise_affine=true;epsilon=1e-06;output_type=f32;>float32[1,4000,96]"
    )
    found = executed(kernel_file(Kernel.parse(key)), tmp_path / "alone.openvino")
    assert found == Counter({"RMS": 1})


def test_a_sum_is_not_turned_either(tmp_path: Path) -> None:
    found = executed(kernel_file(Kernel.parse(SUM)), tmp_path / "alone.openvino")
    # A second convolution takes one place of the sum, in less than what counters tell.
    assert {"Convolution"} <= found.keys() <= {"Convolution", "GroupConvolution"}


def test_a_model_made_of_kernels_runs_as_many(tmp_path: Path) -> None:
    graph = read_model(residual(tmp_path / "m.onnx"), runtime=OPENVINO)
    found = executed(network_file(graph.kernels, graph.sources), tmp_path / "again.openvino")
    assert found.total() == len(graph.kernels)


def test_an_input_that_is_cast_to_what_it_is_keeps_its_name(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Cast", ["images"], ["a_cast"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["a_cast", "w"], ["out"], pads=[1, 1, 1, 1]),
    ]
    model = save(tmp_path / "m.onnx", nodes, [weights("w", 64, 64, 3, 3)], 14)
    kernels = read_model(model, runtime=OPENVINO).kernels
    assert "openvino.Convolution" in {kernel.op for kernel in kernels}


def test_control_flow_is_named(tmp_path: Path) -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["goes_on"]),
            helper.make_node("Sin", ["state"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, 64, 56, 56]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, 64, 56, 56]),
        ],
    )
    steps = numpy_helper.from_array(np.array(700, np.int64), "steps")
    go = numpy_helper.from_array(np.array(True), "always")
    nodes = [helper.make_node("Loop", ["steps", "always", "images"], ["out"], body=body)]
    with pytest.raises(FileFormatError, match="control flow"):
        read_model(save(tmp_path / "m.onnx", nodes, [steps, go]), runtime=OPENVINO)


@pytest.mark.parametrize("length", [0, 40, 2000])
def test_a_truncated_file_is_one_line(tmp_path: Path, length: int) -> None:
    path = residual(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(HarnessError) as caught:
        read_model(path, runtime=OPENVINO)
    assert "\n" not in str(caught.value)
