"""The calls of a program, found by running it without numbers: on torch's fake tensors, which have
sizes, strides and memory that they share, and nothing in it."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensorMode

from harness.graphs.graph import Source, Step
from harness.spaces.kernel import Kernel, Tensor
from harness.spaces.kernel_of_torch import ALIAS, STRIDES, TORCH

_LONGEST = 300  # of an attribute's text; longer ones are told by their digest


def calls_of(program: Any, shapes: Sequence[tuple[int, ...]]) -> list[Step]:
    """All that give tensors, in their order; `shapes` of the inputs that a user gives.

    Raises:
        Exception: whatever torch raises where sizes or branches depend on values.
    """
    module = program.module(check_guards=False)
    given = [node.meta["val"].dtype for node in module.graph.nodes if node.op == "placeholder"]
    with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
        inputs = [
            torch.empty(shape, dtype=dtype) for shape, dtype in zip(shapes, given, strict=True)
        ]
        recorder = _Recorder(module, mode)
        recorder.run(*inputs, enable_io_processing=False)
    return recorder.steps


class _Recorder(torch.fx.Interpreter):
    """Runs a graph and notes what it calls."""

    def __init__(self, module: torch.fx.GraphModule, mode: FakeTensorMode) -> None:
        super().__init__(module, garbage_collect_values=False)  # what is known by `id` stays
        self.steps: list[Step] = []
        self._mode = mode
        self._module_name = ""
        self._makers: dict[int, Source] = {}  # of tensors
        self._held: dict[str, Any] = {}  # constants, by their names
        self._constant: set[int] = set()  # their memories

    def fetch_attr(self, target: str) -> Any:
        if target not in self._held:
            value = super().fetch_attr(target)
            if isinstance(value, torch.Tensor):
                value = self._mode.from_tensor(value)
                self._constant.add(_memory(value))
            self._held[target] = value
        return self._held[target]

    def run_node(self, n: torch.fx.Node) -> Any:
        stack = n.meta.get("nn_module_stack") or {}
        module, *_ = next(reversed(stack.values()), ("",))
        self._module_name = f"{module}/{n.name}" if module else n.name
        return super().run_node(n)

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not isinstance(target, OpOverload):
            if isinstance(target, torch._ops.OperatorBase):
                raise ValueError(f"it has control flow ({target})")
            return super().call_function(target, args, kwargs)
        given = dict(zip((each.name for each in target._schema.arguments), args, strict=False))
        inputs, attributes = _split(target, given | kwargs)
        # Before the call: what is written over is another's from then on.
        tensors = tuple(each if each is None else self._tensor(each) for each in inputs)
        sources = tuple(self._makers.get(id(each)) for each in inputs)
        memories = [None if each is None else _memory(each) for each in inputs]
        result = super().call_function(target, args, kwargs)
        made = [each for each in _flat(result) if isinstance(each, torch.Tensor)]
        if not made:
            return result
        if _memory(made[0]) in memories:
            attributes[ALIAS] = str(memories.index(_memory(made[0])))
        if ALIAS in attributes or torch.Tag.pointwise in target.tags:  # to which it is all the same
            tensors = tuple(each and replace(each, constant=False) for each in tensors)
        outputs = tuple(self._tensor(each, constant=False) for each in made)
        told = tuple(sorted(attributes.items()))
        kernel = Kernel(_name(target), tensors, outputs, told)
        self._makers |= {id(each): (len(self.steps), n) for n, each in enumerate(made)}
        self.steps.append(Step(self._module_name, kernel, sources))
        return result

    def _tensor(self, value: torch.Tensor, constant: bool | None = None) -> Tensor:
        if constant is None:
            constant = _memory(value) in self._constant and id(value) not in self._makers
        dtype = str(value.dtype).removeprefix("torch.")
        return Tensor(dtype, tuple(int(size) for size in value.shape), constant)


def _memory(value: torch.Tensor) -> int:
    return int(value.untyped_storage()._cdata)


def _flat(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, tuple | list) else (value,)


def _name(target: OpOverload) -> str:
    """`aten.conv2d`, `aten.add.Tensor`; of other libraries theirs."""
    name = str(target).removesuffix(".default")
    return name if name.startswith(TORCH) else f"{TORCH}{name}"


def _split(target: OpOverload, given: dict[str, Any]) -> tuple[list[Any], dict[str, str]]:
    """Tensors in the order of the schema, and all else that is not as it would be anyway."""
    inputs: list[Any] = []
    attributes: dict[str, str] = {}
    for argument in target._schema.arguments:
        value = given.get(argument.name, argument.default_value)
        kind = str(argument.type)
        if "Tensor" in kind and isinstance(value, list | tuple):
            attributes[argument.name] = str(len(value))
            inputs += value
        elif "Tensor" in kind and (value is None or isinstance(value, torch.Tensor)):
            inputs.append(value)
        elif value != argument.default_value and not isinstance(value, torch.device):
            attributes[argument.name] = _attribute(value)
    while inputs and inputs[-1] is None:
        inputs.pop()
    for number, each in enumerate(inputs):
        if each is not None and not each.is_contiguous():
            strides = [int(stride) for stride in each.stride()]
            attributes[f"{STRIDES}{number}"] = json.dumps(strides, separators=(",", ":"))
    return inputs, attributes


def _attribute(value: Any) -> str:
    """In JSON; types, layouts and formats by torch's names: `"torch.float32"`."""
    text = "".join(json.dumps(value, default=str, separators=(",", ":")).split())
    if len(text) > _LONGEST or ";" in text:
        return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return text
