"""What LiteRT makes of a .tflite file: each operator is a kernel, with what is fused into it in the
file already, and by XNNPACK.

What its CPU runs in no time was found by timing: see docs/any-network.md.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import FileFormatError
from harness.graphs.by_xnnpack import fused
from harness.graphs.graph import Graph, Source, Step
from harness.runtimes.conversion.kernel_tflite import PER_CHANNEL, attributes_of
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
from harness.runtimes.model_inputs.feeding import Feeding, feeding
from harness.runtimes.model_inputs.tflite_file import graph_number, kind_of, load, some, type_of
from harness.spaces.kernel import Kernel, Tensor
from harness.spaces.kernel_of_tflite import TFLITE

VIEWS = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
"""What moves nothing."""
ONCE = ("DEQUANTIZE", "DENSIFY")
"""What is computed once, when the file is loaded, where it is of constants."""
CONTROL = ("IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_WHILE", "STABLEHLO_CASE")
QUANTISED = ("int8", "uint8", "int16", "int4")
_STEERING = 16  # constants of at most so many whole numbers are kept with their values
_FEW = 64  # whole numbers that are sizes or positions
_LONGEST = 300  # of an attribute's text; longer ones are told by their digest
_MOST = 10**10  # of a size


def read_tflite(model: Path, asked: Asked = NOTHING_ASKED, batch: int = 1) -> Graph:
    """The kernels of a .tflite file, open sizes as `model_inputs.feeding` resolves them.

    Raises:
        FileFormatError: it is no such file, is broken, or has control flow.
        UsageError: sizes have to be said first.
        TargetFailed: it takes what is not fed here.
        MissingExtra: the package ai-edge-litert is not installed.
    """
    loaded = load(model)
    try:
        fed = feeding(model, asked, batch)
        return Graph(fused(tuple(_Reader.of(model, loaded, fed).steps())))
    except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise FileFormatError(f"{model} is no whole .tflite file: {error!r:.200}") from error


@dataclass(frozen=True)
class _Reader:
    """Of one graph of a file; tensors are known by their numbers."""

    path: Path
    model: Any
    graph: Any
    shapes: Sequence[tuple[int, ...]]  # of all tensors
    once: set[int]  # tensors that are computed from constants when the file is loaded

    @classmethod
    def of(cls, path: Path, model: Any, fed: Feeding) -> "_Reader":
        number = graph_number(model, fed.signature)
        graph = model.subgraphs[number]
        if not some(graph.operators):
            raise FileFormatError(f"{path} has no operators")
        return cls(path, model, graph, _shapes(path, graph, number, fed), set())

    def steps(self) -> Iterator[Step]:
        makers: dict[int, Source] = {}
        count = 0
        for operator in self.graph.operators:
            code = self.model.operatorCodes[operator.opcodeIndex]
            kind = kind_of(code)
            if kind in CONTROL:
                raise FileFormatError(
                    f"{self.path} has control flow ({kind}): what it takes depends on the values, "
                    "which nobody can predict from the file"
                )
            numbers = [int(each) for each in some(operator.inputs)]
            inputs = [self._tensor(each) if each >= 0 else None for each in numbers]
            made = [int(each) for each in some(operator.outputs)]
            outputs = [self._tensor(each) for each in made]
            if kind in ONCE and all(each is None or each.constant for each in inputs):
                self.once.update(made)
                continue
            if kind in VIEWS or _counts_sizes(inputs, outputs):
                makers |= dict.fromkeys(made, makers.get(numbers[0]) if kind in VIEWS else None)
                continue
            sources = [makers.get(each) for each in numbers]
            while inputs and inputs[-1] is None:
                inputs.pop()
            kernel = Kernel(
                _op(kind, inputs, outputs),
                tuple(inputs),
                tuple(outputs),
                tuple(sorted(self._attributes(kind, operator))),
            )
            yield Step(self._name(made[0]), kernel, tuple(sources[: len(inputs)]))
            makers |= {each: (count, place) for place, each in enumerate(made)}
            count += 1

    def _tensor(self, number: int) -> Tensor:
        if number < 0:
            raise IndexError("an output that is left out")
        told, shape = self.graph.tensors[number], self.shapes[number]
        dtype, data = type_of(told), self._data(told)
        if number in self.once:
            return Tensor(dtype, shape, True)
        if not len(data):
            return Tensor(dtype, shape)
        values: tuple[str, ...] = ()
        steers = dtype in ("int32", "int64") and not _is_quantised(told)
        if steers and prod(shape) <= _STEERING:
            values = tuple(map(str, np.frombuffer(bytes(data), dtype)[: prod(shape)].tolist()))
        return Tensor(dtype, shape, True, values)

    def _data(self, told: Any) -> Any:
        return () if told.isVariable else some(self.model.buffers[told.buffer].data)

    def _name(self, number: int) -> str:
        name = (self.graph.tensors[number].name or b"").decode(errors="replace")
        return "".join(filter(str.isprintable, name)) or f"tensor {number}"

    def _attributes(self, kind: str, operator: Any) -> Iterator[tuple[str, str]]:
        for name, text in attributes_of(kind, operator.builtinOptions):
            yield name, _short(text)
        for name, options in (
            ("custom", operator.customOptions),
            ("further", operator.builtinOptions2),
        ):
            if options is not None:
                text = repr(vars(options)) if hasattr(options, "__dict__") else repr(bytes(options))
                yield name, _digest(text)
        weights = [int(each) for each in some(operator.inputs)][1:2]
        if weights and weights[0] >= 0:
            steps = self.graph.tensors[weights[0]].quantization
            if steps is not None and len(some(steps.scale)) > 1:
                yield PER_CHANNEL, "1"


def _is_quantised(told: Any) -> bool:
    return told.quantization is not None and len(some(told.quantization.scale)) > 0


def _shapes(path: Path, graph: Any, number: int, fed: Feeding) -> list[tuple[int, ...]]:
    """Of all tensors, once the inputs are sized.

    Raises:
        FileFormatError: some depend on values, or are none.
    """
    shapes = [tuple(map(int, some(each.shape))) for each in graph.tensors]
    given = [int(each) for each in some(graph.inputs)]
    sizes = [feed.shape for feed in fed.feeds]
    if [shapes[each] for each in given] != sizes:
        shapes = _resized(path, number, sizes)
    elif all(feed.fixed for feed in fed.feeds):
        for told in graph.tensors:
            if any(size < 0 for size in some(told.shapeSignature)):
                name = (told.name or b"").decode(errors="replace")
                raise FileFormatError(
                    f"{path}: the sizes of {name} depend on the values: nobody can predict from "
                    "the file what it takes"
                )
    if any(not 0 <= size < _MOST for shape in shapes for size in shape):
        raise FileFormatError(f"{path} has a tensor of sizes that are none")
    return shapes


def _resized(path: Path, number: int, sizes: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """As LiteRT infers them."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    if number:
        raise FileFormatError(f"{path}: only of a file's first graph can sizes be said here")
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = Interpreter(model_path=str(path), experimental_op_resolver_type=plain)
        for told, shape in zip(interpreter.get_input_details(), sizes, strict=True):
            interpreter.resize_tensor_input(told["index"], shape)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        told = " ".join(str(error).split())
        raise FileFormatError(f"LiteRT cannot take {path} with these sizes: {told:.300}") from error
    found = {each["index"]: each["shape"] for each in interpreter.get_tensor_details()}
    return [tuple(map(int, found.get(each, ()))) for each in range(1 + max(found))]


def _counts_sizes(inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> bool:
    """Whether it only reckons with a few whole numbers: sizes of others, positions."""
    known = [each for each in (*inputs, *outputs) if each is not None]
    return all(
        each.dtype in ("int32", "int64", "bool") and prod(each.shape) <= _FEW for each in known
    )


def _op(kind: str, inputs: Sequence[Tensor | None], outputs: Sequence[Tensor]) -> str:
    """Behind the type of what is quantised in it: of maps, or of weights alone."""
    name = re.sub(r"[^A-Za-z0-9_.]", "_", kind)[:50]
    known = [each for each in inputs if each is not None]
    maps = [each.dtype for each in (*known, *outputs) if not each.constant]
    if quantised := next((each for each in maps if each in QUANTISED), ""):
        return f"{TFLITE}{quantised}.{name}"
    if any(each.constant and each.dtype in QUANTISED for each in known):
        return f"{TFLITE}weights.{name}"
    return f"{TFLITE}{name}"


def _short(text: str) -> str:
    text = "".join(text.split()).replace(";", ",")
    return text if len(text) <= _LONGEST else _digest(text)


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()[:16]}"
