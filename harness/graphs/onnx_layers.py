"""The layers of an .onnx file of a convolutional network, whichever nodes they are made of."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import isclose, prod
from typing import Any

_SAME = {"Identity", "Dropout"}
_FLAT = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
_POOLS = {"GlobalAveragePool", "AveragePool", "ReduceMean"}
_WEIGHTED = {"Conv": 4, "Gemm": 2, "MatMul": 2}  # dimensions of the weights
_STEPS = {
    "BatchNormalization": "bias",
    "Relu": "relu",
    "HardSwish": "h_swish",
    "Sigmoid": "sigmoid",
}
_ENDS = ("bias", "relu", "relu6", "swish", "h_swish")
_MAKES = {
    **{("map", step): step for step in _ENDS},
    ("map", "sigmoid"): "swish gate",
    ("map", "hard sigmoid"): "h_swish gate",
    ("map", "+ 3"): "+ 3",
    ("+ 3", "relu6"): "6 gates",
    ("6 gates", "/ 6"): "h_swish gate",
    ("map", "swish gate"): "swish",
    ("map", "h_swish gate"): "h_swish",
    ("map", "6 gates"): "6 h_swish",
    ("6 h_swish", "/ 6"): "h_swish",
}
"""What a step makes of a layer's map, or of what has been made of it; a product with what has been
made of the same map is a step, too. `_ENDS` are the layer's own bias or activation."""


@dataclass(frozen=True, eq=False)
class Layer:
    """A convolution or linear layer with its activation, a pooling, a sum, or a product.

    `kind` is a letter: `e` 1x1 convolution or linear layer, `s` the former with a stride, `k` other
    dense convolutions, `d` depthwise, `p` mean of whole maps, `a` of parts of them, `m` max
    pooling, `+` sum of two maps, `*` product of a map and another one's gate, `?` none of these.
    """

    kind: str
    node: Any
    back: tuple[int, ...]  # how many layers before it each of its inputs is made
    height: int  # of what it takes, pixels
    inner: int  # channels
    out: int
    kernel: int = 1
    stride: int = 1
    biased: bool = False  # or normalised
    act: str = "none"  # of a product: what its gate makes of a map of its own
    weights: int = 0
    macs: int = 0
    odd: str = ""  # why it is none of these


class Layers:
    """Those of a graph, behind one that stands for the input; branches one after the other."""

    def __init__(self, graph: Any, given: str) -> None:
        """Raises LookupError, TypeError, ValueError or ArithmeticError for a broken node."""
        self._held = {each.name: each for each in graph.initializer}
        self._shapes = {
            each.name: tuple(size.dim_value for size in each.type.tensor_type.shape.dim)
            for each in chain(graph.input, graph.value_info, graph.output)
        }
        ends = [each.name for each in graph.output]
        taken = ({*node.input} for node in graph.node if node.op_type != "Shape")
        self._uses = Counter(chain(ends, *taken))
        self.layers = [Layer("", None, (), 0, 0, 0)]
        self._made = {given: ("map", 0)}  # of each tensor, what it is, and of which layer
        for node in graph.node:
            self._read(node)
        last = "map", len(self.layers) - 1
        self.chained = [self._made.get(each) for each in ends] == [last]
        """Whether the last layer's map is all that the network gives."""
        self.layers = _branch_by_branch(self.layers)

    def _read(self, node: Any) -> None:
        names = [name for name in dict.fromkeys(node.input) if name in self._made]
        if node.op_type == "Constant":
            tensors = [each.t for each in node.attribute if each.HasField("t")]
            self._held |= dict(zip(node.output, tensors, strict=False))
        elif names and node.op_type != "Shape":
            made = self._part_of_another(node, names)
            if made is None:
                self.layers.append(self._layer(node, names))
                made = "map", len(self.layers) - 1
            self._made[node.output[0]] = made

    def _part_of_another(self, node: Any, names: list[str]) -> tuple[str, int] | None:
        """What a node makes that is no layer of its own."""
        (form, number), *others = sorted((self._made[name] for name in names), key=_map_first)
        shape = self._shape(names[0])
        flat = node.op_type in _FLAT and len(shape) > 1 and prod(shape[2:]) == 1
        if node.op_type in _SAME or flat:
            return form, number
        step = "" if others else self._step(node)
        if node.op_type == "Mul" and [each for _, each in others] == [number]:
            step = others[0][0]
        made = _MAKES.get((form, step))
        if made not in _ENDS:
            return None if made is None else (made, number)
        layer = self.layers[number]
        elsewhere = any(self._uses[name] > len(names) for name in names)
        if (
            elsewhere
            or layer.act != "none"
            or layer.kind not in ("eskd" if made == "bias" else "eskd+")
        ):
            return None
        changes = {"biased": True} if made == "bias" else {"act": made}
        self.layers[number] = replace(layer, **changes)
        return "map", number

    def _step(self, node: Any) -> str:
        """What a node does to the only map it takes."""
        from onnx import numpy_helper

        op, settings = str(node.op_type), attributes(node)
        held = [self._held[name] for name in node.input if name in self._held]
        numbers = [numpy_helper.to_array(each).item() for each in held if prod(each.dims) == 1]
        if op == "Clip" and (numbers or [settings.get("min"), settings.get("max")]) == [0, 6]:
            return "relu6"
        if op == "Add" and held:
            return "+ 3" if numbers == [3] else "bias" if not numbers else op
        if op in ("Div", "Mul") and len(numbers) == 1:
            return "/ 6" if isclose(numbers[0], 6 if op == "Div" else 1 / 6, rel_tol=1e-3) else op
        if op == "HardSigmoid" and isclose(settings.get("alpha", 0.2), 1 / 6, rel_tol=1e-3):
            return "hard sigmoid"
        return _STEPS.get(op, op)

    def _layer(self, node: Any, names: list[str]) -> Layer:
        """The layer that begins with a node."""
        shape, given = self._shape(names[0]), self._shape(node.output[0])
        made = sorted((self._made[name] for name in names), key=_map_first)
        forms = [form for form, _ in made]
        back = tuple(sorted(len(self.layers) - number for _, number in made))
        (_, inner, height), out = (*shape, 1, 1, 1)[:3], (*given, 1, 1)[1]
        layer = Layer("?", node, back, height, inner, out)
        op, settings = node.op_type, attributes(node)
        if op == "Mul" and forms in (["map", "swish gate"], ["map", "h_swish gate"]):
            return replace(layer, kind="*", act=forms[1].removesuffix(" gate"))
        if {*forms} != {"map"}:
            return layer
        if op == "Add" and len(forms) == 2:
            return replace(layer, kind="+")
        if op in _POOLS and len(given) > 1 and prod(given[2:]) == 1:
            return replace(layer, kind="p")
        if op == "AveragePool":
            return replace(layer, kind="a")
        if op == "MaxPool":
            kernel, stride = settings["kernel_shape"][0], settings.get("strides", [1])[0]
            return replace(layer, kind="m", kernel=kernel, stride=stride)
        weight = self._held.get(node.input[1]) if op in _WEIGHTED else None
        if weight is None or len(weight.dims) != _WEIGHTED[op]:
            return layer
        return _weighted(layer, weight.dims, shape[2:], prod(given[2:]))

    def _shape(self, name: str) -> tuple[int, ...]:
        return self._shapes.get(name, ())


def _branch_by_branch(layers: Sequence[Layer]) -> list[Layer]:
    """Files may begin a branch before another one ends."""
    takes = [[number - each for each in layer.back] for number, layer in enumerate(layers)]
    left = [number for number in range(len(layers)) if number not in {*chain(*takes)}][::-1]
    places: dict[int, int] = {}
    ordered: list[Layer] = []
    while left:
        number = left.pop()
        missing = [each for each in takes[number] if each not in places]
        if missing:
            left += [number, min(missing)]
        elif number not in places:
            places[number] = len(ordered)
            back = sorted(len(ordered) - places[each] for each in takes[number])
            ordered.append(replace(layers[number], back=tuple(back)))
    return ordered


def _map_first(made: tuple[str, int]) -> bool:
    return made[0] != "map"


def _weighted(layer: Layer, dims: tuple[int, ...], size: tuple[int, ...], area: int) -> Layer:
    """A convolution, or a linear layer, with weights of these dimensions, from maps of this size to
    maps of this area."""
    op, settings = layer.node.op_type, attributes(layer.node)
    groups, strides = settings.get("group", 1), settings.get("strides", [1])
    out, inner, *kernels = dims
    if op == "MatMul" or (op == "Gemm" and not settings.get("transB", 0)):
        out, inner = inner, out
    kernel, kind, odd = (*kernels, 1)[0], "e", ""
    if any(len({*each}) > 1 for each in (kernels, strides, size)):
        kind, odd = "?", "a kernel, or a map, that is not square"
    elif {*settings.get("dilations", [1])} != {1}:
        kind, odd = "?", "a dilated convolution"
    elif groups == inner * groups == out > 1:
        kind = "d"
    elif groups > 1:
        kind, odd = "?", f"a convolution of {groups} groups"
    elif kernel > 1 or strides[0] > 1:
        kind = "k" if kernel > 1 else "s"
    layer = replace(layer, kind=kind, odd=odd, biased=len(layer.node.input) > 2)
    layer = replace(layer, inner=inner * groups, out=out, kernel=kernel, stride=strides[0])
    return replace(layer, weights=prod(dims), macs=prod(dims) * area)


def attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
