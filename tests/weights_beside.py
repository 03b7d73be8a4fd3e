"""A model file that keeps its weights in a file beside it."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, external_data_helper, helper, numpy_helper


def save_beside(weights: npt.NDArray[np.float32], model: Path, name: str) -> Path:
    """Multiplies its input [1, rows] by weights [rows, columns], which lie at `name`."""
    rows, columns = weights.shape
    tensor = numpy_helper.from_array(weights, "weights")
    external_data_helper.set_external_data(tensor, name, offset=0, length=weights.nbytes)
    tensor.ClearField("raw_data")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "weights"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, columns])],
        [tensor],
    )
    opset = helper.make_opsetid("", 13)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[opset]), model)
    path = model.parent / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(weights.tobytes())
    return model
