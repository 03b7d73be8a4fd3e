"""What the released OFA code calls the tensors of a layer, and what we call them."""

import re

from harness.spaces.convolution import Convolution

# Theirs, with what newer and older releases wrap around left out; ours as in `networks.layers`.
_CONV = r"(?:conv\.)*weight"
_NORM = r"(?:conv\.)?(?:bn\.)+(\w+)"
_MBCONV = {
    "inverted_bottleneck": "expand",
    "depth_conv": "depthwise",
    "point_linear": "project",
}
_BOTTLENECK = {"conv1": "reduce", "conv2": "conv", "conv3": "expand", "downsample": "shortcut"}
_WRAPPED = r"(?:mobile_inverted_)?conv\."


def _inside(parts: dict[str, str], wrapped: str) -> list[tuple[str, str]]:
    return [
        (rf"{wrapped}{theirs}\.{name}", rf"{ours}.{target}")
        for theirs, ours in parts.items()
        for name, target in ((_CONV, "0.weight"), (_NORM, r"1.\1"))
    ]


_PARTS = {
    "conv": [(_CONV, r"0.weight"), (_NORM, r"1.\1")],
    "mix": [(_CONV, r"0.weight")],
    "linear": [(r"(?:linear\.)+(\w+)", r"1.\1")],
    "mbconv": [
        *_inside(_MBCONV, _WRAPPED),
        (rf"{_WRAPPED}depth_conv\.se\.fc\.(.+)", r"se.\1"),
        (rf"{_WRAPPED}depth_conv\.conv\.(\d+to\d+)_matrix", r"kernel_transform.\1"),
    ],
    "bottleneck": _inside(_BOTTLENECK, ""),
    "pool": [],
    "maxpool": [],
}


def our_name(block: Convolution, theirs: str) -> str | None:
    """The tensor `theirs` of a layer in ours; None where the block has nothing like it."""
    inner = "layer." if block.kind == "conv" and block.residual else ""
    for pattern, ours in _PARTS[block.kind]:
        match = re.fullmatch(pattern, theirs)
        if match:
            return inner + match.expand(ours)
    return None
