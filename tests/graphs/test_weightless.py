"""Weights are skipped where a model file is read; what steers stays."""

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from hypothesis import given  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from onnx import numpy_helper  # noqa: E402

from harness.errors import FileFormatError  # noqa: E402
from harness.graphs import by_onnxruntime  # noqa: E402
from harness.graphs.by_onnxruntime import read_onnx  # noqa: E402
from harness.graphs.weightless import without_weights  # noqa: E402
from tests.graphs.test_by_onnxruntime import residual  # noqa: E402


def test_a_file_without_weights_is_small_and_else_the_same(tmp_path: Path) -> None:
    path = residual(tmp_path / "m.onnx")
    bare, whole = onnx.load_model_from_string(without_weights(path)), onnx.load(path)
    assert len(without_weights(path)) < path.stat().st_size / 50
    assert [each.name for each in bare.graph.initializer] == [
        each.name for each in whole.graph.initializer
    ]
    for kept, own in zip(bare.graph.initializer, whole.graph.initializer, strict=True):
        assert kept.dims == own.dims
        if own.name == "scale":  # 64 numbers
            assert kept == own
    assert bare.graph.node == whole.graph.node


@given(st.integers(1, 900))
def test_weights_that_are_written_as_numbers_are_skipped_too(size: int) -> None:
    import tempfile

    values = np.arange(size, dtype=np.float32)
    tensor = onnx.helper.make_tensor("w", onnx.TensorProto.FLOAT, [size], values.tolist())
    whole = onnx.numpy_helper.from_array(np.arange(size), "indices")
    graph = onnx.helper.make_graph([], "g", [], [], [tensor, whole])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(onnx.helper.make_model(graph).SerializeToString())
        bare = onnx.load_model_from_string(without_weights(path))
    first, second = bare.graph.initializer
    assert len(first.float_data) == (size if size <= 64 else 0)
    assert second == whole  # indices tell sizes


@given(st.binary(max_size=200))
def test_what_is_no_model_is_refused_or_passed_on(content: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        path.write_bytes(content)
        try:
            without_weights(path)
        except ValueError as error:
            assert str(error)  # noqa: PT017 - the others are no concern of this reader


def test_weights_in_a_file_beside_the_model_are_not_read(tmp_path: Path) -> None:
    graph = read_onnx(residual(tmp_path / "m.onnx"))
    model = onnx.load(tmp_path / "m.onnx")
    outside = tmp_path / "outside" / "m.onnx"
    outside.parent.mkdir()
    onnx.save(model, outside, save_as_external_data=True, location="w.bin", size_threshold=0)
    assert read_onnx(outside).kernels == graph.kernels


def test_kernels_are_read_once_and_again_where_the_file_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    graph = read_onnx(residual(tmp_path / "m.onnx"))
    with monkeypatch.context() as patch:
        patch.setattr(by_onnxruntime, "_read", None)  # nobody reads it
        assert read_onnx(tmp_path / "m.onnx") == graph
        model = onnx.load(tmp_path / "m.onnx")
        for held in model.graph.initializer:
            values = numpy_helper.to_array(held) * 2
            if values.size > 64:
                held.CopyFrom(numpy_helper.from_array(values, held.name))
        onnx.save(model, tmp_path / "trained.onnx")
        assert read_onnx(tmp_path / "trained.onnx") == graph  # of the same sizes
    assert read_onnx(residual(tmp_path / "m.onnx", 28)) != graph
    for kept in (tmp_path / "cache/graphs").glob("*.json"):
        kept.write_bytes(kept.read_bytes()[:-9])  # a disk lost the end
    assert read_onnx(residual(tmp_path / "m.onnx")) == graph


def test_what_steers_in_a_file_beside_the_model_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))

    def cut(end: int) -> tuple[int, ...]:
        """The shape that is left of ten columns."""
        value = onnx.helper.make_tensor_value_info
        numbers = [("starts", 0), ("ends", end), ("axes", 1)]
        held = [numpy_helper.from_array(np.array([number]), name) for name, number in numbers]
        node = onnx.helper.make_node("Slice", ["x", *(name for name, _ in numbers)], ["y"])
        given, made = value("x", 1, [64, 10]), value("y", 1, [64, "columns"])
        graph = onnx.helper.make_graph([node], "g", [given], [made], held)
        model = onnx.helper.make_model(
            graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
        )
        path = tmp_path / "m.onnx"
        (tmp_path / "w.bin").unlink(missing_ok=True)
        onnx.save(model, path, save_as_external_data=True, location="w.bin", size_threshold=0)
        (kernel,) = read_onnx(path).kernels
        return kernel.output_shape

    assert [cut(4), cut(7)] == [(64, 4), (64, 7)]


def test_a_file_that_ends_early_is_one_line(tmp_path: Path) -> None:
    path = residual(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(FileFormatError, match="is no ONNX file: it ends within the field"):
        read_onnx(path)
