"""Kernels of torch: calls of its own operators (ATen) in a program that torch.export made; and
their forms.

Tensors are inputs in the order of the operator's schema, whatever else it takes are attributes in
JSON, by the schema's names. Of a list of tensors the attribute is how many there are.
"""

import json
from math import prod
from typing import TYPE_CHECKING, Any

from harness.spaces.kernel_form import Form

if TYPE_CHECKING:
    from harness.spaces.kernel import Kernel

TORCH = "aten."
"""Before the names of its operators."""
ALIAS = "alias"
"""The attribute that tells of which input the output is the memory: of views, and in place."""
STRIDES = "strides"
"""Before the number of an input that does not lie in order: the attribute that has its strides."""
VIEW = f"{TORCH}view"
"""The variant of all that moves nothing, whatever it is called: it takes as long."""
_TRANSPOSED = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
_CONVOLUTIONS = ("conv1d", "conv2d", "conv3d", "convolution", *_TRANSPOSED)
_RECURRENT = ("lstm", "gru", "rnn_tanh", "rnn_relu")


def torch_form(kernel: "Kernel") -> Form:
    macs = _macs(kernel) if len(kernel.weights) > 1 or _name(kernel) in _RECURRENT else 0
    kind, groups, window = "product" if macs else "moving", 1, _product(kernel, "kernel_size")
    if _name(kernel) in _CONVOLUTIONS:
        groups, window = int(_setting(kernel, "groups", 1)), prod(kernel.weights[2:])
        kind = "depthwise" if kernel.weights[1] == 1 and groups > 1 else "convolution"
    return Form(
        kind,
        _variant(kernel, kind, groups, window, macs),
        macs,
        groups,
        window,
        _product(kernel, "stride"),
        _product(kernel, "dilation"),
        1 if kind in ("convolution", "depthwise") else -1,
    )


def is_in_place(kernel: "Kernel") -> bool:
    """Whether it writes over what it is given."""
    return kernel.op.removeprefix(TORCH).partition(".")[0].endswith("_")


def _name(kernel: "Kernel") -> str:
    """Without its overload, and whether it is done in place."""
    return kernel.op.removeprefix(TORCH).partition(".")[0].rstrip("_")


def _setting(kernel: "Kernel", name: str, default: Any) -> Any:
    try:
        return json.loads(kernel.settings.get(name, "null")) or default
    except ValueError:  # one that was too long to be told
        return default


def _product(kernel: "Kernel", name: str) -> int:
    value = _setting(kernel, name, 1)
    sizes = value if isinstance(value, list) else [value, value]  # of both axes
    return prod(size for size in sizes if isinstance(size, int)) or 1


def _variant(kernel: "Kernel", kind: str, groups: int, window: int, macs: int) -> str:
    parts = [kernel.op]
    if kind == "depthwise":
        parts.append(kind)
    elif kind == "convolution":
        parts.append("grouped" if groups > 1 else "1x1" if window == 1 else "dense")
    elif macs and not kernel.constants:
        parts.append("dynamic")
    elif ALIAS in kernel.settings and not is_in_place(kernel):
        return VIEW
    if not macs and any(name.startswith(STRIDES) for name in kernel.settings):
        parts.append("strided")
    return "-".join(parts)


def _macs(kernel: "Kernel") -> int:
    name, out, first = _name(kernel), kernel.outputs[0], kernel.inputs[0]
    assert first is not None
    if name in _TRANSPOSED:
        return first.size * prod(kernel.weights[1:])
    if name in _CONVOLUTIONS:
        return out.size * prod(kernel.weights[1:])
    if name in ("linear", "matmul", "mm", "bmm", "mv", "dot"):
        return out.size * first.shape[-1] if first.shape else 0
    if name in ("addmm", "baddbmm", "addbmm"):
        return out.size * kernel.weights[-1]
    if name == "scaled_dot_product_attention":
        return 2 * first.size * kernel.weights[-2]
    if name == "einsum":
        return _summed(kernel)
    if name in _RECURRENT:
        held = sum(each.size for each in kernel.constants if len(each.shape) == 2)
        return prod(first.shape[:-1]) * held
    return 0


def _summed(kernel: "Kernel") -> int:
    """Of a product in Einstein's notation."""
    letters, *_ = str(_setting(kernel, "equation", "")).partition("->")
    sizes: dict[str, int] = {}
    for term, given in zip(letters.split(","), kernel.inputs, strict=False):
        if given is not None and "." not in term:
            sizes |= dict(zip(term, given.shape, strict=False))
    return prod(sizes.values()) if sizes else 0
