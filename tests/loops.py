"""Networks that take as long as is wanted."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def loop_model(path: Path, steps: int, width: int) -> Path:
    """`steps` multiplications by a matrix, one after the other, in a loop."""
    weights = np.full((width, width), 1 / width, np.float32)
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["goes_on"]),
            helper.make_node("MatMul", ["before", "weights"], ["after"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", TensorProto.FLOAT, [width, width]),
        ],
        [
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", TensorProto.FLOAT, [width, width]),
        ],
    )
    graph = helper.make_graph(
        [helper.make_node("Loop", ["steps", "always", "x"], ["y"], body=body)],
        "looping",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [width, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [width, width])],
        [
            numpy_helper.from_array(np.array(steps, np.int64), "steps"),
            numpy_helper.from_array(np.array(True), "always"),
            numpy_helper.from_array(weights, "weights"),
        ],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[opset]), path)
    return path
