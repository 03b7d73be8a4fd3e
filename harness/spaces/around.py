"""The space around a network that somebody has: its own choices, and those next to them."""

from collections.abc import Sequence
from dataclasses import fields
from itertools import groupby
from typing import NoReturn

from harness.errors import UsageError
from harness.spaces.arch import Arch, Number
from harness.spaces.convolution import Convolution
from harness.spaces.mobile import MobileSpace, Stage
from harness.spaces.resnet import ResNetSpace
from harness.spaces.space import make_divisible

_MOBILE = (("conv", 1, 1), ("mbconv", 1, 999), ("conv", 1, 1), ("pool", 1, 1), ("mix", 0, 1))
_RESNET = (("conv", 2, 3), ("maxpool", 1, 1), ("bottleneck", 1, 999), ("pool", 1, 1))
_LAST = (("linear", 1, 1),)
_KERNELS = (3, 5, 7)
_EXPANDS = (3, 4, 6)
_STEM_KERNEL = 3
_DIVISORS = (8, 4, 2, 1)


def space_around(
    blocks: Sequence[Convolution], name: str, title: str
) -> tuple[MobileSpace | ResNetSpace, Arch]:
    """A space, and the arch in it that has these very blocks.

    Raises:
        UsageError: no space has them; the message says which block is the first that does not fit.
    """
    first = blocks[0]
    if first.kind == "conv" and first.kernel != _STEM_KERNEL:
        size = f"{first.kernel}x{first.kernel}"
        _misfit(0, first, f"its stem is a convolution of {size}, and of 3x3 in a space")
    make = _resnet if any(block.kind == "bottleneck" for block in blocks) else _mobile
    space, arch = make(blocks, name, title)
    for number, (own, ours) in enumerate(zip(blocks, space.blocks(arch), strict=True)):
        if own != ours:
            odd = (each.name for each in fields(own))
            told = (
                f"{each} {getattr(own, each)} where it has {getattr(ours, each)}"
                for each in odd
                if getattr(own, each) != getattr(ours, each)
            )
            _misfit(number, own, f"{', '.join(told)} in a {type(space).__name__}")
    return space, arch


def _mobile(blocks: Sequence[Convolution], name: str, title: str) -> tuple[MobileSpace, Arch]:
    (stem,), layers, (head,), _, mix, (linear,) = _parts(blocks, (*_MOBILE, *_LAST))
    first = layers[0] if layers[0].mid_channels == layers[0].in_channels else None
    runs = _runs(layers[1:] if first else layers)
    if not runs:
        _misfit(1, layers[0], "it alone is no stage")
    divisor, expands = _expands(layers, blocks.index(layers[0]))
    own = iter(zip(layers, expands, strict=True))
    if first:
        next(own)
    kernels: list[int] = []
    ratios: list[Number] = []
    for run in runs:
        for layer, expand in (next(own) for _ in run):
            kernels.append(layer.kernel)
            ratios.append(expand)
        kernels.append(0)  # of the layer more that a stage may have
        ratios.append(0)
    space = MobileSpace(
        name=name,
        title=title,
        resolutions=_resolutions(stem.height),
        image_channels=stem.in_channels,
        classes=linear.out_channels,
        stem=_stage([stem], divisor),
        first_block=_stage([first], divisor) if first else None,
        stages=tuple(_stage(run, divisor, (len(run) - 1, len(run), len(run) + 1)) for run in runs),
        depths=(1, 2, 3),
        kernels=tuple(sorted({*_KERNELS, *kernels} - {0})),
        expands=_with(_EXPANDS, ratios),
        head_width=head.out_channels,
        mix_width=mix[0].out_channels if mix else 0,
        head_act=head.act,
        divisor=divisor,
    )
    depths = tuple(map(len, runs))
    return space, Arch(stem.height, depths, tuple(kernels), tuple(ratios))


def _stage(
    run: Sequence[Convolution], divisor: int, depths: tuple[int, ...] | None = None
) -> Stage:
    first = run[0]
    depths = depths and tuple(depth for depth in depths if depth)
    of_input = not all(_squeezes_inner(layer, divisor) for layer in run)
    squeezes = bool(first.se_channels)
    return Stage(first.out_channels, first.stride, first.act, squeezes, depths, of_input)


def _squeezes_inner(layer: Convolution, divisor: int) -> bool:
    """Whether the squeeze, if any, is to a quarter of the inner channels."""
    return layer.se_channels in (0, make_divisible(layer.mid_channels // 4, divisor))


def _runs(layers: Sequence[Convolution]) -> list[list[Convolution]]:
    """Stages: another one at a stride, and where the width, activation or squeeze is another."""
    numbers, number = [], 0
    for before, layer in zip([None, *layers], layers, strict=False):
        number += before is None or layer.stride > 1 or _look(before) != _look(layer)
        numbers.append(number)
    numbered = groupby(zip(numbers, layers, strict=True), key=lambda each: each[0])
    return [[layer for _, layer in run] for _, run in numbered]


def _look(layer: Convolution) -> tuple[object, ...]:
    return layer.out_channels, layer.act, bool(layer.se_channels)


def _expands(layers: Sequence[Convolution], start: int) -> tuple[int, list[Number]]:
    """Of what channels are multiples, and how much each layer expands. Squeezes that no divisor
    gives are found when the networks are compared."""
    if narrow := [layer for layer in layers if layer.mid_channels < layer.in_channels]:
        odd = start + layers.index(narrow[0])
        _misfit(odd, narrow[0], "it has fewer inner channels than input channels")
    for divisor in _DIVISORS:
        found = [_expand(layer, divisor) for layer in layers]
        ratios = [each for each in found if each is not None]
        squeezes = all(
            _squeezes_inner(layer, divisor) or layer.se_channels == layer.in_channels // 4
            for layer in layers
        )
        if len(ratios) == len(layers) and (squeezes or divisor == _DIVISORS[-1]):
            return divisor, ratios
    raise AssertionError("any count is a multiple of one")


def _expand(layer: Convolution, divisor: int) -> Number | None:
    inner, mid = layer.in_channels, layer.mid_channels
    if mid == inner:
        return 1
    ratios: list[Number] = [mid // inner] if mid % inner == 0 else []
    ratios += [round(mid / inner, digits) for digits in range(1, 9)]
    fitting = (each for each in ratios if make_divisible(round(inner * each), divisor) == mid)
    return next(fitting, None)


def _resnet(blocks: Sequence[Convolution], name: str, title: str) -> tuple[ResNetSpace, Arch]:
    stem, _, layers, _, (linear,) = _parts(blocks, (*_RESNET, *_LAST))
    runs = _runs(layers)
    more = tuple(min(len(run) - 1, 1) for run in runs)
    expands: list[Number] = []
    for run, depth in zip(runs, more, strict=True):
        expands += [round(layer.mid_channels / layer.out_channels, 4) for layer in run]
        expands += [0] * (2 - depth)
    inside = round(2 * stem[0].out_channels / stem[-1].out_channels, 4)
    mults = _with((0.65, 0.8, 1), [inside])
    space = ResNetSpace(
        name=name,
        title=title,
        resolutions=_resolutions(stem[0].height),
        image_channels=stem[0].in_channels,
        classes=linear.out_channels,
        base_depths=tuple(len(run) - depth for run, depth in zip(runs, more, strict=True)),
        base_widths=tuple(run[0].out_channels for run in runs),
        strides=tuple(run[0].stride for run in runs),
        stem_width=stem[-1].out_channels,
        depths=(0, 1, 2),
        expands=_with((0.2, 0.25, 0.35), expands),
        width_mults=mults,
    )
    with_residual = 2 if len(stem) > 2 else 0
    widths = (mults.index(inside), *[mults.index(1)] * (1 + len(runs)))
    return space, Arch(stem[0].height, (with_residual, *more), (), tuple(expands), widths)


def _parts(
    blocks: Sequence[Convolution], wanted: Sequence[tuple[str, int, int]]
) -> list[list[Convolution]]:
    """The blocks by what is wanted, in order: a kind, the least and the most of them."""
    found, place = [], 0
    for kind, least, most in wanted:
        end = place
        while end < min(place + most, len(blocks)) and blocks[end].kind == kind:
            end += 1
        if end - place < least:
            last = min(end, len(blocks) - 1)
            _misfit(last, blocks[last], f"a {kind} is wanted there")
        found.append(list(blocks[place:end]))
        place = end
    if place < len(blocks):
        _misfit(place, blocks[place], "the network should have ended")
    return found


def _resolutions(own: int) -> tuple[int, ...]:
    """Its own, and two below."""
    step = max(4, own // 28 * 4)
    return tuple(each for each in (own - 2 * step, own - step, own) if each > 0)


def _with(usual: Sequence[Number], own: Sequence[Number]) -> tuple[Number, ...]:
    return tuple(sorted({*usual, *own} - {0}))


def _misfit(number: int, block: Convolution, why: str) -> NoReturn:
    raise UsageError(f"block {number + 1} ({block.key}): {why}")
