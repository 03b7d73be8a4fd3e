"""Spaces of ResNet bottlenecks (the released code's `OFAResNets`): elastic depth, expand, width."""

from dataclasses import dataclass, replace
from functools import cached_property

from harness.spaces.arch import Number
from harness.spaces.convolution import Convolution
from harness.spaces.mobile import conv, plain
from harness.spaces.space import (
    OFA_RESOLUTIONS,
    Gene,
    Place,
    Space,
    make_divisible,
    width_name,
)

_STEM = 3  # convolutions: stride 2; the residual one that depth may leave out; to the stages' input


@dataclass(frozen=True)
class ResNetSpace(Space[Convolution]):
    """Three convolutions, max pooling, stages of bottlenecks, a linear classifier.

    Depths are OFA's: that of the stem (0 leaves its residual convolution out), then what each
    stage has beyond its base. Widths are numbers of multipliers: inside the stem, of its output,
    of each stage.
    """

    name: str
    title: str
    resolutions: tuple[int, ...]
    image_channels: int
    classes: int
    base_depths: tuple[int, ...]  # layers of each stage
    base_widths: tuple[int, ...]  # output channels of each stage
    strides: tuple[int, ...]
    stem_width: int  # its output channels; inside it half of them
    depths: tuple[int, ...]  # additional layers
    expands: tuple[float, ...]  # inner channels, as shares of the output's
    width_mults: tuple[float, ...]
    divisor: int = 8
    bn_eps: float = 1e-5
    released_at: tuple[int, ...] = ()

    @cached_property
    def slots(self) -> tuple[tuple[int, int], ...]:
        """Stage and position in it of each bottleneck of the deepest network."""
        deepest = (base + self.depths[-1] for base in self.base_depths)
        return tuple((stage, i) for stage, count in enumerate(deepest) for i in range(count))

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        stages = range(len(self.base_depths))
        depths = [Gene("d", 1 + stage, self.depths) for stage in stages]
        expands = [
            Gene("e", slot, self.expands, 2 + stage, self._from_choice(stage, position))
            for slot, (stage, position) in enumerate(self.slots)
        ]
        numbers = tuple(range(len(self.width_mults)))
        inside = Gene("w", 0, numbers)
        widths = [Gene("w", 1 + index, numbers) for index in range(1 + len(stages))]
        stem = Gene("d", 0, tuple(sorted({self.depths[0], self.depths[-1]})))
        return (Gene("r", 0, self.resolutions), stem, *depths, *expands, inside, *widths)

    def _from_choice(self, stage: int, position: int) -> int:
        """The first choice of the stage's depth that has a bottleneck at `position`."""
        base = self.base_depths[stage]
        return next(i for i, more in enumerate(self.depths) if base + more > position)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        expands = 2 + len(self.base_depths)
        inside = expands + len(self.slots)
        stem = [
            Place(None, (0, inside)),
            Place(None, (0, inside), depth=1, from_choice=1),
            Place(None, (0, inside, inside + 1)),
            Place(None, (0, inside + 1)),
        ]
        bottlenecks = []
        for slot, (stage, position) in enumerate(self.slots):
            out = inside + 2 + stage
            widths = (out - 1, out) if position == 0 else (out,)
            depth, from_choice = 2 + stage, self._from_choice(stage, position)
            bottlenecks.append(Place(stage, (0, expands + slot, *widths), depth, from_choice))
        last = inside + 1 + len(self.base_depths)
        return (*stem, *bottlenecks, Place(None, (0, last)), Place(None, (0, last)))

    def block(self, place: int, values: tuple[Number, ...]) -> Convolution:
        resolution, *choices = values
        if place <= _STEM:
            return self._stem(int(resolution), place, [int(choice) for choice in choices])
        slot = place - _STEM - 1
        if slot >= len(self.slots):
            (width,) = (int(choice) for choice in choices)
            size = self._size(int(resolution), len(self.base_depths))
            channels = self._width(len(self.base_depths) - 1, width)
            if slot == len(self.slots):
                return plain("pool", size, channels, channels, "none")
            return plain("linear", 1, channels, self.classes, "none")
        expand, *widths = choices
        return self._bottleneck(int(resolution), slot, expand, [int(width) for width in widths])

    def _stem(self, resolution: int, place: int, widths: list[int]) -> Convolution:
        size = (resolution - 1) // 2 + 1
        outside = self._stem_width(widths[-1])
        inside = make_divisible(self._stem_width(widths[0]) // 2, self.divisor)
        if place == 0:
            return conv(resolution, self.image_channels, inside, 3, 2, "relu")
        if place == 1:
            return replace(conv(size, inside, inside, 3, 1, "relu"), residual=True)
        if place == 2:
            return conv(size, inside, outside, 3, 1, "relu")
        return replace(plain("maxpool", size, outside, outside, "none"), kernel=3, stride=2)

    def _bottleneck(
        self, resolution: int, slot: int, expand: Number, widths: list[int]
    ) -> Convolution:
        stage, position = self.slots[slot]
        first = position == 0
        out = self._width(stage, widths[-1])
        channels = out
        if first:
            before = widths[0]
            channels = self._width(stage - 1, before) if stage else self._stem_width(before)
        size = self._size(resolution, stage if first else stage + 1)
        return Convolution(
            kind="bottleneck",
            height=size,
            width=size,
            in_channels=channels,
            mid_channels=make_divisible(round(out * expand), self.divisor),
            out_channels=out,
            kernel=3,
            stride=self.strides[stage] if first else 1,
            act="relu",
            se_channels=0,
            residual=not first,
        )

    def _width(self, stage: int, number: int) -> int:
        return make_divisible(self.base_widths[stage] * self.width_mults[number], self.divisor)

    def _stem_width(self, number: int) -> int:
        return make_divisible(self.stem_width * self.width_mults[number], self.divisor)

    def _size(self, resolution: int, stage: int) -> int:
        """Height and width, in pixels, of what enters the stage."""
        for stride in (2, 2, *self.strides[:stage]):
            resolution = (resolution - 1) // stride + 1
        return resolution


def ofa_resnet50(width_mults: tuple[float, ...] = (0.65, 0.8, 1.0)) -> ResNetSpace:
    """The space of the released OFA-ResNet50: 18 bottlenecks at most, ImageNet classes."""
    released = width_mults == (0.65, 0.8, 1.0)
    widths = "-".join(width_name(mult) for mult in width_mults)
    return ResNetSpace(
        name="ofa-resnet50" if released else f"ofa-resnet50-w{widths}",
        title="OFA-ResNet50 (ImageNet)",
        resolutions=OFA_RESOLUTIONS,
        released_at=OFA_RESOLUTIONS,
        image_channels=3,
        classes=1000,
        base_depths=(2, 2, 4, 2),
        base_widths=(256, 512, 1024, 2048),
        strides=(1, 2, 2, 2),
        stem_width=64,
        depths=(0, 1, 2),
        expands=(0.2, 0.25, 0.35),
        width_mults=width_mults,
    )


OFA_RESNET50 = ofa_resnet50()
