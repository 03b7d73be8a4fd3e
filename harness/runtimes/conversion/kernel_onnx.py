"""Kernels as .onnx files, to be timed: one alone, or whole networks of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import Infeasible
from harness.spaces.kernel import Kernel, Tensor

Output = tuple[int, int]
"""A kernel by its place, and which of its outputs."""
DOMAINS = {"fused": "com.microsoft", "nchwc": "com.microsoft.nchwc"}
OPSET = 20  # of ONNX; what optimisers wrote in an older one is written alike in this one, but
REDUCING_BY_ATTRIBUTE = 17  # is the last one where axes that are reduced are no input
_ONE = 0.01  # a weight: sums stay small, however many
_FURTHER = 1 / 1024  # by which weights of the next constant are larger
_REALS = ("float32", "float16", "float64", "bfloat16")
_WRITTEN = 64  # numbers; more are filled in where the file is loaded


def kernel_file(kernel: Kernel) -> bytes:
    """A model of this one operator, with the inputs that other kernels give it: of those beside
    real ones, real ones alone, since whole numbers may be sizes there.

    Raises:
        Infeasible: as `network_file`.
    """
    reals = any(each.dtype in _REALS for each in kernel.given)
    fed = _REALS if reals else tuple(each.dtype for each in kernel.given)
    return _file([kernel], [(None,) * len(kernel.inputs)], fed)


def network_file(kernels: Sequence[Kernel], sources: Sequence[Sequence[Output | None]]) -> bytes:
    """A model of these operators in this order; `sources` tells of each input which output of which
    kernel it is. What no kernel takes is given.

    Constants are no part of the file: each is filled with one value, and none with another's, since
    equal ones would become one, and what is computed from them once. What is given from outside and
    is no real number is a constant, too: what is fed at random would be no index.

    Raises:
        Infeasible: nothing is left to feed it with, or an attribute is not in a kernel's name.
    """
    return _file(kernels, sources, _REALS)


def _file(
    kernels: Sequence[Kernel], sources: Sequence[Sequence[Output | None]], fed: Sequence[str]
) -> bytes:
    """`fed`: the types of what is given from outside."""
    from onnx import helper

    parts = _Parts([], [], [])
    taken = {source for each in sources for source in each if source is not None}
    made = [(place, n) for place, each in enumerate(kernels) for n in range(len(each.outputs))]
    domains = {"": _opset(kernels)} | dict.fromkeys(DOMAINS.values(), 1)
    for place, (kernel, own) in enumerate(zip(kernels, sources, strict=True)):
        names = [
            ""
            if each is None
            else _input(parts, f"{place}_{number}", each, each.dtype in fed, source, kernels)
            for number, (each, source) in enumerate(zip(kernel.inputs, own, strict=True))
        ]
        given = [_output(place, number) for number in range(len(kernel.outputs))]
        domain, _, op = kernel.op.rpartition(".")
        domain = DOMAINS.get(domain, domain)
        domains.setdefault(domain, 1)
        node = helper.make_node(op, names, given, domain=domain)
        node.attribute.extend(_attribute(op, domain, *told) for told in kernel.attributes)
        parts.nodes.append(node)
    if not parts.given:
        raise Infeasible(f"{kernels[0].op}: nothing can be fed to it alone")
    outputs = [
        helper.make_tensor_value_info(_output(place, number), _type(each), each.shape)
        for place, number in made
        if (place, number) not in taken
        for each in (kernels[place].outputs[number],)
    ]
    graph = helper.make_graph(parts.nodes, "kernels", parts.given, outputs, parts.held)
    opsets = [helper.make_opsetid(name, version) for name, version in domains.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    content: bytes = model.SerializeToString()
    return content


def _opset(kernels: Sequence[Kernel]) -> int:
    older = any(each.name.startswith("Reduce") and "axes" in each.settings for each in kernels)
    return REDUCING_BY_ATTRIBUTE if older else OPSET


@dataclass(frozen=True)
class _Parts:
    """Of a model that is being made."""

    nodes: list[Any]
    held: list[Any]
    given: list[Any]


def _output(place: int, number: int) -> str:
    return f"output_{place}_{number}"


def _input(
    parts: _Parts,
    name: str,
    tensor: Tensor,
    is_fed: bool,
    source: Output | None,
    kernels: Sequence[Kernel],
) -> str:
    """Its name, once the parts have what makes it."""
    from onnx import helper

    if source is not None and not tensor.constant:
        made = kernels[source[0]].outputs[source[1]]
        if made.shape == tensor.shape:
            return _output(*source)
        sizes = Tensor("int64", (len(tensor.shape),), True, tuple(map(str, tensor.shape)))
        _hold(f"{name}_sizes", sizes, parts)
        parts.nodes.append(helper.make_node("Reshape", [_output(*source), f"{name}_sizes"], [name]))
    elif tensor.constant or not is_fed:
        _hold(name, tensor, parts)
    else:
        parts.given.append(helper.make_tensor_value_info(name, _type(tensor), tensor.shape))
    return name


def _type(tensor: Tensor) -> int:
    import numpy as np
    from onnx import helper

    return int(helper.np_dtype_to_tensor_dtype(np.dtype(tensor.dtype)))


def _hold(name: str, tensor: Tensor, parts: _Parts) -> None:
    """Add the constant: itself, or the node that fills it."""
    import numpy as np
    from onnx import helper, numpy_helper

    dtype = np.dtype(tensor.dtype)
    one = _ONE * (1 + _FURTHER * len(parts.held)) if tensor.dtype in _REALS else 0
    if tensor.size <= _WRITTEN:
        values = [float(each) for each in tensor.values] or [one] * tensor.size
        array = np.array(values).astype(dtype).reshape(tensor.shape)
        parts.held.append(numpy_helper.from_array(array, name))
        return
    sizes = np.array(tensor.shape, np.int64)
    parts.held.append(numpy_helper.from_array(sizes, f"{name}_sizes"))
    value = numpy_helper.from_array(np.array([one], dtype))
    parts.nodes.append(helper.make_node("ConstantOfShape", [f"{name}_sizes"], [name], value=value))


def _attribute(op: str, domain: str, name: str, text: str) -> Any:
    """As the operator's schema has it; of operators without one, by how it is written.

    Raises:
        Infeasible: it was too long to be named, or is a part of a model itself.
    """
    from onnx import defs, helper

    if text.startswith("sha256:"):
        raise Infeasible(f"{op}: its attribute {name} is not named whole")
    kinds = defs.OpSchema.AttrType
    kind = kinds.STRING
    try:
        kind = defs.get_schema(op, OPSET, domain).attributes[name].type
    except (defs.SchemaError, KeyError):
        kind = _guessed(name, text)
    read = {kinds.INT: int, kinds.FLOAT: float, kinds.STRING: str}
    lists = {kinds.INTS: int, kinds.FLOATS: float, kinds.STRINGS: str}
    if kind in lists:
        return helper.make_attribute(name, [lists[kind](each) for each in text.split(",")])
    if kind not in read:
        raise Infeasible(f"{op}: its attribute {name} is not known")
    return helper.make_attribute(name, read[kind](text))


_LISTS = (
    *("kernel_shape", "pads", "strides", "dilations", "output_shape", "axes", "perm", "scales"),
)
_REAL = ("alpha", "beta", "epsilon", "scale", "mask_filter_value")


def _guessed(name: str, text: str) -> Any:
    from onnx import defs

    kinds = defs.OpSchema.AttrType
    if name in _LISTS:
        return kinds.INTS
    if name == "activation_params":
        return kinds.FLOATS
    if name in _REAL:
        return kinds.FLOAT
    return kinds.INT if text.lstrip("-").isdigit() else kinds.STRING
