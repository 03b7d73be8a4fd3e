"""What a .tflite file is made of, and whether that is what its blocks should become."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import FileFormatError
from harness.spaces.block import Block
from harness.spaces.transformer import Transformer


@dataclass(frozen=True)
class Graph:
    """A file's operators, and how XNNPACK takes them on the CPU of this machine."""

    ops: Mapping[str, int]  # how many of each, as the file has them
    partitions: int  # runs of operators that XNNPACK executes as one
    left_out: Mapping[str, int]  # what it leaves to the slower kernels in between


def read_graph(content: bytes) -> Graph:
    """The graph of a .tflite file; 10 ms for a whole network.

    Raises:
        FileFormatError: it is no such file, or holds what this LiteRT cannot run.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        interpreter = Interpreter(model_content=content)
        ops = Counter(node["op_name"] for node in interpreter._get_ops_details())
        # Only now the XNNPACK delegate is applied: a node of its own for each partition is added
        # behind the file's nodes, which stay listed.
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise FileFormatError(f"LiteRT cannot run this .tflite file: {error}") from error
    nodes = interpreter._get_ops_details()
    executed = _executed(nodes, [each["index"] for each in interpreter.get_output_details()])
    partitions = executed.pop("DELEGATE", 0)
    return Graph(ops, partitions, executed)


def _executed(nodes: Sequence[Mapping[str, Any]], outputs: Sequence[int]) -> Counter[str]:
    """How many nodes of each operator are run: those from which the outputs follow."""
    maker = {int(tensor): node for node in nodes for tensor in node["outputs"]}  # delegates win
    executed: dict[int, str] = {}
    waiting = list(outputs)
    while waiting:
        node = maker.get(int(waiting.pop()))
        if node is not None and node["index"] not in executed:
            executed[node["index"]] = node["op_name"]
            waiting.extend(node["inputs"])
    return Counter(executed.values())


def complaints(graph: Graph, blocks: Sequence[Block], precision: str) -> tuple[str, ...]:
    """What is in the graph of these blocks that a faithful conversion would not have.

    In int8 only the operators are judged: XNNPACK has no 8-bit HARD_SWISH, so that it takes such
    networks in many partitions whoever converts them.
    """
    if any(isinstance(block, Transformer) for block in blocks):
        return ()  # attention has transposes of its own; outputs are compared all the same
    found = []
    if transposes := graph.ops.get("TRANSPOSE", 0):
        found.append(f"{transposes} TRANSPOSE")
    depthwise = graph.ops.get("DEPTHWISE_CONV_2D", 0)
    expected = sum(_is_depthwise(block) for block in blocks)
    if depthwise != expected:
        found.append(f"{depthwise} DEPTHWISE_CONV_2D instead of {expected}")
    if precision == "int8":
        return tuple(found)
    pools = [number for number, block in enumerate(blocks) if block.kind == "maxpool"]
    partitions = 1 + sum(number > 0 for number in pools)
    # torch pads before max-pooling with minus infinity, an operator that XNNPACK does not have.
    left_out = Counter(graph.left_out) - Counter({"PADV2": len(pools)})
    if graph.partitions != partitions or left_out:
        by = f", split by {', '.join(sorted(left_out))}" if left_out else ""
        found.append(f"{graph.partitions} XNNPACK partitions instead of {partitions}{by}")
    return tuple(found)


def _is_depthwise(block: Block) -> bool:
    """Of one channel every convolution is."""
    return block.kind == "mbconv" or (block.kind == "conv" and block.input_shape[0] == 1)


@dataclass(frozen=True)
class Tensor:
    """What a file says of a tensor, its number and its name aside."""

    type: int
    shape: tuple[int, ...]
    scales: tuple[float, ...]  # of 8 bits, with
    zero_points: tuple[int, ...]


@dataclass(frozen=True)
class Operator:
    name: str
    version: int
    options: Mapping[str, Any]
    inputs: tuple[Any, ...]  # which output of which operator (-1: the file's inputs), or a constant
    values: tuple[npt.NDArray[Any], ...]  # of its constants
    outputs: tuple[Tensor, ...]


def operators(content: bytes) -> Iterator[Operator]:
    """Of a .tflite file with one graph, in the order in which they are executed."""
    from ai_edge_litert import schema_py_generated as schema

    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    types = schema.TensorType
    dtypes = {types.FLOAT32: np.float32, types.INT32: np.int32, types.INT8: np.int8}
    model = schema.ModelT.InitFromPackedBuf(content)
    (graph,) = model.subgraphs
    made: dict[int, Any] = {int(each): (-1, place) for place, each in enumerate(graph.inputs)}

    def tensor_of(number: int) -> Tensor:
        tensor = graph.tensors[number]
        steps = tensor.quantization or schema.QuantizationParametersT()
        told = (tensor.shape, steps.scale, steps.zeroPoint)
        return Tensor(tensor.type, *(() if each is None else tuple(each) for each in told))

    for place, operator in enumerate(graph.operators):
        code, options = model.operatorCodes[operator.opcodeIndex], operator.builtinOptions
        inputs = [int(each) for each in operator.inputs]
        constants = [graph.tensors[each] for each in inputs if each not in made]
        yield Operator(
            names[code.builtinCode],
            code.version,
            {} if options is None else vars(options),
            tuple(made.get(each) or tensor_of(each) for each in inputs),
            tuple(
                np.frombuffer(bytes(model.buffers[each.buffer].data), dtypes[each.type])
                for each in constants
            ),
            tuple(tensor_of(each) for each in operator.outputs),
        )
        made |= {int(each): (place, which) for which, each in enumerate(operator.outputs)}


def difference(ours: bytes, theirs: bytes) -> str:
    """The first one in what two files compute and how; nothing where there is none."""
    mine, others = list(operators(ours)), list(operators(theirs))
    for number, (one, other) in enumerate(zip(mine, others, strict=False)):
        for what in ("name", "version", "options", "inputs", "outputs"):
            a, b = getattr(one, what), getattr(other, what)
            if a != b:
                return f"{what} {a} instead of {b} in operator {number}, {other.name}"
        if not all(map(_alike, one.values, other.values)):
            return f"other weights in operator {number}, {other.name}"
    return "" if len(mine) == len(others) else f"{len(mine)} operators instead of {len(others)}"


def _alike(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    """But for rounding."""
    return np.allclose(one, other, rtol=1e-5, atol=1e-7)
