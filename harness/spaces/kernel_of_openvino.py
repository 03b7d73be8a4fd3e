"""Kernels of OpenVINO's CPU: one of its nodes each, with all operators that it fused into that; and
their forms.

The operators are attributes `n0`, `n1`, ...: each its type in OpenVINO's sets, what it takes (`i1`:
the kernel's second input, `n0.1`: the second output of `n0`), and the shapes of its outputs:
`n1=opset1.Add(n0,i2)[1,64,56,56]`. Their own attributes are named `strides`, of further operators
`n1_min`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING

from harness.spaces.kernel_form import Form

if TYPE_CHECKING:
    from harness.spaces.kernel import Kernel

OPENVINO = "openvino."
"""Before the names of its operators."""
SUBGRAPH = "Subgraph"
"""Several operators that became one, of which none is the main one."""
REORDER = "Reorder"
"""A change of layout that OpenVINO inserted: no operator of a file."""
LAYOUTS = "layouts"
"""The attribute that has the layouts of what is given and made, as OpenVINO writes them: `acdb` has
channels last. Left out where all are plain."""
GIVES = "gives"
"""The attribute that tells which operators' outputs are the kernel's, where not the last one's."""
Ref = tuple[str, int, int]
"""An operator's input: `i` and the kernel's input, or `n` and an operator; and which output."""
_NODE = re.compile(
    r"(?P<op>[A-Za-z0-9_]{1,40}\.[A-Za-z0-9_]{1,40})\((?P<refs>[in0-9.,]*)\)(?P<shapes>[\[\]0-9,]*)"
)
_SHAPE = re.compile(r"\[([0-9,]*)\]")
_REF = re.compile(r"([in])([0-9]{1,4})(?:\.([0-9]{1,3}))?")
_LINEAR = {
    *("Add", "Subtract", "Multiply", "ReLU", "Clamp", "Convolution", "GroupConvolution"),
    *("FullyConnected", "MatMul", "ConvolutionBackpropData", "GroupConvolutionBackpropData"),
    *("MaxPool", "AvgPool", "Transpose", "Reshape", "Maximum", "Minimum", "PRelu"),
}
_WINDOWED = ("Convolution", "ConvolutionBackpropData")
_GROUPED = ("GroupConvolution", "GroupConvolutionBackpropData")
_PRODUCTS = ("FullyConnected", "MatMul")
_RECURRENT = ("LSTMSequence", "GRUSequence", "RNNSequence")


@dataclass(frozen=True)
class Node:
    """One operator of a kernel."""

    op: str  # behind its set: `opset1.Add`
    refs: tuple[Ref, ...]
    shapes: tuple[tuple[int, ...], ...]  # of its outputs
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.op.rpartition(".")[2]

    def attributes(self, number: int) -> Iterator[tuple[str, str]]:
        """As the kernel has them."""
        refs = ",".join(ref_text(*ref) for ref in self.refs)
        shapes = "".join(f"[{','.join(map(str, shape))}]" for shape in self.shapes)
        yield f"n{number}", f"{self.op}({refs}){shapes}"
        prefix = f"n{number}_" if number else ""
        for name, text in sorted(self.settings.items()):
            yield f"{prefix}{name}", text


def ref_text(kind: str, number: int, output: int) -> str:
    return f"{kind}{number}.{output}" if output else f"{kind}{number}"


def refs_of(text: str) -> tuple[Ref, ...]:
    return tuple((kind, int(number), int(n or 0)) for kind, number, n in _REF.findall(text))


def nodes_of(kernel: "Kernel") -> tuple[Node, ...]:
    """Its operators, in their order; none of a change of layout."""
    found: list[Node] = []
    while (text := kernel.settings.get(f"n{len(found)}")) and (match := _NODE.fullmatch(text)):
        prefix = f"n{len(found)}_" if found else ""
        own = {
            name.removeprefix(prefix): value
            for name, value in kernel.attributes
            if name not in (LAYOUTS, GIVES)
            and (name.startswith(prefix) if prefix else not re.match(r"n\d+(_|$)", name))
        }
        shapes = tuple(
            tuple(int(size) for size in each.split(",") if size)
            for each in _SHAPE.findall(match["shapes"])
        )
        found.append(Node(match["op"], refs_of(match["refs"]), shapes, own))
    return tuple(found)


def openvino_form(kernel: "Kernel") -> Form:
    nodes = nodes_of(kernel)
    macs = sum(_macs(kernel, nodes, node) for node in nodes)
    main = nodes[0] if nodes else Node(kernel.op, (), ())
    kind, groups, window = "moving" if macs == 0 else "product", 1, 1
    if main.name in (*_WINDOWED, *_GROUPED) and len(kernel.weights) > 2:
        first = 3 if main.name in _GROUPED else 2
        window = prod(kernel.weights[first:])
        if main.name in _GROUPED:
            groups = kernel.weights[0]
            kind = "depthwise" if kernel.weights[1:3] == (1, 1) else "convolution"
        else:
            kind = "convolution"
    elif "kernel" in main.settings:
        window = prod(map(int, main.settings["kernel"].split(",")))
    return Form(
        kind,
        _variant(kernel, nodes, kind, groups, window, macs),
        macs,
        groups,
        window,
        _product(main, "strides"),
        _product(main, "dilations"),
        1 if kind in ("convolution", "depthwise") else -1,
        any(node.name not in _LINEAR for node in nodes),
    )


def _product(node: Node, name: str) -> int:
    texts = node.settings.get(name, "1").split(",")
    return prod(int(each) for each in texts) if all(map(str.isdecimal, texts)) else 1


def _variant(
    kernel: "Kernel", nodes: tuple[Node, ...], kind: str, groups: int, window: int, macs: int
) -> str:
    parts = [kernel.op]
    if kind == "depthwise":
        parts.append(kind)
    elif kind == "convolution":
        parts.append("grouped" if groups > 1 else "1x1" if window == 1 else "dense")
    elif len(nodes) > 1 and kernel.name == SUBGRAPH:
        parts.append("product" if macs else "of several")
    elif macs and not kernel.constants:
        parts.append("dynamic")
    elif kernel.name == "Interpolate":
        parts.append(kernel.settings.get("mode", ""))
    if kind == "moving" and (layouts := kernel.settings.get(LAYOUTS)):
        parts.append("last" if kernel.name != REORDER else layouts)
    return "-".join(parts)


def _shape(kernel: "Kernel", nodes: tuple[Node, ...], ref: Ref) -> tuple[int, ...]:
    kind, number, output = ref
    if kind == "n":
        return nodes[number].shapes[output]
    given = kernel.inputs[number]
    return () if given is None else given.shape


def _macs(kernel: "Kernel", nodes: tuple[Node, ...], node: Node) -> int:
    if len(node.refs) < 2 or not node.shapes:
        return 0
    first, second = (_shape(kernel, nodes, ref) for ref in node.refs[:2])
    alone = node is nodes[0] and kernel.name != SUBGRAPH
    # What follows a convolution or product keeps its shape, which may have been narrowed.
    out = kernel.outputs[0].size if alone else prod(node.shapes[0])
    if node.name in ("Convolution", "GroupConvolution"):
        return out * prod(second[1 if node.name == "Convolution" else 2 :])
    if node.name in ("ConvolutionBackpropData", "GroupConvolutionBackpropData"):
        return prod(first) * prod(second[1 if node.name == "ConvolutionBackpropData" else 2 :])
    if node.name in _PRODUCTS and first:
        turned = node.settings.get("transpose_a") == "true" and len(first) > 1
        return out * first[-2 if turned else -1]
    if node.name == "ScaledDotProductAttention" and len(second) > 1:
        return 2 * prod(first) * second[-2]
    if node.name in _RECURRENT:
        shapes = [_shape(kernel, nodes, ref) for ref in node.refs[1:]]
        held = sum(prod(shape) for shape in shapes if len(shape) == 3 and shape[0] != first[0])
        return prod(first[:2]) * held
    return 0
