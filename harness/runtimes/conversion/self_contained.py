"""A .tflite file whose weights lie inside its flatbuffer, where every reader looks for them.

ai-edge-quantizer puts them behind it, as only files above 2 GB need. TFLite Micro takes such
weights for variables: it complains of nothing, and its outputs do not depend on the input.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

ALIGNMENT = 16  # bytes; kernels read weights where they lie (`force_align` in TFLite's schema)
NOWHERE = 1  # an offset up to this one says that nothing lies behind the flatbuffer
IDENTIFIER = b"TFL3"


class _Aligned(schema.BufferT):  # type: ignore[misc]
    """A buffer that keeps its alignment, which packing in Python would lose."""

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802
        if self.data is not None:
            builder.Prep(ALIGNMENT, len(self.data))
        return int(super().Pack(builder))


def self_contained(content: bytes) -> bytes:
    """The same file with all its weights inside."""
    model = schema.ModelT.InitFromPackedBuf(content)
    model.buffers = [
        _Aligned(
            np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            if buffer.offset > NOWHERE
            else buffer.data
        )
        for buffer in model.buffers
    ]
    return _packed(model, len(content))


def without_names(content: bytes) -> bytes:
    """The same file without names of its tensors, which take 600 bytes each; those of inputs and
    outputs stay, and the weights are inside."""
    model = schema.ModelT.InitFromPackedBuf(content)
    model.buffers = [_Aligned(each.data) for each in model.buffers]
    for graph in model.subgraphs:
        ends = {*graph.inputs, *graph.outputs}
        for number, tensor in enumerate(graph.tensors):
            if number not in ends:
                tensor.name = None
    return _packed(model, len(content))


def _packed(model: schema.ModelT, size: int) -> bytes:
    builder = flatbuffers.Builder(size)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
