"""What a .tflite file is made of, and whether that is what its blocks should become."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
