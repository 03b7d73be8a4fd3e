"""Nodes of an .onnx file, by what they take; activations, whichever nodes they are made of."""

from collections import defaultdict
from itertools import chain
from math import isclose, prod
from typing import Any

_SAME = {"Identity", "Dropout"}
_FLAT = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
_POOLS = {"GlobalAveragePool", "AveragePool", "ReduceMean"}
_THREE, _SIX = 3.0, 6.0


class Nodes:
    """A graph to walk from its input; what only renames a feature map is left out."""

    def __init__(self, graph: Any) -> None:
        self.held = {each.name: each for each in graph.initializer}
        self._shapes = {
            each.name: tuple(size.dim_value for size in each.type.tensor_type.shape.dim)
            for each in chain(graph.input, graph.value_info, graph.output)
        }
        self._alias: dict[str, str] = {}
        self.users: dict[str, list[Any]] = defaultdict(list)
        for node in graph.node:
            self._add(node)
        self.ends = {self._alias.get(each.name, each.name) for each in graph.output}

    def _add(self, node: Any) -> None:
        if node.op_type == "Constant":
            for each in node.attribute:
                if each.HasField("t"):
                    self.held[node.output[0]] = each.t
            return
        names = self.inputs(node)
        shape = self.shape(names[0]) if names else ()
        flat = node.op_type in _FLAT and len(shape) > 1 and prod(shape[2:]) == 1
        if node.op_type in _SAME or flat:
            self._alias[node.output[0]] = names[0]
        elif node.op_type != "Shape":
            for name in dict.fromkeys(names):
                self.users[name].append(node)

    def inputs(self, node: Any) -> list[str]:
        """Their names, by what gave them."""
        return [self._alias.get(name, name) for name in node.input]

    def shape(self, name: str) -> tuple[int, ...]:
        return self._shapes.get(name, ())

    def _numbers(self, node: Any) -> list[float]:
        """Its constants of one number."""
        from onnx import numpy_helper

        held = (self.held[name] for name in self.inputs(node) if name in self.held)
        return [
            float(numpy_helper.to_array(each).ravel()[0]) for each in held if prod(each.dims) == 1
        ]

    def is_pool(self, node: Any) -> bool:
        """Whether it is the mean of whole maps."""
        shape = self.shape(node.output[0])
        return node.op_type in _POOLS and len(shape) > 1 and prod(shape[2:]) == 1

    def is_bias(self, node: Any) -> bool:
        held = [self.held[name] for name in node.input if name in self.held]
        return node.op_type == "Add" and bool(held) and prod(held[0].dims) > 1

    def act(self, at: str) -> tuple[str, str]:
        """The activation that follows, and what it gives."""
        users = self.users[at]
        if len(users) == 1 and users[0].op_type == "Relu":
            return "relu", users[0].output[0]
        if len(users) == 1 and self._is_clip(users[0]):
            return "relu6", users[0].output[0]
        if len(users) == 1 and users[0].op_type == "HardSwish":
            return "h_swish", users[0].output[0]
        gate = self.gate(at)
        product = gate and self.product(at, gate[1])
        if gate is None or product is None:
            return "none", at
        return gate[0], product if gate[2] else self._sixth(product) or product

    def gate(self, at: str) -> tuple[str, str, bool] | None:
        """A sigmoid: the activation that it makes, what it gives, and whether that ends at 1."""
        for node in self.users[at]:
            given = node.output[0]
            if node.op_type == "Sigmoid":
                return "swish", given, True
            if node.op_type == "HardSigmoid" and isclose(
                attributes(node).get("alpha", 0.2), 1 / _SIX, rel_tol=1e-3
            ):
                return "h_swish", given, True
            after = self.users[given]
            shifted = node.op_type == "Add" and _THREE in self._numbers(node)
            if shifted and after and self._is_clip(after[0]):
                clipped = after[0].output[0]
                sixth = self._sixth(clipped)
                return "h_swish", sixth or clipped, sixth is not None
        return None

    def product(self, *names: str) -> str | None:
        for node in self.users[names[0]]:
            if node.op_type == "Mul" and {*self.inputs(node)} == {*names}:
                return str(node.output[0])
        return None

    def _sixth(self, at: str) -> str | None:
        """What a division by six gives."""
        for node in self.users[at]:
            wanted = {"Div": _SIX, "Mul": 1 / _SIX}.get(node.op_type, 0.0)
            if any(isclose(each, wanted, rel_tol=1e-3) for each in self._numbers(node)):
                return str(node.output[0])
        return None

    def _is_clip(self, node: Any) -> bool:
        told = attributes(node)
        ends = self._numbers(node) or [told.get("min", 0.0), told.get("max", 0.0)]
        return node.op_type == "Clip" and ends == [0.0, _SIX]


def attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
