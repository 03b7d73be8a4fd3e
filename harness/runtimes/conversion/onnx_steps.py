"""Translators as .onnx files: a loop over the steps of the decoder, with keys and values kept."""

import io
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import onnx
import torch
from onnx import NodeProto, TensorProto, ValueInfoProto, compose, helper, numpy_helper
from torch import Tensor, nn

if TYPE_CHECKING:
    from harness.networks.layers import Translator

INPUT = "images"  # as of all files
BEGIN, TURN = "begin/", "turn/"  # what names of the two parts start with
_LARGE = 4096  # numbers of a matrix that a file of random weights holds as a product
_TRACED = 2  # tokens that are kept while a step is traced


def translator_file(network: "Translator", example: Tensor, opset: int, random: bool) -> bytes:
    """The file of a translator.

    Where its weights are `random`, matrices are products of a column and a row, which a runtime
    multiplies when it loads them: 1 MB instead of 300.
    """
    with torch.no_grad():
        first, source, empty = network.begin(example)
    kept = [each.new_zeros(*each.shape[:2], _TRACED, each.shape[3]) for each in _flat(empty)]
    sources = [f"source{number}" for number in range(len(_flat(source)))]
    before, after = ([f"{when}{n}" for n in range(len(kept))] for when in ("before", "after"))
    begin = _traced(_Begin(network), [example], [INPUT], ["first", *sources], [], opset)
    turn = _traced(
        _Turn(network),
        [first, *kept, *_flat(source)],
        ["token", *before, *sources],
        ["output", "next", *after],
        [*before, *after],
        opset,
    )
    weights = {name: each.detach().numpy() for name, each in network.named_parameters()}
    made = _random(weights) if random else _as_they_are(weights)
    file: bytes = _looped(begin, turn, network, _flat(empty), made).SerializeToString()
    return file


class _Begin(nn.Module):
    """The source, to the first token and to keys and values of each layer of the decoder."""

    def __init__(self, network: "Translator") -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        first, source, _ = self.network.begin(x)
        return first, *_flat(source)


class _Turn(nn.Module):
    """A token, what is kept, and the source, to an output, the next token, and what is kept now."""

    def __init__(self, network: "Translator") -> None:
        super().__init__()
        self.network = network

    def forward(self, y: Tensor, *given: Tensor) -> tuple[Tensor, ...]:
        kept = 2 * len(self.network.kept)
        output, y, after = self.network.turn(y, _pairs(given[kept:]), _pairs(given[:kept]))
        return output, y, *_flat(after)


def _flat(pairs: Iterable[Sequence[Tensor]]) -> list[Tensor]:
    return [each for pair in pairs for each in pair]


def _pairs(flat: Sequence[Tensor]) -> list[Sequence[Tensor]]:
    return [flat[start : start + 2] for start in range(0, len(flat), 2)]


def _traced(
    module: nn.Module,
    example: Sequence[Tensor],
    inputs: list[str],
    outputs: list[str],
    growing: Sequence[str],
    opset: int,
) -> onnx.ModelProto:
    """A part; its weights are inputs behind its own. The third axis of those `growing`, tokens,
    differs from step to step."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            module.eval(),
            tuple(example),
            file,  # type: ignore[arg-type]
            dynamo=False,
            opset_version=opset,
            export_params=False,
            do_constant_folding=False,
            input_names=inputs,
            output_names=outputs,
            dynamic_axes={name: {2: f"{name}_tokens"} for name in growing},
        )
    return onnx.load_from_string(file.getvalue())


def _looped(
    begin: onnx.ModelProto,
    turn: onnx.ModelProto,
    network: "Translator",
    empty: Sequence[Tensor],
    weights: tuple[list[TensorProto], list[NodeProto]],
) -> onnx.ModelProto:
    """One graph: the beginning, and a loop whose body is a turn.

    What does not change from turn to turn stands before the loop.
    """
    outer, inner = (_prefixed(part, name).graph for part, name in ((begin, BEGIN), (turn, TURN)))
    first, source = outer.output[0], outer.input[0].type
    carried = inner.input[: 1 + len(empty)]
    output, *carried_on = inner.output
    constants, made = weights
    changing = {each.name for each in carried}
    hoisted, body = [], []
    for node in inner.node:
        if changing.isdisjoint(node.input):
            hoisted.append(node)
        else:
            changing.update(node.output)
            body.append(node)
    loop = helper.make_graph(
        [*body, helper.make_node("Identity", ["go"], ["go_on"])],
        "turn",
        [_info("number", TensorProto.INT64), _info("go", TensorProto.BOOL), *carried],
        [_info("go_on", TensorProto.BOOL), *carried_on, output],
    )
    nothing = [
        numpy_helper.from_array(each.numpy(), f"nothing{number}")
        for number, each in enumerate(empty)
    ]
    batch, steps, width = (dim.dim_value for dim in output.type.tensor_type.shape.dim)
    shape = [batch, steps * network.turns, width]
    numbers = [
        numpy_helper.from_array(np.array(value, np.int64), name)
        for name, value in (("turns", network.turns), ("shape", shape))
    ]
    given = ["turns", "", first.name, *(each.name for each in nothing)]
    last = [f"last{number}" for number in range(len(carried_on))]
    nodes = [
        *(*made, *outer.node, *hoisted),
        helper.make_node("Loop", given, [*last, "by_turn"], body=loop),
        helper.make_node("Transpose", ["by_turn"], ["by_image"], perm=[1, 0, 2, 3]),
        helper.make_node("Reshape", ["by_image", "shape"], ["output"]),
    ]
    used = {name for node in (*nodes, *body) for name in node.input}
    graph = helper.make_graph(
        nodes,
        "translator",
        [helper.make_value_info(INPUT, source)],
        [_info("output", TensorProto.FLOAT, shape)],
        [each for each in (*constants, *nothing, *numbers) if each.name in used],
    )
    return helper.make_model(graph, opset_imports=begin.opset_import, ir_version=begin.ir_version)


def _prefixed(part: onnx.ModelProto, prefix: str) -> onnx.ModelProto:
    """With names of its own, but for weights, which the parts share, and the source's."""
    shared = {each.name for each in part.graph.input if each.name.startswith("network.")}
    renamed: onnx.ModelProto = compose.add_prefix(part, prefix)
    for node in renamed.graph.node:
        for index, name in enumerate(node.input):
            bare = name.removeprefix(prefix)
            if bare in shared:
                node.input[index] = bare.removeprefix("network.")
            elif bare.startswith("source"):
                node.input[index] = BEGIN + bare
            elif bare == INPUT:
                node.input[index] = bare
    return renamed


def _info(name: str, kind: int, shape: Sequence[int] = ()) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, shape)


def _as_they_are(weights: dict[str, np.ndarray]) -> tuple[list[TensorProto], list[NodeProto]]:
    return [numpy_helper.from_array(each, name) for name, each in weights.items()], []


def _random(weights: dict[str, np.ndarray]) -> tuple[list[TensorProto], list[NodeProto]]:
    """Their leading column and row instead of large matrices, and what multiplies them."""
    constants, nodes = [], []
    for name, each in weights.items():
        if each.size <= _LARGE:
            constants.append(numpy_helper.from_array(each, name))
            continue
        parts = {f"{name}/column": each[:, :1], f"{name}/row": each[:1] / each[:1].std()}
        constants += [numpy_helper.from_array(part, part_name) for part_name, part in parts.items()]
        nodes.append(helper.make_node("Mul", [*parts], [name]))
    return constants, nodes
