"""Kernels: single operators as a runtime executes them, with everything that their cost depends on.

Whole networks of anybody are sums of these. The names of operators, their attributes and what they
are given are the runtime's own, so that a kernel is made a model of again to be timed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import ClassVar, Self, TypeGuard

from harness.spaces.block import Block
from harness.spaces.kernel_form import Form
from harness.spaces.kernel_of_onnx import onnx_form
from harness.spaces.kernel_of_openvino import OPENVINO, openvino_form
from harness.spaces.kernel_of_tflite import TFLITE, tflite_form
from harness.spaces.kernel_of_torch import TORCH, torch_form

_SIZES = r"[0-9]{0,10}(?:,[0-9]{1,10}){0,9}"
_TENSOR = re.compile(
    rf"(?P<dtype>[a-z][a-z0-9]{{1,19}})(?:\[(?P<given>{_SIZES})\]|\{{(?P<held>{_SIZES})\}})"
    r"(?:\((?P<values>[-+.,a-z0-9]{1,200})\))?"
)
_OP = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,80}")
_ATTRIBUTE = re.compile(r"([A-Za-z_][A-Za-z0-9_]{0,40})=([^;\s]{0,300})")
NOTHING = "_"
"""Stands for an optional input that is left out."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """What goes into a kernel, or comes out."""

    dtype: str
    shape: tuple[int, ...]
    constant: bool = False
    values: tuple[str, ...] = ()  # of a constant that steers: axes, sizes; in order

    @property
    def size(self) -> int:
        """How many numbers it has."""
        return prod(self.shape)

    def __str__(self) -> str:
        sizes = ",".join(map(str, self.shape))
        values = f"({','.join(self.values)})" if self.values else ""
        return f"{self.dtype}{{{sizes}}}{values}" if self.constant else f"{self.dtype}[{sizes}]"

    @classmethod
    def of_text(cls, text: str) -> Self | None:
        match = _TENSOR.fullmatch(text)
        if match is None:
            return None
        sizes = match["given"] if match["held"] is None else match["held"]
        shape = tuple(int(size) for size in sizes.split(",") if size)
        values = tuple(match["values"].split(",")) if match["values"] else ()
        return cls(match["dtype"], shape, match["held"] is not None, values)


@dataclass(frozen=True)
class Kernel(Block):
    """One operator of a runtime's own graph.

    `op` is its type, in a domain that is not ONNX's with that before it: `nchwc.Conv`,
    `tflite.CONV_2D`.
    """

    kinds: ClassVar = ("kernel",)

    op: str
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    attributes: tuple[tuple[str, str], ...] = ()

    def __hash__(self) -> int:
        return hash(self.key)  # which is made once

    @property
    def kind(self) -> str:
        return "kernel"

    @cached_property
    def key(self) -> str:
        """`kernel-OP;input;...;attribute=value;...;>output;...`."""
        inputs = [NOTHING if each is None else str(each) for each in self.inputs]
        attributes = [f"{name}={value}" for name, value in self.attributes]
        outputs = [f">{each}" for each in self.outputs]
        return ";".join([f"kernel-{self.op}", *inputs, *attributes, *outputs])

    @classmethod
    def of_key(cls, key: str) -> Self | None:
        _, *parts = key.split(";")
        op = op_of(key)
        inputs: list[Tensor | None] = []
        outputs: list[Tensor] = []
        attributes: list[tuple[str, str]] = []
        for part in parts:
            attribute = _ATTRIBUTE.fullmatch(part)
            tensor = Tensor.of_text(part.removeprefix(">"))
            if part == NOTHING:
                inputs.append(None)
            elif attribute is not None:
                attributes.append((attribute[1], attribute[2]))
            elif tensor is None:
                return None
            elif part.startswith(">"):
                outputs.append(tensor)
            else:
                inputs.append(tensor)
        if not _OP.fullmatch(op) or not outputs:
            return None
        return cls(op, tuple(inputs), tuple(outputs), tuple(attributes))

    @property
    def order(self) -> tuple[str, ...]:
        return self.kind, self.key

    def _fields(self) -> tuple[str, ...]:
        return ("op", "inputs", "outputs", "attributes")

    @property
    def name(self) -> str:
        """The operator without its domain."""
        return self.op.rpartition(".")[2]

    @cached_property
    def settings(self) -> Mapping[str, str]:
        """Attributes by name."""
        return dict(self.attributes)

    @property
    def given(self) -> tuple[Tensor, ...]:
        """Inputs that other kernels make."""
        return tuple(each for each in self.inputs if each is not None and not each.constant)

    @property
    def constants(self) -> tuple[Tensor, ...]:
        return tuple(each for each in self.inputs if each is not None and each.constant)

    @property
    def input_shape(self) -> tuple[int, ...]:
        """With its batch."""
        return self.given[0].shape if self.given else ()

    @property
    def output_shape(self) -> tuple[int, ...]:
        """With its batch."""
        return self.outputs[0].shape

    def numbers(self, attribute: str) -> tuple[int, ...]:
        """An attribute that is a list of whole numbers; none where it is not told."""
        text = self.settings.get(attribute, "")
        return tuple(int(each) for each in text.split(",") if each)

    @property
    def weights(self) -> tuple[int, ...]:
        """The shape of what a convolution or product holds as its second input."""
        second = self.inputs[1] if len(self.inputs) > 1 else None
        return () if second is None else second.shape

    @cached_property
    def form(self) -> Form:
        """What its time depends on."""
        if self.op.startswith(OPENVINO):
            return openvino_form(self)
        if self.op.startswith(TORCH):
            return torch_form(self)
        return tflite_form(self) if self.op.startswith(TFLITE) else onnx_form(self)

    @property
    def macs(self) -> int:
        """For the whole batch; 0 for operators that are neither convolution nor product."""
        return self.form.macs

    @property
    def params(self) -> int:
        """Numbers of its constants, without those that steer."""
        return sum(each.size for each in self.constants if not each.values)

    @property
    def peak_activations(self) -> int:
        return sum(each.size for each in (*self.given, *self.outputs))

    @property
    def stage(self) -> str:
        """By what bounds it: those of one share a scale in calibrations."""
        return self.form.kind

    @property
    def variant(self) -> str:
        """The operator, and what of it makes it run another way: kernels of one variant are alike
        but for sizes."""
        return self.form.variant


def is_kernel(workload: object) -> TypeGuard[tuple[Kernel, ...]]:
    """Whether what is timed is a kernel alone, and neither blocks of a space nor a file."""
    return isinstance(workload, tuple) and isinstance(workload[0], Kernel)


def op_of(key: str) -> str:
    """The operator of the kernel with this key."""
    return key.removeprefix("kernel-").partition(";")[0]
