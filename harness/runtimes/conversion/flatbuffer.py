"""A .tflite file that is written operator by operator."""

from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

Shape = tuple[int, ...]

ALIGNMENT = 16  # bytes; kernels read weights where they lie (`force_align` in TFLite's schema)
IDENTIFIER = b"TFL3"
# As litert-torch names them.
SIGNATURE, INPUT, OUTPUT = "serving_default", "args_0", "output_0"
TYPES = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}
SMALL = 16  # numbers; constants of so few are kept once


class _Aligned(schema.BufferT):  # type: ignore[misc]
    """A buffer that keeps its alignment, which packing in Python would lose."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802
        if self.data is not None:
            builder.Prep(ALIGNMENT, len(self.data))
        return int(super().Pack(builder))


def written(model: schema.ModelT) -> bytes:
    """The file, its buffers aligned."""
    model.buffers = [_Aligned(buffer.data) for buffer in model.buffers]
    weights = sum(0 if buffer.data is None else len(buffer.data) for buffer in model.buffers)
    builder = flatbuffers.Builder(weights + 1000 * len(model.buffers))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


class Writer:
    """A graph that grows; a tensor is known by its number."""

    def __init__(self, shape: Shape) -> None:
        """`shape` of what it takes, in float32."""
        self._codes: dict[tuple[int, int], int] = {}  # operator and version: its number
        self._operators: list[Any] = []
        self._tensors: list[Any] = []
        self._buffers: list[Any] = [schema.BufferT()]  # the first stays empty, by convention
        self._small: dict[tuple[str, Shape, bytes], int] = {}
        self.input = self._tensor(f"{SIGNATURE}_{INPUT}", shape, "float32", None)

    def shape(self, tensor: int) -> Shape:
        shape: Shape = self._tensors[tensor].shape
        return shape

    def constant(self, values: npt.NDArray[Any]) -> int:
        """A tensor of the file's own."""
        dtype, data = values.dtype.name, np.ascontiguousarray(values).reshape(-1).view(np.uint8)
        name = f"constant_{len(self._tensors)}"
        if values.size > SMALL:
            return self._tensor(name, values.shape, dtype, data)
        key = (dtype, values.shape, data.tobytes())
        if key not in self._small:
            self._small[key] = self._tensor(name, values.shape, dtype, data)
        return self._small[key]

    def add(
        self,
        operator: str,
        inputs: Sequence[int],
        shape: Shape,
        options: Any = None,
        version: int = 1,
    ) -> int:
        """An operator; its output, of that shape."""
        code = getattr(schema.BuiltinOperator, operator)
        kind = type(options).__name__.removesuffix("T")
        output = self._tensor(f"{operator.lower()}_{len(self._tensors)}", shape, "float32", None)
        self._operators.append(
            schema.OperatorT(
                opcodeIndex=self._codes.setdefault((code, version), len(self._codes)),
                inputs=list(inputs),
                outputs=[output],
                builtinOptionsType=getattr(schema.BuiltinOptions, kind) if options else 0,
                builtinOptions=options,
            )
        )
        return output

    def file(self, output: int) -> bytes:
        """All of it, which gives `output`."""
        self._tensors[output].name = f"{SIGNATURE}_{OUTPUT}"
        signature = schema.SignatureDefT(
            inputs=[schema.TensorMapT(INPUT, self.input)],
            outputs=[schema.TensorMapT(OUTPUT, output)],
            signatureKey=SIGNATURE,
        )
        graph = schema.SubGraphT(
            tensors=self._tensors,
            inputs=[self.input],
            outputs=[output],
            operators=self._operators,
            name="main",
        )
        codes = [
            schema.OperatorCodeT(deprecatedBuiltinCode=code, builtinCode=code, version=version)
            for code, version in self._codes
        ]
        return written(
            schema.ModelT(
                version=3,
                operatorCodes=codes,
                subgraphs=[graph],
                buffers=self._buffers,
                signatureDefs=[signature],
            )
        )

    def _tensor(
        self, name: str, shape: Shape, dtype: str, data: npt.NDArray[np.uint8] | None
    ) -> int:
        self._buffers.append(schema.BufferT(data))
        self._tensors.append(
            schema.TensorT(
                shape=shape,
                type=TYPES[dtype],
                buffer=len(self._buffers) - 1,
                name=name,
                hasRank=True,
            )
        )
        return len(self._tensors) - 1
