"""Kernels as OpenVINO's two files in one, to be timed: one alone, or whole networks of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log10, prod
from typing import Any
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from harness.errors import Infeasible
from harness.runtimes.conversion.packed import packed
from harness.spaces.kernel import Kernel, Tensor
from harness.spaces.kernel_of_openvino import (
    GIVES,
    LAYOUTS,
    OPENVINO,
    REORDER,
    Node,
    Ref,
    nodes_of,
    refs_of,
)

Output = tuple[int, int]
"""A kernel by its place, and which of its outputs."""
Port = tuple[int, int]
"""A layer by its number, and which of its outputs."""
PARTS = ("model.xml", "model.bin")
SEED = 11
_PUBLIC = {
    "cpu_plugin_opset.SwishCPU": "opset4.Swish",
    "ie_internal_opset.FullyConnected": "opset1.MatMul",
    "SnippetsOpset.ConvertTruncation": "opset1.Convert",
    "SnippetsOpset.ConvertSaturation": "opset1.Convert",
}
"""Operators that OpenVINO has only inside, as those of which it makes them again."""
_INSIDE = ("alpha", "output_type", "type_relax", "input_data_types", "output_data_types")
"""Attributes that only those have."""
_DASHED = {"exclude_pad": "exclude-pad"}
POINTWISE = {
    *("Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum", "Power", "SquaredDifference"),
    *("ReLU", "Clamp", "Sigmoid", "SwishCPU", "HSwish", "HSigmoid", "Tanh", "Gelu", "Elu", "Exp"),
    *("Sqrt", "Abs", "Negative", "Erf", "SoftPlus", "Mish", "Floor", "Log", "Sin", "Cos"),
    *("Convert", "ConvertTruncation", "ConvertSaturation", "Select", "Greater", "Less", "Equal"),
    "LeakyRelu",
}
"""Operators to which axes are all the same."""
BY_AXIS = {"Concat", "ShuffleChannels", "SoftMax"}
"""Those whose `axis` is one."""
BY_AXES = {"VariadicSplit": 1, "Split": 1, "MVN": 1}
"""Those that take axes as an input."""
_OPSETS = re.compile(r"opset\d+")
_SMALLEST = 4  # decades below one: weights are no smaller
_PERIOD, _APART = 4093, 16  # numbers: of what is repeated, and between two constants' values
_TYPES = {"float": "FP", "bfloat": "BF", "int": "I", "uint": "U"}


def kernel_file(kernel: Kernel) -> bytes:
    """A model of this one, with the inputs that other kernels give it, laid out as those do.

    Raises:
        Infeasible: as `network_file`.
    """
    parts = _Parts()
    kernel = as_it_lies(kernel)
    layouts = iter(_layouts(kernel))
    inputs = [
        None if each is None else parts.given(each, "" if each.constant else next(layouts))
        for each in kernel.inputs
    ]
    made = parts.kernel(kernel, inputs)
    for port, tensor, layout in zip(made, kernel.outputs, layouts, strict=True):
        if order := _order(layout):
            if len(kernel.given) > 1:
                port = parts.sampled(port, tensor)
            else:
                shape = tuple(tensor.shape[axis] for axis in order)
                port = parts.turned(port, order, shape, tensor.dtype)
        parts.result(port)
    return parts.file()


def network_file(kernels: Sequence[Kernel], sources: Sequence[Sequence[Output | None]]) -> bytes:
    """A model of these in this order; `sources` tells of each input which output of which kernel it
    is. What no kernel takes is given. Layouts are left to OpenVINO.

    Constants are parts of one pattern, none the same as another's, and weights of a size by which
    what is computed stays of one size.

    Raises:
        Infeasible: an operator is none that a file may have.
    """
    parts = _Parts()
    made: dict[Output, Port] = {}
    for place, (kernel, own) in enumerate(zip(kernels, sources, strict=True)):
        inputs = [
            None if each is None else _input(parts, each, source, made, kernels)
            for each, source in zip(kernel.inputs, own, strict=True)
        ]
        ports = parts.kernel(kernel, inputs)
        made |= {(place, number): port for number, port in enumerate(ports)}
    for port in dict.fromkeys(made.values()):
        if port not in parts.taken:
            parts.result(port)
    return parts.file()


def _input(
    parts: "_Parts",
    tensor: Tensor,
    source: Output | None,
    made: Mapping[Output, Port],
    kernels: Sequence[Kernel],
) -> Port:
    if source is None or tensor.constant:
        return parts.given(tensor)
    before = kernels[source[0]].outputs[source[1]]
    if before.shape == tensor.shape:
        return made[source]
    if before.size != tensor.size or before.dtype != tensor.dtype:
        return parts.given(tensor)  # a part that is read where it lies
    sizes = Tensor("int64", (len(tensor.shape),), True, tuple(map(str, tensor.shape)))
    ports = [made[source], parts.given(sizes)]
    return parts.layer("opset1.Reshape", ports, [tensor], {"special_zero": "false"})[0]


def as_it_lies(kernel: Kernel) -> Kernel:
    """A kernel that does the same to numbers that lie the same, where OpenVINO would first turn
    what it is given alone: with the axes in the order of memory. Where there is no such kernel, the
    one with all axes in their own."""
    if kernel.stage in ("convolution", "depthwise") or kernel.name.startswith("Reduce"):
        return kernel
    layouts = {*_layouts(kernel)}
    order = _order(layouts.pop()) if len(layouts) == 1 else ()
    nodes = nodes_of(kernel)
    if not order or not all(node.name in (*POINTWISE, *BY_AXIS, *BY_AXES) for node in nodes):
        plain = kernel.name == REORDER
        attributes = tuple(e for e in kernel.attributes if plain or e[0] != LAYOUTS)
        return replace(kernel, attributes=attributes)
    axes = {node.refs[BY_AXES[node.name]] for node in nodes if node.name in BY_AXES}

    def turned(tensor: Tensor, ref: Ref) -> Tensor:
        if ref in axes:
            values = tuple(str(order.index(int(each) % len(order))) for each in tensor.values)
            return replace(tensor, values=values)
        return tensor if tensor.values else replace(tensor, shape=_turned(tensor.shape, order))

    def of(node: Node) -> Node:
        settings = dict(node.settings)
        if node.name in BY_AXIS:
            settings["axis"] = str(order.index(int(settings["axis"]) % len(order)))
        shapes = tuple(_turned(shape, order) for shape in node.shapes)
        return replace(node, shapes=shapes, settings=settings)

    inputs = tuple(
        None if each is None else turned(each, ("i", place, 0))
        for place, each in enumerate(kernel.inputs)
    )
    outputs = tuple(turned(each, ("n", -1, 0)) for each in kernel.outputs)
    gives = [each for each in kernel.attributes if each[0] == GIVES]
    told = (each for number, node in enumerate(nodes) for each in of(node).attributes(number))
    return replace(kernel, inputs=inputs, outputs=outputs, attributes=(*told, *gives))


def _turned(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    if len(shape) == 0:
        return shape
    whole = (1,) * (len(order) - len(shape)) + shape
    return tuple(whole[axis] for axis in order)


def _layouts(kernel: Kernel) -> list[str]:
    told = kernel.settings.get(LAYOUTS, "").split(",")
    count = len(kernel.given) + len(kernel.outputs)
    return told if len(told) == count else [""] * count


def _order(layout: str) -> tuple[int, ...]:
    """The axes in memory, where that is not their own order and can be asked for."""
    order = tuple(ord(each) - ord("a") for each in layout)
    return order if list(order) != sorted(order) and sorted(order) == [*range(len(order))] else ()


@dataclass
class _Parts:
    """Of a model that is being made."""

    layers: list[ElementTree.Element] = field(default_factory=list)
    edges: list[ElementTree.Element] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)  # of each layer's inputs
    taken: set[Port] = field(default_factory=set)
    small: bytearray = field(default_factory=bytearray)  # values of constants that steer
    held: list[tuple[Any, tuple[int, ...], int, int]] = field(default_factory=list)
    """Of others: the element that tells where they are, sizes, bytes of a number, decade."""

    def layer(
        self,
        op: str,
        inputs: Sequence[Port],
        outputs: Sequence[Tensor],
        settings: Mapping[str, str],
    ) -> list[Port]:
        number = len(self.layers)
        version, _, kind = op.rpartition(".")
        made = ElementTree.Element(
            "layer", {"id": str(number), "name": f"l{number}", "type": kind, "version": version}
        )
        if settings:
            ElementTree.SubElement(made, "data", dict(settings))
        if inputs:
            ports = ElementTree.SubElement(made, "input")
        self.taken |= {*inputs}
        for place, (source, output) in enumerate(inputs):
            ElementTree.SubElement(ports, "port", {"id": str(place)})
            told = {"from-layer": source, "from-port": self.counts[source] + output}
            told |= {"to-layer": number, "to-port": place}
            edge = {name: str(each) for name, each in told.items()}
            self.edges.append(ElementTree.Element("edge", edge))
        if outputs:
            ports = ElementTree.SubElement(made, "output")
        for place, tensor in enumerate(outputs):
            told_port = {"id": str(len(inputs) + place), "precision": _precision(tensor.dtype)}
            if kind == "Parameter":
                told_port["names"] = f"l{number}"  # by which it is fed
            port = ElementTree.SubElement(ports, "port", told_port)
            for size in tensor.shape:
                ElementTree.SubElement(port, "dim").text = str(size)
        self.layers.append(made)
        self.counts.append(len(inputs))
        return [(number, place) for place in range(len(outputs))]

    def given(self, tensor: Tensor, layout: str = "") -> Port:
        """What is fed, or a constant."""
        if tensor.constant:
            return self._constant(tensor)
        order = _order(layout)
        shape = tuple(tensor.shape[axis] for axis in order) if order else tensor.shape
        settings = {"shape": ",".join(map(str, shape)), "element_type": _element(tensor.dtype)}
        fed = Tensor(tensor.dtype, shape)
        (port,) = self.layer("opset1.Parameter", [], [fed], settings)
        back = tuple(int(place) for place in np.argsort(order))
        return self.turned(port, back, tensor.shape, tensor.dtype) if order else port

    def turned(
        self, port: Port, order: tuple[int, ...], shape: tuple[int, ...], dtype: str
    ) -> Port:
        """A transposition, which costs nothing where the map lies so already."""
        axes = Tensor("int64", (len(order),), True, tuple(map(str, order)))
        ports = [port, self._constant(axes)]
        return self.layer("opset1.Transpose", ports, [Tensor(dtype, shape)], {})[0]

    def sampled(self, port: Port, tensor: Tensor) -> Port:
        """One place of a map, by a convolution: it takes what it is given as that lies, where
        OpenVINO would turn a sum with another map to give it."""
        channels, *sizes = tensor.shape[1:]
        ones = ",".join("1" for _ in sizes)
        weights = Tensor(tensor.dtype, (channels, 1, 1, *(1 for _ in sizes)), True)
        settings = {"strides": ",".join(map(str, sizes)), "dilations": ones}
        settings |= dict.fromkeys(("pads_begin", "pads_end"), ones.replace("1", "0"))
        made = Tensor(tensor.dtype, (1, channels, *(1 for _ in sizes)))
        ports = [port, self._constant(weights)]
        return self.layer("opset1.GroupConvolution", ports, [made], settings)[0]

    def result(self, port: Port) -> None:
        self.layer("opset1.Result", [port], [], {})

    def kernel(self, kernel: Kernel, inputs: Sequence[Port | None]) -> list[Port]:
        """Its operators; what they give."""
        nodes = nodes_of(kernel)
        if not nodes:
            return self._reordered(kernel, inputs)
        ports: dict[Ref, Port] = {
            ("i", number, 0): port for number, port in enumerate(inputs) if port is not None
        }
        for number, node in enumerate(nodes):
            taken = [ports[ref] for ref in node.refs]
            self._tell_sums(node, taken)
            made = self._node(node, taken, kernel.outputs[0].dtype)
            ports |= {("n", number, output): port for output, port in enumerate(made)}
        if told := kernel.settings.get(GIVES):
            return [ports[ref] for ref in refs_of(told)]
        return [ports["n", len(nodes) - 1, number] for number in range(len(kernel.outputs))]

    def _reordered(self, kernel: Kernel, inputs: Sequence[Port | None]) -> list[Port]:
        if kernel.op != f"{OPENVINO}{REORDER}" or inputs[0] is None:
            raise Infeasible(f"{kernel.op}: no operator that a file may have")
        return [inputs[0]]

    def _node(self, node: Node, taken: list[Port], dtype: str) -> list[Port]:
        op = _PUBLIC.get(node.op, node.op.removeprefix("type_relaxed_"))
        settings = {
            _DASHED.get(name, name): text
            for name, text in node.settings.items()
            if op == node.op or name not in _INSIDE
        }
        outputs = [Tensor(dtype, shape) for shape in node.shapes]
        if node.name == "FullyConnected":
            product = self.layer(op, taken[:2], outputs, {"transpose_b": "true"})
            added = [product[0], *taken[2:]]
            return self.layer("opset1.Add", added, outputs, {}) if len(taken) > 2 else product
        if node.name == "RMS":
            return self._rms(node, taken, outputs[0])
        if node.name == "LeakyRelu":
            slope = Tensor(dtype, (1,), True, (node.settings["negative_slope"],))
            return self.layer("opset1.PReLU", [taken[0], self._constant(slope)], outputs, {})
        if not _OPSETS.fullmatch(op.partition(".")[0]):
            raise Infeasible(f"{node.op}: no operator that a file may have")
        return self.layer(op, taken, outputs, settings)

    def _rms(self, node: Node, taken: list[Port], like: Tensor) -> list[Port]:
        """Divided by the root of the mean square, spelt out: OpenVINO makes one of it again."""
        mean = replace(like, shape=(*like.shape[:-1], 1))
        two, least = (
            self._constant(Tensor(like.dtype, (), True, (text,)))
            for text in ("2", node.settings["epsilon"])
        )
        last = self._constant(Tensor("int64", (1,), True, ("-1",)))
        (square,) = self.layer("opset1.Power", [taken[0], two], [like], {})
        (means,) = self.layer("opset1.ReduceMean", [square, last], [mean], {"keep_dims": "true"})
        (more,) = self.layer("opset1.Add", [means, least], [mean], {})
        (root,) = self.layer("opset1.Sqrt", [more], [mean], {})
        made = self.layer("opset1.Divide", [taken[0], root], [like], {})
        return self.layer("opset1.Multiply", [made[0], taken[1]], [like], {}) if taken[1:] else made

    def _constant(self, tensor: Tensor) -> Port:
        element, dtype = _element(tensor.dtype), np.dtype(tensor.dtype)
        settings = {"element_type": element, "shape": ",".join(map(str, tensor.shape))}
        settings |= {"offset": "0", "size": str(tensor.size * dtype.itemsize)}
        (port,) = self.layer("opset1.Const", [], [tensor], settings)
        data = self.layers[port[0]].find("data")
        assert data is not None
        if tensor.dtype.startswith("float") and not tensor.values:
            self.held.append((data, tensor.shape, dtype.itemsize, 0))
            return port
        values = [float(each) for each in tensor.values] or [0.0] * tensor.size
        data.set("offset", str(len(self.small)))
        self.small += np.array(values).astype(dtype).tobytes()
        self.small += bytes(-len(self.small) % 8)
        return port

    def _tell_sums(self, node: Node, taken: Sequence[Port]) -> None:
        """Weights are as small as the sums that they are in are long."""
        summed = {"Convolution": 1, "GroupConvolution": 2, "FullyConnected": 1}.get(node.name)
        if summed is None or len(taken) < 2:
            return
        for place, (data, shape, width, _) in enumerate(self.held):
            if data is self.layers[taken[1][0]].find("data"):
                decade = min(_SMALLEST, round(log10(max(1, prod(shape[summed:])))))
                self.held[place] = data, shape, width, decade

    def file(self) -> bytes:
        """Each decade has its pattern, in which the constants begin at places of their own."""
        net = ElementTree.Element("net", {"name": "kernels", "version": "11"})
        ElementTree.SubElement(net, "layers").extend(self.layers)
        ElementTree.SubElement(net, "edges").extend(self.edges)
        values = bytearray(self.small)
        values += bytes(-len(values) % 64)
        for width, decade in sorted({(width, decade) for _, _, width, decade in self.held}):
            start, most = len(values), 0
            own = [each for each in self.held if each[2:] == (width, decade)]
            for number, (data, shape, _, _) in enumerate(own):
                data.set("offset", str(start + width * _APART * number))
                most = max(most, prod(shape) + _APART * number)
            values += _pattern(most, width, decade).tobytes()
            values += bytes(-len(values) % 64)
        xml = ElementTree.tostring(net, encoding="utf-8", xml_declaration=True)
        return packed({PARTS[0]: xml, PARTS[1]: bytes(values)}, smaller=True)


def _pattern(size: int, width: int, decade: int) -> npt.NDArray[Any]:
    """Numbers of both signs, about as large as the decade says."""
    random = np.random.default_rng(SEED)
    values = random.uniform(0.5, 1.5, _PERIOD) * random.choice([-1.0, 1.0, 1.0], _PERIOD)
    repeated = np.resize(values.astype(f"float{8 * width}"), size)
    return np.asarray(repeated * repeated.dtype.type(10.0**-decade))


def _precision(dtype: str) -> str:
    if dtype == "bool":
        return "BOOL"
    name = dtype.rstrip("0123456789")
    return f"{_TYPES.get(name, name)}{dtype[len(name) :]}"


def _element(dtype: str) -> str:
    return {"bool": "boolean"}.get(dtype, _precision(dtype).lower().replace("fp", "f"))
