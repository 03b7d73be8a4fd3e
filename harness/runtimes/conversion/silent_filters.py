"""Biases of filters whose weights are all zero, which ai-edge-quantizer loses.

It takes a scale of next to nothing for such weights, and biases count in steps of that scale times
the input's: more steps than 32 bits hold. Pruning leaves such filters, and a bias is all that they
put out.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from harness.runtimes.conversion.flatbuffer import written

NOTHING = 1e-11  # the scale of weights that are zero, 1e-9 over 127, and below


def with_their_biases(int8: bytes, exact: bytes) -> bytes:
    """The int8 file made of the float file `exact`, with all biases."""
    model, before = (schema.ModelT.InitFromPackedBuf(each) for each in (int8, exact))
    changed = False
    for ours, theirs in zip(_with_bias(model), _with_bias(before), strict=True):
        x, weight, bias = ours
        scales = np.array(weight.quantization.scale, np.float32)
        silent = scales <= NOTHING
        if silent.any():
            changed, step = True, np.float32(x.quantization.scale[0])
            values = _values(before, theirs[2], np.float32)[silent]
            # Any scale will do for zeros: one with which 16 of the 32 bits hold the bias.
            scales[silent] = np.maximum(np.abs(values), 1e-3) / 2**15 / step
            rounded = _values(model, bias, np.int32).copy()
            rounded[silent] = np.round(values / (scales[silent] * step))
            weight.quantization.scale, bias.quantization.scale = scales, scales * step
            bias.buffer = len(model.buffers)
            model.buffers.append(schema.BufferT(rounded.view(np.uint8)))
    return written(model) if changed else int8


def _with_bias(model: Any) -> Iterator[tuple[Any, Any, Any]]:
    """Input, weights and bias of each operator that has a bias."""
    for graph in model.subgraphs:
        for operator in graph.operators:
            inputs = [graph.tensors[each] for each in operator.inputs]
            if len(inputs) == 3 and -1 not in operator.inputs and len(inputs[2].shape) == 1:
                yield inputs[0], inputs[1], inputs[2]


def _values(model: Any, tensor: Any, kind: type) -> Any:
    return np.frombuffer(bytes(model.buffers[tensor.buffer].data), kind)
