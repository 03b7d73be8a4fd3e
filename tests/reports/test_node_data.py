"""Times of a file's nodes, in the form that Google's Model Explorer reads."""

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import UsageError
from harness.reports.node_data import node_data, save_node_data
from harness.runtimes import onnxruntime, openvino
from harness.runtimes.conversion.onnx import OPSET, OnnxConverter
from harness.runtimes.model_inputs.onnx_file import read_nodes
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import OpTime, ProfilingSession
from harness.spaces.digits import DIGITS
from harness.transports.local import LocalTransport
from tests.small_models import FLOAT, SIZE, given, save, square


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    """A network of digits as a file of others, its node data, and what was said."""
    folder = tmp_path_factory.mktemp("nodes")
    model, data = folder / "net.onnx", folder / "net.json"
    model.write_bytes(OnnxConverter(1, OPSET).make(DIGITS.blocks(DIGITS.largest)))
    with closing(onnxruntime.open_session(LocalTransport(), RuntimeOptions())) as session:
        assert isinstance(session, ProfilingSession)
        ops = session.profile_ops(model)
    return model, data, save_node_data(data, "cpu-onnxruntime", read_nodes(model), ops)


def test_every_convolution_is_timed_at_itself_or_what_it_became_one_with(
    written: tuple[Path, Path, str],
) -> None:
    model, path, _ = written
    (graph, told), *others = json.loads(path.read_text()).items()
    loaded = onnx.load(model).graph
    assert (graph, others) == (loaded.name, [])
    assert told["results"].keys() <= {node.name for node in loaded.node}
    convolutions = [node for node in loaded.node if node.op_type == "Conv"]
    assert len(convolutions) > 20
    for one in convolutions:
        behind = [node for node in loaded.node if one.output[0] in node.input]
        names = {one.name, *(node.name for node in behind)}
        names |= {n.name for node in behind for n in loaded.node if node.output[0] in n.input}
        assert any(told["results"].get(name, {"value": 0})["value"] > 0 for name in names), names


def test_it_is_said_how_much_of_the_time_the_file_holds(written: tuple[Path, Path, str]) -> None:
    nodes, ops = {"g": {"a": ["x"]}}, [OpTime("o", 2, 4.0, [("a", 3.0), ("made", 1.0)])]
    said = save_node_data(written[1].with_name("other.json"), "d", nodes, ops)
    assert "1 nodes of the file, 75% of the time" in said
    assert "44 nodes of the file" in written[2]


def test_openvino_tells_nodes_of_the_file_too(written: tuple[Path, Path, str]) -> None:
    pytest.importorskip("openvino", reason="openvino is not installed")
    with closing(openvino.open_session(LocalTransport(), RuntimeOptions())) as session:
        assert isinstance(session, ProfilingSession)
        ops = session.profile_ops(written[0])
    content, placed_ms = node_data("cpu-openvino", read_nodes(written[0]), ops)
    (told,) = content.values()
    assert placed_ms == pytest.approx(sum(each.mean_ms for each in ops))
    assert sum(name.endswith("/Conv") for name in told["results"]) > 20  # those of 1 us or more


def test_model_explorers_own_classes_read_the_file(written: tuple[Path, Path, str]) -> None:
    builder: Any = pytest.importorskip(
        "model_explorer.node_data_builder", reason="ai-edge-model-explorer is not installed"
    )
    content = json.loads(written[1].read_text())
    read = builder.ModelNodeData(
        {
            graph: builder.GraphNodeData(
                results={n: builder.NodeDataResult(**r) for n, r in told.pop("results").items()},
                gradient=[builder.GradientItem(**each) for each in told.pop("gradient")],
                **told,
            )
            for graph, told in json.loads(written[1].read_text()).items()
        }
    )
    again = json.loads(read.to_json_string())
    for graph, told in content.items():
        assert {name: again[graph][name] for name in told} == told


def test_model_explorers_graph_has_the_nodes(written: tuple[Path, Path, str]) -> None:
    reader: Any = pytest.importorskip(
        "model_explorer_onnx.main", reason="model-explorer-onnx is not installed"
    )
    graphs = reader.ONNXAdapter().convert(str(written[0]), {})["graphs"]
    known = {graph.id: {node.id for node in graph.nodes} for graph in graphs}
    for graph, told in json.loads(written[1].read_text()).items():
        assert told["results"].keys() <= known[graph]


def test_what_runtimes_make_of_nodes_is_told_of_those_and_nothing_is_guessed() -> None:
    nodes = {"g": {"Conv": ["a"], "/1/MatMul": ["b"], "Conv_1": ["c"]}}
    told = [("Conv", 1.0), ("Conv_1", 2.0), ("a_nchwc", 4.0), ("/1/MatMul/MatMulScaleFusion/", 8.0)]
    unknown = [("Conv_12", 16.0), ("ReorderOutput", 32.0), ("Convolution", 64.0)]
    content, placed_ms = node_data("d", nodes, [OpTime("x", 7, 127.0, [*told, *unknown])])
    values = {name: each["value"] for name, each in content["g"]["results"].items()}
    assert values == {"Conv": 5.0, "Conv_1": 2.0, "/1/MatMul": 8.0}
    assert placed_ms == 15.0


def test_runtimes_and_files_without_nodes_are_refused_before_anything_is_timed(
    tmp_path: Path,
) -> None:
    (tmp_path / "m.tflite").write_bytes(b"")
    words = [str(tmp_path / "m.tflite"), "--node-data", str(tmp_path / "n.json")]
    done = CliRunner().invoke(app, ["benchmark", *words, "--device", "cpu-litert"])
    assert isinstance(done.exception, UsageError)
    assert "litert tells no times of single nodes; onnxruntime and openvino do" in str(
        done.exception
    )


@pytest.mark.parametrize("name", ["", "x" * 3000])
def test_names_that_nobody_could_show_are_no_error(tmp_path: Path, name: str) -> None:
    weights: dict[str, np.ndarray] = {"w": square()}
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"], name=name)]
    model = save(tmp_path / "m.onnx", nodes, [given("x", FLOAT, [4, SIZE])], weights)
    with closing(onnxruntime.open_session(LocalTransport(), RuntimeOptions())) as session:
        assert isinstance(session, ProfilingSession)
        (op,) = session.profile_ops(model)
    assert op.op == "MatMul"
    assert len(op.nodes) == 1
