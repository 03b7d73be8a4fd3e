"""Published networks as blocks, with what their papers say of them: what a front is compared to.

The networks themselves are in `baselines.toml`.
"""

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.spaces.convolution import Convolution
from harness.spaces.mobile import conv, plain
from harness.spaces.space import make_divisible

PIXELS, CLASSES = 224, 1000


@dataclass(frozen=True)
class Baseline:
    """A published network at 224 pixels; figures are those of its source."""

    name: str
    layers: tuple["Layer", ...]
    stem: int  # channels
    head: int  # channels of the 1x1 convolution before pooling
    act: str  # of stem and head
    top1: float  # ImageNet, percent
    params_m: float  # millions
    macs_m: float  # millions
    source: str
    mix: int = 0  # channels of the 1x1 convolution after pooling; 0 for none
    published_as: tuple[str, ...] = ()  # in public tables of latencies: ncnn's, AI Hub's

    @cached_property
    def blocks(self) -> tuple[Convolution, ...]:
        """The network, block by block, from image to logits."""
        found = [conv(PIXELS, 3, self.stem, 3, 2, self.act)]
        for layer in self.layers:
            found.append(layer.after(found[-1]))
        last = found[-1]
        head = conv(last.out_height, last.out_channels, self.head, 1, 1, self.act)
        pool = plain("pool", last.out_height, self.head, self.head, "none")
        mix = [plain("mix", 1, self.head, self.mix, self.act)] if self.mix else []
        linear = plain("linear", 1, self.mix or self.head, CLASSES, "none")
        return (*found, head, pool, *mix, linear)


@dataclass(frozen=True)
class Layer:
    """An inverted bottleneck as papers list them."""

    kernel: int
    out: int
    stride: int
    act: str
    expand: int = 0  # times the input's channels
    mid: int = 0  # inner channels, where papers list these instead
    squeeze: str = ""  # to a quarter of the channels of its "input" or of its "mid"; "": not

    def after(self, before: Convolution) -> Convolution:
        """The block behind another."""
        channels, size = before.out_channels, before.out_height
        mid = self.mid or channels * self.expand
        squeezed = {"": 0, "input": channels // 4, "mid": make_divisible(mid / 4, 8)}[self.squeeze]
        return Convolution(
            kind="mbconv",
            height=size,
            width=size,
            in_channels=channels,
            mid_channels=mid,
            out_channels=self.out,
            kernel=self.kernel,
            stride=self.stride,
            act=self.act,
            se_channels=squeezed,
            residual=self.stride == 1 and channels == self.out,
        )


def _layers(row: dict[str, Any]) -> Iterator[Layer]:
    """A row of the file: layers that differ in nothing but the stride of the first."""
    repeat = row.pop("repeat", 1)
    yield Layer(**row)
    for _ in range(repeat - 1):
        yield Layer(**row | {"stride": 1})


def _baseline(
    act: str, layers: list[dict[str, Any]], published_as: Iterable[str] = (), **figures: Any
) -> Baseline:
    rows = ({"act": act} | row for row in layers)
    found = tuple(each for row in rows for each in _layers(row))
    return Baseline(act=act, layers=found, published_as=tuple(published_as), **figures)


_FILE = Path(__file__).with_suffix(".toml")
BASELINES = tuple(_baseline(**row) for row in tomllib.loads(_FILE.read_text())["networks"])
