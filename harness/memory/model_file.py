"""The graph of a .tflite file, as tflite-micro sees it."""

from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import FileFormatError, TargetFailed
from harness.memory.graph import INT_BYTES, Graph, Operator
from harness.runtimes.model_inputs.tflite_file import kind_of, load, some, type_of

PLANNED = b"OfflineMemoryAllocation"  # metadata with which a file brings its own plan
BITS = {"INT4": 4, "INT8": 8, "UINT8": 8, "BOOL": 8, "INT16": 16, "UINT16": 16, "FLOAT16": 16}
BITS |= {"INT32": 32, "UINT32": 32, "FLOAT32": 32, "INT64": 64, "UINT64": 64, "FLOAT64": 64}
_PLAIN = (
    "ABS ADD ARG_MAX ARG_MIN AVERAGE_POOL_2D BATCH_TO_SPACE_ND CAST CEIL CONCATENATION CONV_2D COS "
    "DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV ELU EQUAL EXP EXPAND_DIMS FILL FLOOR "
    "FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH "
    "L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR "
    "LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MINIMUM MUL NEG NOT_EQUAL PACK PAD PADV2 "
    "PRELU QUANTIZE RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR ROUND RSQRT "
    "SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE "
    "SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB TANH TRANSPOSE UNPACK ZEROS_LIKE"
)
PLAIN = frozenset(_PLAIN.split())
"""Operators whose reference kernels ask for nothing besides their maps."""


def read_graph(path: Path) -> Graph:
    """The graph of a file with one network.

    Raises:
        FileFormatError: it is no .tflite file.
        TargetFailed: it has what no plan is known of here.
        MissingExtra: the package ai-edge-litert is not installed.
    """
    model = load(path)
    try:
        return _graph(path, model)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise FileFormatError(f"{path} is no whole .tflite file: {error!r:.200}") from error


def _graph(path: Path, model: Any) -> Graph:
    if any(each.name == PLANNED for each in some(model.metadata)):
        raise TargetFailed(f"{path} brings a memory plan of its own")
    graph, *others = model.subgraphs
    if others:
        raise TargetFailed(f"{path} has {len(model.subgraphs)} graphs: one is planned here")
    sizes = tuple(_size_bytes(path, model, tensor) for tensor in graph.tensors)
    operators = []
    for each in some(graph.operators):
        inputs = tuple(int(number) for number in some(each.inputs) if number >= 0)
        outputs = tuple(int(number) for number in some(each.outputs))
        kind = kind_of(model.operatorCodes[each.opcodeIndex])
        asked = _scratch_bytes(
            path, kind, [graph.tensors[number] for number in (*inputs, *outputs)]
        )
        operators.append(Operator(kind, inputs, outputs, asked))
    inputs, outputs = (tuple(map(int, some(ends))) for ends in (graph.inputs, graph.outputs))
    if not all(0 <= number < len(sizes) for number in (*inputs, *outputs)):
        raise IndexError("an input or output that it does not have")
    return Graph(sizes, tuple(operators), inputs, outputs)


def _size_bytes(path: Path, model: Any, tensor: Any) -> int:
    """Of a map; 0 of what lies in the file, or beside the plan."""
    if tensor.isVariable or len(some(model.buffers[tensor.buffer].data)):
        return 0
    name = type_of(tensor).upper()
    if name not in BITS:
        raise TargetFailed(f"{path} has a map of {name}, whose size is not known")
    return -(-_elements(tensor) * BITS[name] // 8)


def _elements(tensor: Any) -> int:
    return int(np.prod(some(tensor.shape), dtype=np.int64))


def _scratch_bytes(path: Path, kind: str, tensors: list[Any]) -> tuple[int, ...]:
    """What a reference kernel asks for while it runs; `tensors`: its inputs, then its output."""
    if kind in PLAIN and (len(tensors) < 2 or type_of(tensors[1]).upper() != "INT4"):
        return ()
    if kind in ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN"):
        indices = (INT_BYTES * len(some(tensors[0].shape)), INT_BYTES * _elements(tensors[1]))
        exact = kind.startswith("REDUCE") or type_of(tensors[0]).upper() == "FLOAT32"
        return indices if exact else (INT_BYTES * _elements(tensors[-1]), *indices)
    raise TargetFailed(f"{path} has {kind}: what tflite-micro keeps for it is not known here")
