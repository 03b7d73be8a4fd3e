"""Forms of TensorFlow Lite's operators, whose maps have their channels last."""

from math import prod
from typing import TYPE_CHECKING

from harness.spaces.kernel_form import Form

if TYPE_CHECKING:
    from harness.spaces.kernel import Kernel

TFLITE = "tflite."
"""Before the names of its operators; then the type of quantised ones: `tflite.int8.CONV_2D`."""
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "CONV_3D", "CONV_3D_TRANSPOSE")
PAIRED = ("ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE")
"""Operators of two maps; or of one and a number, or a part of it, for each of it."""
_PRODUCTS = ("FULLY_CONNECTED", "BATCH_MATMUL")
_ROW_TILE = 7  # of XNNPACK's products and convolutions with AVX-512, found by timing
_RELUS = ("0", "1", "3")  # none, ReLU, ReLU6


def tflite_form(kernel: "Kernel") -> Form:
    numbers = {name: int(kernel.settings.get(name, "1")) for name in _SIZES}
    macs = _macs(kernel)
    kind, groups = _kind(kernel) if macs else ("moving", 1)
    window = numbers["filterHeight"] * numbers["filterWidth"]
    if kind in ("convolution", "depthwise"):
        window = prod(kernel.weights[1:3])
    return Form(
        kind,
        _variant(kernel, kind, groups, window),
        macs,
        groups,
        window,
        numbers["strideH"] * numbers["strideW"],
        numbers["dilationHFactor"] * numbers["dilationWFactor"],
        row_tile=_ROW_TILE,
        is_activated=kernel.settings.get("fusedActivationFunction", "0") not in _RELUS,
    )


_SIZES = (
    *("filterHeight", "filterWidth", "strideH", "strideW", "dilationHFactor", "dilationWFactor"),
)


def _macs(kernel: "Kernel") -> int:
    weights, out = kernel.weights, kernel.outputs[0].size
    if kernel.op.startswith(f"{TFLITE}custom.") or len(weights) < 2:
        return 0
    if kernel.name == "BATCH_MATMUL":
        first = kernel.inputs[0]
        assert first is not None
        return out * first.shape[-2 if kernel.settings.get("adjX") == "1" else -1]
    if kernel.name == "TRANSPOSE_CONV":
        return kernel.given[0].size * prod(weights[:3]) if kernel.given else 0
    if kernel.name == "CONV_3D":
        return out * prod(weights[:4])
    if kernel.name == "DEPTHWISE_CONV_2D":
        return out * prod(weights[1:3])
    if kernel.name in ("CONV_2D", "FULLY_CONNECTED"):
        return out * prod(weights[1:])
    if kernel.name.endswith(("SEQUENCE_LSTM", "SEQUENCE_RNN")):
        steps_and_batch = prod(kernel.input_shape[:2])
        return steps_and_batch * sum(c.size for c in kernel.constants if len(c.shape) == 2)
    return 0


def _kind(kernel: "Kernel") -> tuple[str, int]:
    """And how many groups."""
    if kernel.name not in _CONVOLUTIONS:
        return "product", 1
    if kernel.name == "DEPTHWISE_CONV_2D":
        return "depthwise", kernel.outputs[0].shape[-1]
    if kernel.name == "CONV_2D":
        return "convolution", max(1, kernel.input_shape[-1] // kernel.weights[-1])
    return "convolution", 1


def _variant(kernel: "Kernel", kind: str, groups: int, window: int) -> str:
    told = [kernel.op]
    if kernel.name == "CONV_2D":
        told.append("grouped" if groups > 1 else "1x1" if window == 1 else "dense")
    elif kind == "product" and not kernel.constants:
        told.append("dynamic")
    elif kernel.name in PAIRED:
        sizes = {each.size for each in (*kernel.given, *kernel.constants)}
        if len(sizes) > 1:
            told.append("number" if 1 in sizes else "part")
    return "-".join(told)
