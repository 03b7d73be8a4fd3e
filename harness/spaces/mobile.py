"""Spaces of inverted bottlenecks: MobileNetV3, ProxylessNAS and their like."""

import math
from dataclasses import dataclass
from functools import cached_property

from harness.spaces.arch import Number
from harness.spaces.convolution import Convolution
from harness.spaces.space import Gene, Place, Space, make_divisible


@dataclass(frozen=True, slots=True)
class Stage:
    """A run of layers with one output width; the first layer has the stride."""

    width: int  # output channels
    stride: int
    act: str
    se: bool
    depths: tuple[int, ...] | None = None  # numbers of layers; None: those of the space
    squeezes_input: bool = False
    """Whether a squeeze is to a quarter of what enters a layer, as in MnasNet and EfficientNet,
    instead of a quarter of its inner channels, as in MobileNetV3."""


@dataclass(frozen=True)
class MobileSpace(Space[Convolution]):
    """Stem, optional first block, elastic stages, head.

    Every elastic layer chooses kernel and expand, every stage its depth, the network its
    resolution. Choices are listed in ascending order.
    """

    name: str
    title: str
    resolutions: tuple[int, ...]
    image_channels: int
    classes: int
    stem: Stage  # a 3x3 convolution
    first_block: Stage | None  # a fixed layer without expansion, as in MobileNets
    stages: tuple[Stage, ...]
    depths: tuple[int, ...]  # layers per stage
    kernels: tuple[int, ...]
    expands: tuple[Number, ...]
    head_width: int  # 1x1 convolution before pooling
    mix_width: int  # 1x1 convolution after pooling; 0 for none
    head_act: str
    divisor: int  # channel counts are multiples of it
    bn_eps: float = 1e-5
    released_at: tuple[int, ...] = ()

    @cached_property
    def slots(self) -> tuple[tuple[int, int], ...]:
        """Stage and position in it of each elastic layer of the deepest network."""
        return tuple(
            (index, position)
            for index in range(len(self.stages))
            for position in range(self._depths(index)[-1])
        )

    def _depths(self, stage: int) -> tuple[int, ...]:
        return self.stages[stage].depths or self.depths

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        depths = [Gene("d", index, self._depths(index)) for index in range(len(self.stages))]
        layers = [
            Gene(part, slot, choices, 1 + stage, self._from_choice(stage, position))
            for part, choices in (("ks", self.kernels), ("e", self.expands))
            for slot, (stage, position) in enumerate(self.slots)
        ]
        return (Gene("r", 0, self.resolutions), *depths, *layers)

    def _from_choice(self, stage: int, position: int) -> int:
        """The first choice of the stage's depth that has a layer at `position`."""
        return next(i for i, depth in enumerate(self._depths(stage)) if depth > position)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        kernels = 1 + len(self.stages)
        expands = kernels + len(self.slots)
        elastic = [
            Place(
                stage,
                (0, kernels + slot, expands + slot),
                1 + stage,
                self._from_choice(stage, position),
            )
            for slot, (stage, position) in enumerate(self.slots)
        ]
        fixed = Place(None, (0,))
        after = 4 if self.mix_width else 3
        return (*[fixed] * self._before, *elastic, *[fixed] * after)

    @property
    def _before(self) -> int:
        """Places before the elastic ones."""
        return 1 if self.first_block is None else 2

    def block(self, place: int, values: tuple[Number, ...]) -> Convolution:
        resolution, *choices = values
        return self._block(place, int(resolution), choices)

    def _block(self, place: int, resolution: int, choices: list[Number]) -> Convolution:
        slot = place - self._before
        if 0 <= slot < len(self.slots):
            kernel, expand = choices
            return self._layer(resolution, slot, int(kernel), expand)
        if place == 0:
            stem = self.stem
            return conv(resolution, self.image_channels, stem.width, 3, stem.stride, stem.act)
        if slot < 0:
            assert self.first_block is not None
            size = math.ceil(resolution / self.stem.stride)
            return self._mbconv(size, self.stem.width, 1, 3, self.first_block, first=True)
        return self._after(resolution)[slot - len(self.slots)]

    def _layer(self, resolution: int, slot: int, kernel: int, expand: Number) -> Convolution:
        index, position = self.slots[slot]
        first = position == 0
        size = self._input_size(resolution, index if first else index + 1)
        before = (self.first_block or self.stem) if index == 0 else self.stages[index - 1]
        channels = before.width if first else self.stages[index].width
        return self._mbconv(size, channels, expand, kernel, self.stages[index], first=first)

    def _after(self, resolution: int) -> tuple[Convolution, ...]:
        """The blocks after the elastic stages."""
        size = self._input_size(resolution, len(self.stages))
        head = conv(size, self.stages[-1].width, self.head_width, 1, 1, self.head_act)
        pool = plain("pool", size, self.head_width, self.head_width, "none")
        features = self.mix_width or self.head_width
        mix = plain("mix", 1, self.head_width, self.mix_width, self.head_act)
        linear = plain("linear", 1, features, self.classes, "none")
        return (head, pool, mix, linear) if self.mix_width else (head, pool, linear)

    def _mbconv(
        self, size: int, channels: int, expand: Number, kernel: int, stage: Stage, *, first: bool
    ) -> Convolution:
        stride = stage.stride if first else 1
        mid = make_divisible(round(channels * expand), self.divisor) if expand > 1 else channels
        quarter = channels // 4 if stage.squeezes_input else make_divisible(mid // 4, self.divisor)
        return Convolution(
            kind="mbconv",
            height=size,
            width=size,
            in_channels=channels,
            mid_channels=mid,
            out_channels=stage.width,
            kernel=kernel,
            stride=stride,
            act=stage.act,
            se_channels=quarter if stage.se else 0,
            residual=stride == 1 and channels == stage.width,
        )

    def _input_size(self, resolution: int, stage: int) -> int:
        """Height and width, in pixels, of what enters the stage."""
        fixed = [self.stem] if self.first_block is None else [self.stem, self.first_block]
        for part in (*fixed, *self.stages[:stage]):
            resolution = math.ceil(resolution / part.stride)
        return resolution


def conv(size: int, channels: int, out: int, kernel: int, stride: int, act: str) -> Convolution:
    """A convolution with batch norm."""
    return Convolution("conv", size, size, channels, 0, out, kernel, stride, act, 0, False)


def plain(kind: str, size: int, channels: int, out: int, act: str) -> Convolution:
    """A block that only has channels: pool, mix, linear."""
    return Convolution(kind, size, size, channels, 0, out, 1, 1, act, 0, False)
