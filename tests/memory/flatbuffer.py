"""Small .tflite files, made operator by operator."""

from collections.abc import Sequence
from pathlib import Path

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


class Writer:
    """One graph of int8 maps that all have the same scale."""

    def __init__(self) -> None:
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.buffers = [schema.BufferT()]
        self.model.operatorCodes = []
        self.graph = schema.SubGraphT()
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]

    def map(self, *shape: int, data: np.ndarray | None = None) -> int:
        """A map, or the int32 constant that lies in the file; its number."""
        tensor = schema.TensorT()
        tensor.shape, tensor.buffer = np.array(shape, np.int32), 0
        tensor.type = schema.TensorType.INT8 if data is None else schema.TensorType.INT32
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.full(1, 0.1, np.float32)
        tensor.quantization.zeroPoint = np.zeros(1, np.int64)
        if data is not None:
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT(np.frombuffer(data.tobytes(), np.uint8)))
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def run(self, kind: str, inputs: Sequence[int], output: int, options: object = None) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
        code.version = 2
        self.model.operatorCodes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs = np.array(inputs, np.int32)
        operator.outputs = np.array([output], np.int32)
        operator.builtinOptions = options
        if options is not None:
            name = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, name)
        self.graph.operators.append(operator)

    def save(self, inputs: Sequence[int], outputs: Sequence[int], path: Path) -> Path:
        self.graph.inputs = np.array(inputs, np.int32)
        self.graph.outputs = np.array(outputs, np.int32)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        path.write_bytes(bytes(builder.Output()))
        return path
