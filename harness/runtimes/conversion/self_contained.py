"""A .tflite file whose weights lie inside its flatbuffer, where every reader looks for them.

ai-edge-quantizer puts them behind it, as only files above 2 GB need. TFLite Micro takes such
weights for variables: it complains of nothing, and its outputs do not depend on the input.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from harness.runtimes.conversion.flatbuffer import written

NOWHERE = 1  # an offset up to this one says that nothing lies behind the flatbuffer


def self_contained(content: bytes) -> bytes:
    """The same file with all its weights inside."""
    model = schema.ModelT.InitFromPackedBuf(content)
    for buffer in model.buffers:
        if buffer.offset > NOWHERE:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
    return written(model)


def without_names(content: bytes) -> bytes:
    """The same file without names of its tensors, which take 600 bytes each; those of inputs and
    outputs stay, and the weights are inside."""
    model = schema.ModelT.InitFromPackedBuf(content)
    for graph in model.subgraphs:
        ends = {*graph.inputs, *graph.outputs}
        for number, tensor in enumerate(graph.tensors):
            if number not in ends:
                tensor.name = None
    return written(model)
