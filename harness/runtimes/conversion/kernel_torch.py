"""Kernels of torch as files that list calls, to be timed: one alone, or whole networks of them.

A file is JSON: `given` and `constants` are tensors ([type, shape, strides or null, value or null]),
`calls` [operator, arguments, arguments by name], where {"given": 0}, {"constant": 0} and
{"call": [1, 0]} (the first tensor that the second call gives) stand for tensors.
`runtimes/agent/calls.py` reads it.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from harness.errors import Infeasible
from harness.runtimes.conversion.cache import content_path
from harness.runtimes.session import Workload
from harness.spaces.kernel import Kernel, Tensor, is_kernel
from harness.spaces.kernel_of_torch import STRIDES, TORCH, is_in_place

Output = tuple[int, int]
"""A kernel by its place, and which of its outputs."""
SUFFIX = ".aten"
_SETTLED, _NEUTRAL = 20.0, 1.0
"""What operators that write over their input leave nearly as it is, run after run (activations,
products with ones): others would have numbers become so small that processors are slow."""


@dataclass(frozen=True)
class KernelConverter:
    """Of single kernels."""

    suffix: ClassVar[str] = SUFFIX
    slow: ClassVar[bool] = False
    takes_s: ClassVar[tuple[float, float]] = (0.0005, 0.002)

    def path(self, workload: Workload) -> Path:
        return content_path(self.suffix, {}, workload)

    def make(self, workload: Workload) -> bytes:
        """Raises Infeasible: a kernel that cannot be timed alone."""
        assert is_kernel(workload)
        return kernel_file(workload[0])


def kernel_file(kernel: Kernel) -> bytes:
    """A program of this one call.

    Raises:
        Infeasible: as `network_file`.
    """
    return network_file([kernel], [(None,) * len(kernel.inputs)])


def network_file(kernels: Sequence[Kernel], sources: Sequence[Sequence[Output | None]]) -> bytes:
    """A program of these calls in this order; `sources` tells of each input which output of which
    kernel it is. What no kernel takes is given.

    Raises:
        Infeasible: a kernel's name does not tell all of it, or torch has no such operator.
    """
    parts = _Parts()
    for kernel, own in zip(kernels, sources, strict=True):
        alone = len(kernels) == 1 and is_in_place(kernel)
        tensors = [
            None if each is None else _input(parts, kernel, number, source, alone)
            for number, (each, source) in enumerate(zip(kernel.inputs, own, strict=True))
        ]
        parts.calls.append(_call(kernel, iter(tensors)))
    taken = {source for each in sources for source in each if source is not None}
    outputs = [
        {"call": [place, number]}
        for place, kernel in enumerate(kernels)
        for number in range(len(kernel.outputs))
        if (place, number) not in taken
    ]
    value = {"given": parts.given, "constants": parts.constants, "calls": parts.calls}
    return json.dumps(value | {"outputs": outputs}, separators=(",", ":")).encode()


@dataclass(frozen=True)
class _Parts:
    """Of a program that is being made."""

    given: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)


def _input(
    parts: _Parts, kernel: Kernel, number: int, source: Output | None, settled: bool
) -> dict[str, Any]:
    tensor = kernel.inputs[number]
    assert tensor is not None
    if source is not None and not tensor.constant:
        return {"call": list(source)}
    value = None if not settled else _NEUTRAL if number else _SETTLED
    kept = parts.constants if tensor.constant else parts.given
    kept.append(_described(kernel, number, tensor, value))
    return {"constant" if tensor.constant else "given": len(kept) - 1}


def _described(kernel: Kernel, number: int, tensor: Tensor, value: float | None) -> list[Any]:
    strides = json.loads(kernel.settings.get(f"{STRIDES}{number}", "null"))
    return [tensor.dtype, tensor.shape, strides, value]


def _call(kernel: Kernel, tensors: Iterator[Any]) -> list[Any]:
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for argument in _operator(kernel)._schema.arguments:
        text = kernel.settings.get(argument.name)
        if text is not None and text.startswith("sha256:"):
            raise Infeasible(f"{kernel.op}: its argument {argument.name} is not named whole")
        value = argument.default_value
        if "Tensor" in str(argument.type) and "List" in str(argument.type):
            value = [next(tensors, None) for _ in range(int(text or 0))]
        elif text is not None:
            value = json.loads(text)
        elif "Tensor" in str(argument.type):
            value = next(tensors, None)
        if not argument.kwarg_only:
            positional.append(value)
        elif value != argument.default_value:
            named[argument.name] = value
    return [kernel.op, positional, named]


def _operator(kernel: Kernel) -> Any:
    import torch

    name, _, overload = kernel.op.removeprefix(TORCH).partition(".")
    try:
        return getattr(getattr(torch.ops.aten, name), overload or "default")
    except (AttributeError, RuntimeError) as error:
        raise Infeasible(f"{kernel.op}: torch {torch.__version__} has no such operator") from error
