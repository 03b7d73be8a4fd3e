"""A family of networks as frozen data: what may vary, and the blocks that each choice makes."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from harness.errors import UsageError
from harness.spaces.arch import Arch
from harness.spaces.block import Block


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of layers with one output width; the first layer has the stride."""

    width: int  # output channels
    stride: int
    act: str
    se: bool


@dataclass(frozen=True)
class Space:
    """A once-for-all family: stem, optional first block, elastic stages, head.

    Every elastic layer chooses kernel and expand, every stage its depth, the network its
    resolution. Choices are listed in ascending order.
    """

    name: str
    title: str
    resolutions: tuple[int, ...]  # input height and width, pixels
    image_channels: int
    classes: int
    stem: Stage  # a 3x3 convolution
    first_block: Stage | None  # a fixed layer without expansion, as in MobileNets
    stages: tuple[Stage, ...]
    depths: tuple[int, ...]  # layers per stage
    kernels: tuple[int, ...]
    expands: tuple[int, ...]
    head_width: int  # 1x1 convolution before pooling
    mix_width: int  # 1x1 convolution after pooling; 0 for none
    head_act: str
    divisor: int  # channel counts are multiples of it

    @property
    def max_depth(self) -> int:
        return self.depths[-1]

    @property
    def layers(self) -> int:
        """Elastic layers of the deepest network."""
        return len(self.stages) * self.max_depth

    @cached_property
    def archs_per_resolution(self) -> int:
        """How many different sub-networks there are at each resolution, exactly."""
        per_layer = len(self.kernels) * len(self.expands)
        per_stage = sum(math.prod([per_layer] * depth) for depth in self.depths)
        return math.prod([per_stage] * len(self.stages))

    @cached_property
    def feature_widths(self) -> tuple[int, ...]:
        """Input channels of each elastic stage."""
        first = (self.first_block or self.stem).width
        return (first, *(stage.width for stage in self.stages[:-1]))

    def at(self, resolutions: Sequence[int]) -> "Space":
        """The part of the space with these resolutions.

        Raises:
            UsageError: the space does not have one of them.
        """
        for resolution in resolutions:
            if resolution not in self.resolutions:
                raise UsageError(
                    f"{self.name} has no resolution {resolution}; it has "
                    f"{', '.join(str(known) for known in self.resolutions)}"
                )
        return replace(self, resolutions=tuple(sorted(set(resolutions))))

    def check(self, arch: Arch) -> None:
        """Raises UsageError where `arch` is not one of this space, naming the odd part."""
        parts = (
            ("resolution", (arch.resolution,), self.resolutions, 1),
            ("depths", arch.depths, self.depths, len(self.stages)),
            ("kernels", self._active(arch, arch.kernels), self.kernels, sum(arch.depths)),
            ("expands", self._active(arch, arch.expands), self.expands, sum(arch.depths)),
        )
        for what, values, allowed, count in parts:
            if len(values) != count:
                raise UsageError(f"not an arch of {self.name}: {count} {what} wanted: {values}")
            for value in values:
                if value not in allowed:
                    raise UsageError(f"not an arch of {self.name}: {what} {value} not in {allowed}")

    def _active(self, arch: Arch, values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(values[slot] for slot in self.active_slots(arch) if slot < len(values))

    def active_slots(self, arch: Arch) -> Iterator[int]:
        """Positions of the layers that are there, stage after stage."""
        for stage, depth in enumerate(arch.depths):
            yield from range(stage * self.max_depth, stage * self.max_depth + depth)

    def blocks(self, arch: Arch) -> tuple[Block, ...]:
        """The network, block by block, from image to logits."""
        self.check(arch)
        before, after = self.fixed_blocks(arch.resolution)
        elastic = (
            self.layer_block(arch.resolution, slot, arch.kernels[slot], arch.expands[slot])
            for slot in self.active_slots(arch)
        )
        return (*before, *elastic, *after)

    def fixed_blocks(self, resolution: int) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
        """The blocks before and after the elastic stages, the same for every arch."""
        stem = self.stem
        before = [
            _conv(resolution, self.image_channels, stem.width, 3, stem.stride, stem.act),
        ]
        if self.first_block is not None:
            size = before[0].out_height
            before.append(self._mbconv(size, stem.width, 1, 3, self.first_block, first=True))
        size = self._input_size(resolution, len(self.stages))
        last = self.stages[-1].width
        head = _conv(size, last, self.head_width, 1, 1, self.head_act)
        pool = _plain("pool", size, self.head_width, self.head_width, "none")
        after = [head, pool]
        if self.mix_width:
            after.append(_plain("mix", 1, self.head_width, self.mix_width, self.head_act))
        features = self.mix_width or self.head_width
        after.append(_plain("linear", 1, features, self.classes, "none"))
        return tuple(before), tuple(after)

    def layer_block(self, resolution: int, slot: int, kernel: int, expand: int) -> Block:
        """The block of the elastic layer at position `slot` of the deepest network."""
        index, position = divmod(slot, self.max_depth)
        stage = self.stages[index]
        first = position == 0
        size = self._input_size(resolution, index if first else index + 1)
        channels = self.feature_widths[index] if first else stage.width
        return self._mbconv(size, channels, expand, kernel, stage, first=first)

    def _mbconv(
        self, size: int, channels: int, expand: int, kernel: int, stage: Stage, *, first: bool
    ) -> Block:
        stride = stage.stride if first else 1
        mid = make_divisible(round(channels * expand), self.divisor) if expand > 1 else channels
        return Block(
            kind="mbconv",
            height=size,
            width=size,
            in_channels=channels,
            mid_channels=mid,
            out_channels=stage.width,
            kernel=kernel,
            stride=stride,
            act=stage.act,
            se_channels=make_divisible(mid // 4, self.divisor) if stage.se else 0,
            residual=stride == 1 and channels == stage.width,
        )

    def _input_size(self, resolution: int, stage: int) -> int:
        """Height and width, in pixels, of what enters the stage."""
        fixed = [self.stem] if self.first_block is None else [self.stem, self.first_block]
        for part in (*fixed, *self.stages[:stage]):
            resolution = math.ceil(resolution / part.stride)
        return resolution

    def distinct_blocks(self, resolutions: tuple[int, ...] | None = None) -> tuple[Block, ...]:
        """Every block that some arch has, each once: what a latency table must hold."""
        found: dict[Block, None] = {}
        for resolution in resolutions or self.resolutions:
            before, after = self.fixed_blocks(resolution)
            found.update(dict.fromkeys((*before, *after)))
            for slot in range(self.layers):
                for kernel in self.kernels:
                    for expand in self.expands:
                        found[self.layer_block(resolution, slot, kernel, expand)] = None
        return tuple(sorted(found))


def make_divisible(value: float, divisor: int) -> int:
    """Round a channel count to a multiple of `divisor`, never more than 10 % down.

    The rule of the MobileNet and OFA code; published widths depend on it.
    """
    rounded = max(divisor, int(value + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * value else rounded


def _conv(size: int, channels: int, out: int, kernel: int, stride: int, act: str) -> Block:
    return Block("conv", size, size, channels, 0, out, kernel, stride, act, 0, False)


def _plain(kind: str, size: int, channels: int, out: int, act: str) -> Block:
    return Block(kind, size, size, channels, 0, out, 1, 1, act, 0, False)
