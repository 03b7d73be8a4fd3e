"""Files that list calls of torch's operators, as modules that run like those of torch.export."""

import json

import torch
from torch import fx

DEPTH = 5  # modules within modules that a program asks for each weight, in every run: 1 us each


def read(path):
    """The module, and what it is given."""
    with open(path) as file:
        program = json.load(file)
    root = owner = torch.nn.Module()
    for _ in range(DEPTH):
        owner.part = owner = torch.nn.Module()
    graph = fx.Graph()
    given = [graph.placeholder("given_%d" % place) for place in range(len(program["given"]))]
    constants = []
    for place, told in enumerate(program["constants"]):
        name = "constant_%d" % place
        owner.register_buffer(name, _constant(told))
        constants.append(graph.get_attr(".".join(["part"] * DEPTH + [name])))
    made = []

    def of(value):
        """An argument: nodes where there are references."""
        if isinstance(value, list):
            return [of(each) for each in value]
        if isinstance(value, str) and value.startswith("torch."):
            return getattr(torch, value[len("torch.") :])
        if not isinstance(value, dict):
            return value
        ((kind, place),) = value.items()
        if kind == "call":
            return made[place[0]](place[1])
        return (given if kind == "given" else constants)[place]

    for name, arguments, named in program["calls"]:
        operator = _operator(name)
        node = graph.call_function(
            operator, tuple(map(of, arguments)), {key: of(value) for key, value in named.items()}
        )
        made.append(_giving(graph, node, operator))
    graph.output(tuple(of(each) for each in program["outputs"]))
    return fx.GraphModule(root, graph).eval(), [_given(told) for told in program["given"]]


def _giving(graph, node, operator):
    """What tells of each tensor of a call; several are in a tuple or list."""
    returns = operator._schema.returns
    if len(returns) == 1 and "List" not in str(returns[0].type):
        return lambda _: node
    picked = {}

    def pick(place):
        if place not in picked:
            with graph.inserting_after(node):
                picked[place] = graph.call_function(_item, (node, place))
        return picked[place]

    return pick


def _item(values, place):
    return values[place]


def _operator(name):
    library, _, rest = name.partition(".")
    if library != "aten":
        raise ValueError("no operators of %s are called" % library)
    packet, _, overload = rest.partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload or "default")


def _given(told):
    """Numbers above zero, of which roots and logarithms are numbers, too."""
    return _tensor(told, lambda size: torch.randn(size).abs() + 0.01)


def _constant(told):
    """Small numbers above zero: sums stay small, and variances have roots."""
    return _tensor(told, lambda size: 0.01 + 0.05 * torch.rand(size))


def _tensor(told, make):
    """As it lies in memory; of one value where that is told, and zeros of whole numbers, which may
    be indices."""
    dtype, shape, strides, value = told
    dtype = getattr(torch, dtype)
    size = shape
    if strides is not None:
        size = [max(1, 1 + sum((length - 1) * step for length, step in zip(shape, strides)))]
    if not (dtype.is_floating_point or dtype.is_complex):
        numbers = torch.zeros(size)
    elif value is not None:
        numbers = torch.full(size, value)
    else:
        numbers = make(size)
    numbers = numbers.to(dtype)
    return numbers if strides is None else numbers.as_strided(shape, strides)
