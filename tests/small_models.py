"""Small models as people have them: loops, branches, tables of words, several graphs in a file."""

import warnings
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

Size = int | str | None
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
SIZE = 96


def given(name: str, dtype: int, shape: Sequence[Size]) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def save(
    path: Path,
    nodes: Sequence[NodeProto],
    inputs: Sequence[ValueInfoProto],
    weights: dict[str, np.ndarray] | None = None,
    rank: int = 2,
) -> Path:
    """A model whose output is called y."""
    made = [given("y", FLOAT, [None] * rank)]
    tensors = [numpy_helper.from_array(value, name) for name, value in (weights or {}).items()]
    graph = helper.make_graph(nodes, "g", inputs, made, tensors)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(
        graph, opset_imports=[opset, helper.make_opsetid("own", 1)], ir_version=8
    )
    onnx.save(model, path)
    return path


def square() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((SIZE, SIZE)).astype(np.float32) / SIZE


def loop(path: Path) -> Path:
    """`steps` says how often x is multiplied."""
    body = helper.make_graph(
        [
            helper.make_node("MatMul", ["before", "w"], ["after"]),
            helper.make_node("Identity", ["go"], ["on"]),
        ],
        "body",
        [given("i", INT64, []), given("go", TensorProto.BOOL, []), given("before", FLOAT, None)],  # type: ignore[arg-type]
        [given("on", TensorProto.BOOL, []), given("after", FLOAT, None)],  # type: ignore[arg-type]
    )
    node = helper.make_node("Loop", ["steps", "", "x"], ["y"], body=body)
    inputs = [given("steps", INT64, []), given("x", FLOAT, [64, SIZE])]
    return save(path, [node], inputs, {"w": square()})


def branches(path: Path) -> Path:
    """`sr` says which: 16000 the one of twenty multiplications, all else that of none."""

    def network(name: str, count: int) -> GraphProto:
        names = ["x", *(f"{name}{number}" for number in range(count + 1))]
        nodes = [
            helper.make_node("MatMul", [before, "w"], [after])
            for before, after in pairwise(names[:-1])
        ]
        nodes.append(helper.make_node("Identity", [names[-2]], [names[-1]]))
        return helper.make_graph(nodes, name, [], [given(names[-1], FLOAT, None)])  # type: ignore[arg-type]

    nodes = [
        helper.make_node("Equal", ["sr", "large"], ["is_large"]),
        helper.make_node(
            "If", ["is_large"], ["y"], then_branch=network("a", 20), else_branch=network("b", 0)
        ),
    ]
    inputs = [given("x", FLOAT, [64, SIZE]), given("sr", INT64, [])]
    return save(path, nodes, inputs, {"w": square(), "large": np.array(16000)})


def relu(path: Path, shape: Sequence[Size], dtype: int = FLOAT, name: str = "x") -> Path:
    node = helper.make_node("Relu", [name], ["y"])
    return save(path, [node], [given(name, dtype, shape)], rank=len(shape))


def words(path: Path, rows: int = 30_000) -> Path:
    """`ids` pick words, `segments` one of two, and `mask` leaves some out."""
    nodes = [
        helper.make_node("Gather", ["words", "ids"], ["word"]),
        helper.make_node("Gather", ["two", "segments"], ["segment"]),
        helper.make_node("Add", ["word", "segment"], ["sum"]),
        helper.make_node("Cast", ["mask"], ["weight"], to=FLOAT),
        helper.make_node("Unsqueeze", ["weight", "last"], ["weights"]),
        helper.make_node("Mul", ["sum", "weights"], ["y"]),
    ]
    inputs = [given(each, INT64, ["batch", "sequence"]) for each in ("ids", "segments", "mask")]
    weights = {
        "words": np.zeros((rows, 4), np.float32),
        "two": np.zeros((2, 4), np.float32),
        "last": np.array([-1]),
    }
    return save(path, nodes, inputs, weights, rank=3)


class Layers(torch.nn.Module):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(*(torch.nn.Linear(SIZE, SIZE) for _ in range(count)))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.layers(x)
        return result


class Words(torch.nn.Module):
    """`ids` pick from fifty rows; `mask` leaves some out."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = torch.nn.Embedding(50, 8)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        picked: torch.Tensor = self.rows(ids)
        return picked * mask.unsqueeze(-1).float()


def tflite(path: Path, *graphs: tuple[str, torch.nn.Module, tuple[torch.Tensor, ...]]) -> Path:
    """A file with a graph for each signature."""
    import litert_torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converter = litert_torch.signature(*_ready(graphs[0]))
        for graph in graphs[1:]:
            converter = converter.signature(*_ready(graph))
        converter.convert().export(str(path))
    return path


def _ready(
    graph: tuple[str, torch.nn.Module, tuple[torch.Tensor, ...]],
) -> tuple[str, torch.nn.Module, tuple[torch.Tensor, ...]]:
    name, network, example = graph
    return name, network.eval(), example


def two_graphs(path: Path) -> Path:
    """As language models have them: `decode` is one layer, `prefill` forty."""
    example = (torch.zeros(64, SIZE),)
    return tflite(path, ("decode", Layers(1), example), ("prefill", Layers(40), example))


def open_batch(path: Path) -> Path:
    """Images, channels first, as many as one likes."""
    import litert_torch

    network = torch.nn.Conv2d(3, 8, 3).eval()
    batch = torch.export.Dim("batch", min=1, max=64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        example = (torch.zeros(2, 3, 64, 64),)
        made = litert_torch.convert(network, example, dynamic_shapes={"input": {0: batch}})
        made.export(str(path))
    return path
