"""What a kernel's time depends on, whatever its runtime calls its operator and attributes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Form:
    """Of one kernel; windows, strides and dilations are products over the axes."""

    kind: (
        str  # dense or grouped "convolution", "depthwise", "product", or "moving" of anything else
    )
    variant: str  # kernels of one are alike but for sizes
    macs: int = 0  # for the whole batch; 0 for operators that are neither convolution nor product
    groups: int = 1
    window: int = 1
    stride: int = 1
    dilation: int = 1
    channel_axis: int = -1  # of the output
    is_activated: bool = False
    """By more than a maximum with zero, in a pass of its own over what was made."""
    row_tile: int = 1  # pixels, or rows of a product, that are made at once
