"""Blocks of convolutional networks."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar, Self

from harness.errors import Infeasible
from harness.spaces.block import Block

_KEY = re.compile(
    r"(?P<kind>conv|mbconv|bottleneck|maxpool|pool|mix|linear)"
    r"-(?P<height>[0-9]{1,9})x(?P<width>[0-9]{1,9})x(?P<in_channels>[0-9]{1,9})"
    r"-m(?P<mid_channels>[0-9]{1,9})-o(?P<out_channels>[0-9]{1,9})-k(?P<kernel>[0-9]{1,9})-s(?P<stride>[0-9]{1,9})"
    r"-(?P<act>none|relu|relu6|h_swish|swish)-se(?P<se_channels>[0-9]{1,9})-res(?P<residual>[01])"
)
_WORDS = {"kind", "act"}
_ELASTIC = ("mbconv", "bottleneck")


@dataclass(frozen=True, slots=True)
class Convolution(Block):
    """One block of a convolutional network.

    Kinds: `conv` (convolution, batch norm, activation), `mbconv` (inverted bottleneck: expansion,
    depthwise, optional squeeze-and-excitation, projection; no expansion where mid equals in),
    `bottleneck` (ResNet's: 1x1, 3x3, 1x1; the input is added, through average pooling and a 1x1
    convolution where `residual` is false), `maxpool`, `pool` (global average), `mix` (1x1
    convolution without batch norm on pooled features), `linear` (classifier).
    """

    kinds: ClassVar = ("conv", "mbconv", "bottleneck", "maxpool", "pool", "mix", "linear")

    kind: str = field()  # which hides the property: it is no default
    height: int  # of the input, pixels
    width: int
    in_channels: int
    mid_channels: int
    out_channels: int
    kernel: int
    stride: int
    act: str
    se_channels: int  # width of the squeeze; 0 for none
    residual: bool

    @property
    def key(self) -> str:
        return (
            f"{self.kind}-{self.height}x{self.width}x{self.in_channels}-m{self.mid_channels}"
            f"-o{self.out_channels}-k{self.kernel}-s{self.stride}-{self.act}"
            f"-se{self.se_channels}-res{int(self.residual)}"
        )

    @classmethod
    def of_key(cls, key: str) -> Self | None:
        match = _KEY.fullmatch(key)
        if match is None:
            return None
        fields = {
            name: value if name in _WORDS else int(value)
            for name, value in match.groupdict().items()
        }
        return cls(**(fields | {"residual": bool(fields["residual"])}))  # type: ignore[arg-type]

    @property
    def input_shape(self) -> tuple[int, int, int]:
        return self.in_channels, self.height, self.width

    @property
    def output_shape(self) -> tuple[int, int, int]:
        return self.out_channels, self.out_height, self.out_width

    @property
    def stage(self) -> str | None:
        """By the output's width."""
        return f"{self.kind}-o{self.out_channels}" if self.kind in _ELASTIC else None

    @property
    def out_height(self) -> int:
        return 1 if self.kind == "pool" else _strided(self.height, self.stride)

    @property
    def out_width(self) -> int:
        return 1 if self.kind == "pool" else _strided(self.width, self.stride)

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image, convolutions and matrix products only.

        This is what the OFA paper (Table 1) prints as FLOPs.
        """
        out_area = self.out_height * self.out_width
        if self.kind == "mbconv":
            expansion = self.height * self.width * self.in_channels * self._expanded
            depthwise = out_area * self.mid_channels * self.kernel**2
            squeeze = 2 * self.mid_channels * self.se_channels
            return (
                expansion + depthwise + squeeze + out_area * self.mid_channels * self.out_channels
            )
        if self.kind == "bottleneck":
            inner = self.height * self.width * self.in_channels * self.mid_channels
            inner += (
                out_area
                * self.mid_channels
                * (self.kernel**2 * self.mid_channels + self.out_channels)
            )
            return inner + out_area * self._shortcut
        if self.kind in ("pool", "maxpool"):
            return 0
        return out_area * self.kernel**2 * self.in_channels * self.out_channels

    @property
    def params(self) -> int:
        """Learned parameters: weights, biases, and the scale and shift of each batch norm."""
        if self.kind == "mbconv":
            expansion = (self.in_channels + 2) * self._expanded
            depthwise = (self.kernel**2 + 2) * self.mid_channels
            squeeze = (2 * self.mid_channels + 1) * self.se_channels
            squeeze += self.mid_channels if self.se_channels else 0
            return expansion + depthwise + squeeze + (self.mid_channels + 2) * self.out_channels
        if self.kind == "bottleneck":
            inner = (self.in_channels + self.kernel**2 * self.mid_channels + 4) * self.mid_channels
            inner += (self.mid_channels + 2) * self.out_channels
            return inner + self._shortcut + (0 if self.residual else 2 * self.out_channels)
        if self.kind in ("pool", "maxpool"):
            return 0
        weights = self.kernel**2 * self.in_channels * self.out_channels
        return weights + {"conv": 2, "mix": 0, "linear": 1}[self.kind] * self.out_channels

    @property
    def normalised(self) -> int:
        """Channels that a batch norm follows: whose scale and shift become one bias in files."""
        if self.kind == "mbconv":
            return self._expanded + self.mid_channels + self.out_channels
        if self.kind == "bottleneck":
            return 2 * self.mid_channels + (1 if self.residual else 2) * self.out_channels
        return self.out_channels if self.kind == "conv" else 0

    @property
    def peak_activations(self) -> int:
        """Numbers in the maps that are alive at once, at most, running layer by layer, one image.

        A residual's input stays alive until it is added. This is no runtime's memory: the padded
        copy of its input that a strided layer makes in .tflite files, and what a runtime keeps
        besides, are not in it: TFLite Micro planned 1.6 to 1.9 times as much.
        """
        before = self.height * self.width * self.in_channels
        out_area = self.out_height * self.out_width
        after = out_area * self.out_channels
        if self.kind not in _ELASTIC:
            return before + after
        wide = self.height * self.width * self.mid_channels
        narrow = out_area * self.mid_channels
        kept = before if self.residual or self.kind == "bottleneck" else 0
        expanding = before + (wide if self._expanded or self.kind == "bottleneck" else 0)
        return max(expanding, wide + narrow + kept, narrow + after + kept)

    @property
    def _expanded(self) -> int:
        """Channels that the expansion makes: none where there is nothing to expand."""
        return self.mid_channels if self.mid_channels != self.in_channels else 0

    @property
    def _shortcut(self) -> int:
        """Weights of a bottleneck's 1x1 convolution beside it."""
        return 0 if self.residual else self.in_channels * self.out_channels


def _strided(size: int, stride: int) -> int:
    """Size after an odd kernel with padding kernel // 2."""
    return (size - 1) // stride + 1


def convolutions(blocks: Iterable[Block]) -> tuple[Convolution, ...]:
    """The same blocks, for what knows convolutions alone.

    Raises:
        Infeasible: one is of another family.
    """
    found = []
    for block in blocks:
        if not isinstance(block, Convolution):
            raise Infeasible(f"no operator: {block.key} is no block of a convolutional network")
        found.append(block)
    return tuple(found)
