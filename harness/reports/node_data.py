"""Times of a model file's nodes, as Google's Model Explorer lays them over its graph.

Its node data are JSON: by graph, `results` with a `value` for each node's id, and a `gradient` of
colours from the least to the largest (`node_data_builder.py` of ai-edge-model-explorer). Its ONNX
adapter calls graphs and nodes as the file does.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import files
from harness.predictors.model_prediction import ModelPrediction
from harness.reports.style import COLOURS
from harness.runtimes.model_inputs.onnx_file import read_nodes
from harness.runtimes.session import OpTime

Nodes = Mapping[str, Mapping[str, Sequence[str]]]  # by graph and node, its outputs
_GRADIENT = [{"stop": 0, "bgColor": "#ffffff"}, {"stop": 1, "bgColor": COLOURS[1]}]


def save_node_data(path: Path, what: str, nodes: Nodes, ops: Sequence[OpTime]) -> str:
    """Write the file; how much of the time is in it, in words."""
    content, placed_ms = node_data(what, nodes, ops)
    files.write_text(path, json.dumps(content, indent=1) + "\n")
    total_ms = sum(ms for op in ops for _, ms in op.nodes)
    count = sum(len(graph["results"]) for graph in content.values())
    share = placed_ms / total_ms if total_ms else 0.0
    rest = "" if share == 1 else "; the rest is of nodes that the runtime made itself"
    return f"{path}: {count} nodes of the file, {share:.0%} of the time of operators{rest}"


def save_predicted(path: Path, prediction: ModelPrediction) -> str:
    """The same of what nobody ran: an .onnx file's nodes, as far as they are kernels."""
    times = [(p.name, p.latency_ms) for p in prediction.latency.parts if p.latency_ms is not None]
    total_ms = sum(ms for _, ms in times)
    ops = [OpTime("kernels", len(times), total_ms, times)]
    nodes = read_nodes(Path(prediction.model))
    return save_node_data(path, f"{prediction.device}, predicted", nodes, ops)


def node_data(what: str, nodes: Nodes, ops: Sequence[OpTime]) -> tuple[dict[str, Any], float]:
    """What Model Explorer reads, and how much of the time is in it, ms."""
    places: dict[str, tuple[str, str]] = {}
    for graph, inside in nodes.items():
        for node, outputs in inside.items():
            places |= dict.fromkeys(filter(None, outputs), (graph, node))
    for graph, inside in nodes.items():  # names of nodes go before those of outputs
        places |= {node: (graph, node) for node in inside}
    times: dict[str, dict[str, float]] = {}
    placed_ms = 0.0
    for op in ops:
        for name, ms in op.nodes:
            if place := _place(name, places):
                graph, node = place
                of_graph = times.setdefault(graph, {})
                of_graph[node] = of_graph.get(node, 0.0) + ms
                placed_ms += ms
    content = {
        graph: {
            "name": f"{what}, ms a run",
            "results": {node: {"value": round(ms, 6)} for node, ms in found.items()},
            "gradient": _GRADIENT,
        }
        for graph, found in times.items()
    }
    return content, placed_ms


def _place(name: str, places: Mapping[str, tuple[str, str]]) -> tuple[str, str] | None:
    """Where the file has what a runtime's node was made of.

    A node that stands for several has the name of one of them, or of its output, with something
    behind: `/1/key/MatMul/MatMulAddFusion`; a convolution and its activation
    `/0/Relu_output_0_nchwc`. Numbers behind mean another node: `Conv_12` is not `Conv`.
    """
    if name in places:
        return places[name]
    for end in range(len(name) - 1, 0, -1):
        added = name[end:].strip("/_")
        if name[end] in "/_" and name[:end] in places and not added.isdigit():
            return places[name[:end]]
    return None
