"""Model files of anybody become the kernels that onnxruntime executes."""

import warnings
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from harness.errors import FileFormatError, HarnessError, UsageError  # noqa: E402
from harness.graphs.by_onnxruntime import read_onnx  # noqa: E402
from harness.graphs.reading import read_model  # noqa: E402
from harness.runtimes.conversion.kernel_onnx import kernel_file, network_file  # noqa: E402
from harness.runtimes.model_inputs.asked import parse_asked  # noqa: E402
from harness.spaces.block import Block  # noqa: E402
from harness.spaces.kernel import Kernel  # noqa: E402

EVERY = 7  # of onnx's 1,800 single operators; all of them take half a minute


def weights(name: str, *shape: int) -> TensorProto:
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32) * 0.1
    return numpy_helper.from_array(values, name)


def save(
    path: Path,
    nodes: list,
    held: list,
    size: int | str = 56,
    channels: int = 64,
    more: tuple = (),
) -> Path:
    """A model of an input [1, channels, size, size], and of more."""
    shape = [1, channels, size, size]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, shape)
    out = onnx.ValueInfoProto(name=nodes[-1].output[0])
    out.type.tensor_type.elem_type = TensorProto.FLOAT
    graph = helper.make_graph(nodes, "network", [given, *more], [out], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def residual(path: Path, size: int | str = 56) -> Path:
    """Convolution, normalisation, addition of the input, activation."""
    norms = [weights(name, 64) for name in ("scale", "shift", "mean")]
    variance = numpy_helper.from_array(np.ones(64, np.float32), "variance")
    nodes = [
        helper.make_node("Conv", ["images", "first"], ["before"], pads=[1, 1, 1, 1]),
        helper.make_node("Conv", ["before", "w"], ["made"], pads=[1, 1, 1, 1]),
        helper.make_node(
            "BatchNormalization", ["made", "scale", "shift", "mean", "variance"], ["normal"]
        ),
        helper.make_node("Add", ["normal", "before"], ["added"]),
        helper.make_node("Relu", ["added"], ["out"]),
    ]
    convolved = [weights(name, 64, 64, 3, 3) for name in ("first", "w")]
    return save(path, nodes, [*convolved, *norms, variance], size)


def test_what_onnxruntime_fuses_is_one_kernel(tmp_path: Path) -> None:
    graph = read_onnx(residual(tmp_path / "m.onnx"))
    first, second = [kernel for kernel in graph.kernels if kernel.macs]
    assert first.macs == second.macs == 56 * 56 * 64 * 64 * 9
    assert second.settings["activation"] == "Relu"
    assert len(second.given) == 2  # what is added, too
    assert not {"BatchNormalization", "Add"} & {kernel.name for kernel in graph.kernels}


def test_the_name_of_a_kernel_tells_all_of_it(tmp_path: Path) -> None:
    for kernel in read_onnx(residual(tmp_path / "m.onnx")).kernels:
        assert Block.parse(kernel.key) == kernel


def test_kernels_that_are_alike_stay_several_in_a_model_made_of_them(tmp_path: Path) -> None:
    """Of the same input, and with weights of the same shape: as queries, keys and values are."""
    nodes = [helper.make_node("Relu", ["images"], ["tokens"])]
    nodes += [helper.make_node("MatMul", ["tokens", each], [f"by_{each}"]) for each in "qkv"]
    nodes += [helper.make_node("Concat", [f"by_{each}" for each in "qkv"], ["out"], axis=1)]
    held = [weights(each, 56, 56) for each in "qkv"]
    graph = read_onnx(save(tmp_path / "m.onnx", nodes, held))
    again = tmp_path / "again.onnx"
    again.write_bytes(network_file(graph.kernels, graph.sources))
    assert Counter(read_onnx(again).kernels) == Counter(graph.kernels)


OF_OPSET_17 = (
    "kernel-ReduceMean;float32[1,64,14,14];axes=2,3;keepdims=1;>float32[1,64,1,1]",
    "kernel-nchwc.Upsample;float32[1,32,7,7];mode=nearest;scales=1,1,2,2;>float32[1,32,14,14]",
)


@pytest.mark.parametrize("key", OF_OPSET_17)
def test_what_older_operators_are_told_by_attributes_runs_alone(key: str) -> None:
    import onnxruntime

    kernel = Kernel.parse(key)
    session = onnxruntime.InferenceSession(kernel_file(kernel), None, ["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    (made,) = session.run(None, {given.name: np.ones(given.shape, np.float32)})
    assert made.shape == kernel.output_shape


def test_a_model_made_of_kernels_is_read_as_the_same_kernels(tmp_path: Path) -> None:
    graph = read_onnx(residual(tmp_path / "m.onnx"))
    again = tmp_path / "again.onnx"
    again.write_bytes(network_file(graph.kernels, graph.sources))
    assert Counter(read_onnx(again).kernels) == Counter(graph.kernels)
    for kernel in graph.kernels:
        again.write_bytes(kernel_file(kernel))
        assert kernel in read_onnx(again).kernels


def test_a_program_of_torch_export_is_read_as_its_onnx_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3), torch.nn.ReLU()).eval()
    example = torch.zeros(1, 3, 32, 32)
    torch.export.save(torch.export.export(network, (example,)), tmp_path / "m.pt2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (example,), tmp_path / "m.onnx", dynamo=False, opset_version=17)
    of_program, of_file = (read_model(tmp_path / f"m{suffix}") for suffix in (".pt2", ".onnx"))
    assert of_program.kernels == of_file.kernels


def test_open_sizes_have_to_be_said(tmp_path: Path) -> None:
    path = residual(tmp_path / "m.onnx", size="side")
    with pytest.raises(UsageError, match="--dim side"):
        read_onnx(path)
    graph = read_onnx(path, parse_asked([], ["side=28"], [], None))
    assert sum(kernel.macs for kernel in graph.kernels) == 2 * 28 * 28 * 64 * 64 * 9


def test_control_flow_is_named(tmp_path: Path) -> None:
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["goes_on"]),
            helper.make_node("Relu", ["state"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, None),
        ],
    )
    steps = numpy_helper.from_array(np.array(7, np.int64), "steps")
    nodes = [helper.make_node("Loop", ["steps", "", "images"], ["out"], body=body)]
    with pytest.raises(FileFormatError, match=r"control flow \(Loop"):
        read_onnx(save(tmp_path / "m.onnx", nodes, [steps]))


@pytest.mark.parametrize(("rate", "operator"), [(16000, "Sin"), (8000, "Cos")])
def test_of_a_branch_that_a_value_decides_what_runs_is_read(
    tmp_path: Path, rate: int, operator: str
) -> None:
    out = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
    branches = {
        f"{name}_branch": helper.make_graph(
            [helper.make_node(op, ["images"], ["out"])], op, [], [out]
        )
        for name, op in (("then", "Sin"), ("else", "Cos"))
    }
    nodes = [
        helper.make_node("Equal", ["rate", "high"], ["is_high"]),
        helper.make_node("If", ["is_high"], ["out"], **branches),
    ]
    high = numpy_helper.from_array(np.array(16000, np.int64), "high")
    given = helper.make_tensor_value_info("rate", TensorProto.INT64, [])
    path = save(tmp_path / "m.onnx", nodes, [high], size="side", more=(given,))
    graph = read_onnx(path, parse_asked([], ["side=7"], [f"rate={rate}"], None))
    assert [kernel.key for kernel in graph.kernels] == [
        f"kernel-{operator};float32[1,64,7,7];>float32[1,64,7,7]"
    ]


@pytest.mark.parametrize("length", [0, 40, 2000])
def test_a_truncated_file_is_one_line(tmp_path: Path, length: int) -> None:
    path = residual(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(HarnessError) as caught:
        read_onnx(path)
    assert "\n" not in str(caught.value)


def test_single_operators_are_read_or_refused_in_one_line(tmp_path: Path) -> None:
    """Those of onnx's own tests: at least one of each operator."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = {case.name: case.model for case in collect_testcases(None) if case.model}
    first = {model.graph.node[0].op_type: name for name, model in reversed(models.items())}
    names = dict.fromkeys([*first.values(), *list(models)[::EVERY]])
    assert len(names) > 400
    path, read = tmp_path / "m.onnx", 0
    for name in names:
        path.write_bytes(models[name].SerializeToString())
        try:
            graph = read_onnx(path)
        except HarnessError as error:
            assert "\n" not in str(error), name  # noqa: PT017 - others are refused, too
            continue
        for kernel in graph.kernels:
            assert Block.parse(kernel.key) == kernel, name
            assert kernel.macs >= 0
        read += 1
    assert read > len(names) / 3
