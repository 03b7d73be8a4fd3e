"""Kernels as .tflite files, to be timed: one alone, or whole networks of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import Infeasible
from harness.spaces.kernel import Kernel, Tensor
from harness.spaces.kernel_of_tflite import TFLITE

Output = tuple[int, int]
"""A kernel by its place, and which of its outputs."""
PADS, PER_CHANNEL = "pads", "per_channel"
"""Attributes besides those of the schema: pixels above, below, left and right that a PAD before the
operator adds; whether each channel of the weights has a scale of its own."""
OPTIONS = "options"  # the schema's name of an operator's, where it is not the operator's own
SEED = 7
_FED = ("float32", "float16", "int8", "uint8", "int16")
_STEP, _WEIGHT_STEP = 0.05, 0.02  # scales of quantised maps and weights
_BOUNDED = {"SOFTMAX": (1 / 256, -128), "LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
"""Scale and zero point of int8 outputs whose operators allow no others."""
_CHANNELS = {"DEPTHWISE_CONV_2D": 3}  # axis of weights; 0 of other operators
_VERSIONS = {"BROADCAST_TO": 2}  # the first that LiteRT still has, where that is not 1
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV", "BATCH_MATMUL")


def kernel_file(kernel: Kernel) -> bytes:
    """A model of this one operator, with the inputs that other kernels give it.

    Raises:
        Infeasible: as `network_file`.
    """
    return network_file([kernel], [(None,) * len(kernel.inputs)])


def network_file(kernels: Sequence[Kernel], sources: Sequence[Sequence[Output | None]]) -> bytes:
    """A model of these operators in this order; `sources` tells of each input which output of which
    kernel it is. What no kernel takes is given.

    Constants are random, and none is another's. What is given from outside and is no measure (token
    ids, truth values) is a constant, too: what is fed at random would be no index.

    Raises:
        Infeasible: a kernel's name does not tell all of it.
    """
    from ai_edge_litert import schema_py_generated as schema

    from harness.runtimes.conversion.flatbuffer import written

    parts = _Parts()
    made: dict[Output, int] = {}
    for place, (kernel, own) in enumerate(zip(kernels, sources, strict=True)):
        inputs = [
            -1 if each is None else _input(parts, kernel, number, source, made, kernels)
            for number, (each, source) in enumerate(zip(kernel.inputs, own, strict=True))
        ]
        if PADS in kernel.settings:
            inputs[0] = _padded(parts, kernel, inputs[0])
        outputs = [parts.tensor(each, _steps(kernel, each)) for each in kernel.outputs]
        made |= {(place, number): each for number, each in enumerate(outputs)}
        parts.operator(kernel.name, inputs, outputs, _options(kernel))
    taken = {source for each in sources for source in each if source is not None}
    graph = schema.SubGraphT(
        tensors=parts.tensors,
        inputs=parts.given,
        outputs=[number for output, number in made.items() if output not in taken],
        operators=parts.operators,
        name="kernels",
    )
    codes = [
        schema.OperatorCodeT(
            deprecatedBuiltinCode=min(code, 127), builtinCode=code, version=version
        )
        for code, version in parts.codes
    ]
    model = schema.ModelT(version=3, operatorCodes=codes, subgraphs=[graph], buffers=parts.buffers)
    return written(model)


@dataclass
class _Parts:
    """Of a model that is being made; a tensor is known by its number."""

    tensors: list[Any] = field(default_factory=list)
    operators: list[Any] = field(default_factory=list)
    codes: dict[tuple[int, int], int] = field(default_factory=dict)
    given: list[int] = field(default_factory=list)
    random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(SEED))

    def __post_init__(self) -> None:
        from ai_edge_litert.schema_py_generated import BufferT

        self.buffers = [BufferT()]  # the first stays empty, by convention

    def tensor(
        self, told: Tensor, steps: Any = None, values: npt.NDArray[Any] | None = None
    ) -> int:
        from ai_edge_litert import schema_py_generated as schema

        buffer = 0
        if values is not None:
            self.buffers.append(schema.BufferT(values.reshape(-1).view(np.uint8)))
            buffer = len(self.buffers) - 1
        kind = getattr(schema.TensorType, told.dtype.upper())
        name = f"tensor_{len(self.tensors)}"
        self.tensors.append(
            schema.TensorT(
                shape=told.shape,
                type=kind,
                buffer=buffer,
                name=name,
                quantization=steps,
                hasRank=True,
            )
        )
        return len(self.tensors) - 1

    def operator(
        self, name: str, inputs: Sequence[int], outputs: Sequence[int], options: Any
    ) -> None:
        from ai_edge_litert import schema_py_generated as schema

        code = getattr(schema.BuiltinOperator, name, None)
        if code is None:
            raise Infeasible(f"{name}: no operator of TensorFlow Lite's own")
        kind = type(options).__name__.removesuffix("T")
        self.operators.append(
            schema.OperatorT(
                opcodeIndex=self.codes.setdefault((code, _VERSIONS.get(name, 1)), len(self.codes)),
                inputs=list(inputs),
                outputs=list(outputs),
                builtinOptionsType=0 if options is None else getattr(schema.BuiltinOptions, kind),
                builtinOptions=options,
            )
        )


def _input(
    parts: _Parts,
    kernel: Kernel,
    number: int,
    source: Output | None,
    made: dict[Output, int],
    kernels: Sequence[Kernel],
) -> int:
    """Its number, once the parts have what makes it."""
    tensor = kernel.inputs[number]
    assert tensor is not None
    if tensor.constant or (source is None and tensor.dtype not in _FED):
        return parts.tensor(tensor, _held_steps(kernel, number), _values(parts, kernel, number))
    if source is None:
        parts.given.append(parts.tensor(tensor, _steps(None, tensor)))
        return parts.given[-1]
    maker = kernels[source[0]]
    if maker.outputs[source[1]].shape == tensor.shape:
        return made[source]
    return _reshaped(parts, made[source], tensor, _steps(maker, tensor))


def _reshaped(parts: _Parts, source: int, tensor: Tensor, steps: Any) -> int:
    from ai_edge_litert.schema_py_generated import ReshapeOptionsT

    sizes = np.array(tensor.shape, np.int32)
    held = parts.tensor(Tensor("int32", (len(sizes),), True), None, sizes)
    reshaped = parts.tensor(tensor, steps)
    parts.operator("RESHAPE", [source, held], [reshaped], ReshapeOptionsT(newShape=list(sizes)))
    return reshaped


def _padded(parts: _Parts, kernel: Kernel, source: int) -> int:
    from ai_edge_litert.schema_py_generated import PadOptionsT

    above, below, left, right = kernel.numbers(PADS)
    batch, height, width, channels = kernel.input_shape
    pads = np.array([[0, 0], [above, below], [left, right], [0, 0]], np.int32)
    shape = (batch, above + height + below, left + width + right, channels)
    tensor = Tensor(kernel.given[0].dtype, shape)
    held = parts.tensor(Tensor("int32", (4, 2), True), None, pads)
    padded = parts.tensor(tensor, _steps(None, tensor))
    parts.operator("PAD", [source, held], [padded], PadOptionsT())
    return padded


def _values(parts: _Parts, kernel: Kernel, number: int) -> npt.NDArray[Any]:
    """Of a constant: as told, or random so that what is computed stays of one size."""
    tensor = kernel.inputs[number]
    assert tensor is not None
    if tensor.values:
        return np.array([float(each) for each in tensor.values]).astype(tensor.dtype)
    if tensor.dtype.startswith("float"):
        if number == 1 and kernel.name in _WEIGHTED:
            summed = max(1, kernel.macs // max(1, kernel.outputs[0].size))
            values = parts.random.standard_normal(tensor.size, np.float32) / np.sqrt(summed)
        else:
            values = 0.5 + parts.random.random(tensor.size, np.float32)
        return np.asarray(values, tensor.dtype)
    if tensor.dtype in ("int8", "uint8"):
        return np.asarray(parts.random.integers(0, 256, tensor.size, np.uint8))
    return np.zeros(tensor.size, tensor.dtype)


def _steps(kernel: Kernel | None, tensor: Tensor) -> Any:
    """The quantisation of a map that `kernel` makes."""
    from ai_edge_litert.schema_py_generated import QuantizationParametersT

    if tensor.dtype not in ("int8", "uint8", "int16"):
        return None
    scale, zero = _BOUNDED.get(kernel.name, (_STEP, 0)) if kernel else (_STEP, 0)
    if tensor.dtype == "uint8":
        zero += 128
    return QuantizationParametersT(scale=[scale], zeroPoint=[zero])


def _held_steps(kernel: Kernel, number: int) -> Any:
    """The quantisation of a constant."""
    from ai_edge_litert.schema_py_generated import QuantizationParametersT

    tensor = kernel.inputs[number]
    assert tensor is not None
    if tensor.dtype not in ("int8", "uint8", "int4", "int32") or tensor.values:
        return None
    if kernel.name not in _WEIGHTED:
        return _steps(None, tensor)
    axis = _CHANNELS.get(kernel.name, 0)
    count = kernel.weights[axis] if PER_CHANNEL in kernel.settings else 1
    if tensor.dtype == "int32":
        if number == 0:
            return None
        return QuantizationParametersT(scale=[_STEP * _WEIGHT_STEP] * count, zeroPoint=[0] * count)
    return QuantizationParametersT(
        scale=[_WEIGHT_STEP] * count, zeroPoint=[0] * count, quantizedDimension=axis
    )


def options_name(op: str) -> str | None:
    """The schema's name of an operator's options, where it is the operator's own."""
    from ai_edge_litert.schema_py_generated import BuiltinOptions

    own = f"{op.replace('_', '')}options".lower()
    return next((name for name in vars(BuiltinOptions) if name.lower() == own), None)


def _options(kernel: Kernel) -> Any:
    """Raises Infeasible: one of them is too long to be named, or not known."""
    from ai_edge_litert import schema_py_generated as schema

    name = kernel.settings.get(OPTIONS) or options_name(kernel.name)
    kind = getattr(schema, f"{name}T", None)
    if kernel.op.startswith(f"{TFLITE}custom.") or (name is not None and kind is None):
        raise Infeasible(f"{kernel.op}: its options are not known")
    options = None if kind is None else kind()
    for attribute, text in kernel.attributes:
        if attribute in (OPTIONS, PADS, PER_CHANNEL):
            continue
        if options is None or not hasattr(options, attribute) or text.startswith("sha256:"):
            raise Infeasible(f"{kernel.op}: its attribute {attribute} is not named whole")
        setattr(options, attribute, _read(getattr(options, attribute), text))
    return options


def _read(like: Any, text: str) -> Any:
    if isinstance(like, bool):
        return text == "1"
    if isinstance(like, int | float):
        return type(like)(text)
    return [int(each) for each in text.split(",")]


def attributes_of(op: str, options: Any) -> Iterator[tuple[str, str]]:
    """An operator's options as a kernel has them: those that are not as the schema presets them."""
    if options is None:
        return
    name = type(options).__name__.removesuffix("T")
    if name != options_name(op):
        yield OPTIONS, name
    preset = vars(type(options)())
    for attribute, value in vars(options).items():
        text = _text(value)
        if text and text != _text(preset[attribute]):
            yield attribute, text


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | int):
        return str(int(value))
    if isinstance(value, float):
        return f"{value:.7g}"
    return ",".join(map(str, value))
