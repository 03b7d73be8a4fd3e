"""Forms of ONNX's operators, and of those that onnxruntime fuses."""

from math import prod
from typing import TYPE_CHECKING

from harness.spaces.kernel_form import Form

if TYPE_CHECKING:
    from harness.spaces.kernel import Kernel

_TOLD_BY = {
    "Transpose": "perm",
    "Resize": "mode",
    "Upsample": "mode",
    "AveragePool": "ceil_mode",  # sizes that are rounded up take onnxruntime 20 times as long
}


def onnx_form(kernel: "Kernel") -> Form:
    count = _MACS.get(kernel.name)
    macs = 0 if count is None or len(kernel.weights) < 2 else count(kernel)
    groups = int(kernel.settings.get("group", "1"))
    kind = "moving" if macs == 0 else "product"
    if macs and "Conv" in kernel.name:
        kind = "depthwise" if kernel.weights[1] == 1 and groups > 1 else "convolution"
    return Form(
        kind,
        _variant(kernel, kind, groups, macs),
        macs,
        groups,
        prod(kernel.numbers("kernel_shape")) or 1,
        prod(kernel.numbers("strides")) or 1,
        prod(kernel.numbers("dilations")) or 1,
        1 if "Conv" in kernel.name else -1,
        kernel.settings.get("activation", "Relu") != "Relu",
    )


def _variant(kernel: "Kernel", kind: str, groups: int, macs: int) -> str:
    parts = [kernel.op]
    if "Conv" in kernel.name:
        grouped = "grouped" if groups > 1 else "dense"
        pointwise = "1x1" if prod(kernel.weights[2:]) == 1 else ""
        parts.append("depthwise" if kind == "depthwise" else f"{grouped}{pointwise}")
    elif kernel.name in _TOLD_BY:
        parts.append(kernel.settings.get(_TOLD_BY[kernel.name], ""))
    elif macs and len(kernel.constants) == 0:
        parts.append("dynamic")
    return "-".join(parts)


def _convolved(kernel: "Kernel") -> int:
    return kernel.outputs[0].size * prod(kernel.weights[1:])


def _spread(kernel: "Kernel") -> int:
    return kernel.given[0].size * prod(kernel.weights[1:]) if kernel.given else 0


def _multiplied(kernel: "Kernel") -> int:
    first = kernel.inputs[0]
    assert first is not None
    row = -2 if kernel.settings.get("transA") == "1" else -1
    return kernel.outputs[0].size * first.shape[row] if len(first.shape) > 1 else first.size


def _attended(kernel: "Kernel") -> int:
    """Scores of queries and keys, and what is weighted by those; of onnxruntime's own operator also
    what they and values are made by."""
    if kernel.op == "Attention":
        keys = kernel.outputs[1].shape if len(kernel.outputs) > 1 else kernel.weights
        return (kernel.given[0].size + kernel.outputs[0].size) * keys[-2]
    batch, tokens, _ = kernel.outputs[0].shape
    wide = kernel.weights[1] // 3
    return batch * tokens * (prod(kernel.weights) + 2 * tokens * wide)


def _recurrent(kernel: "Kernel") -> int:
    steps_and_batch = prod(kernel.input_shape[:2])
    held = [prod(each.shape[1:]) for each in kernel.constants if len(each.shape) == 3]
    return steps_and_batch * sum(held)


_MACS = {
    "Conv": _convolved,
    "FusedConv": _convolved,
    "ConvTranspose": _spread,
    "MatMul": _multiplied,
    "FusedMatMul": _multiplied,
    "Gemm": _multiplied,
    "FusedGemm": _multiplied,
    "Attention": _attended,
    "LSTM": _recurrent,
    "GRU": _recurrent,
    "RNN": _recurrent,
}
