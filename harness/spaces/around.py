"""The space around a network that somebody has: its own choices, and those next to them."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from itertools import zip_longest

from harness.errors import UsageError
from harness.spaces.arch import Arch, Number
from harness.spaces.convolution import Convolution
from harness.spaces.mobile import MobileSpace, Stage
from harness.spaces.resnet import ResNetSpace
from harness.spaces.space import make_divisible

_KERNELS = (3, 5, 7)
_EXPANDS = (3, 4, 6)
_STEM_KERNEL = 3
_DIVISORS = (8, 4, 2, 1)

_Around = tuple[MobileSpace | ResNetSpace, Arch]


def space_around(blocks: tuple[Convolution, ...], name: str, title: str) -> _Around:
    """A space, and the arch in it that has these very blocks.

    Raises:
        UsageError: no space has them; the message says which block is the first that does not fit.
    """
    stem, *after = blocks
    if stem.kind == "conv" and stem.kernel != _STEM_KERNEL:
        size = f"{stem.kernel}x{stem.kernel}"
        raise _misfit(blocks, 0, f"its stem is a convolution of {size}, and of 3x3 in a space")
    kinds = {each.kind for each in after}
    if not kinds & {"bottleneck", "mbconv"}:
        raise _misfit(blocks, min(1, len(after)), "a mbconv is wanted there")
    around = _resnet if "bottleneck" in kinds else _mobiles
    for space, arch in around(blocks, name, title):
        wanted = space.blocks(arch)
        if wanted == blocks:
            return space, arch
    pairs = enumerate(zip_longest(blocks, wanted))
    number, (own, ours) = next(each for each in pairs if each[1][0] != each[1][1])
    if ours is None:
        raise _misfit(blocks, number, "the network should have ended")
    if own is None or own.kind != ours.kind:
        raise _misfit(blocks, min(number, len(after)), f"a {ours.kind} is wanted there")
    differing = ", ".join(
        f"{each.name} {getattr(own, each.name)} where it has {getattr(ours, each.name)}"
        for each in fields(own)
        if getattr(own, each.name) != getattr(ours, each.name)
    )
    raise _misfit(blocks, number, f"{differing} in a {type(space).__name__}")


def _misfit(blocks: Sequence[Convolution], number: int, why: str) -> UsageError:
    return UsageError(f"block {number + 1} ({blocks[number].key}): {why}")


def _mobiles(blocks: Sequence[Convolution], name: str, title: str) -> Iterator[_Around]:
    """By what their channels are multiples of; not all of these have the very blocks."""
    convs, layers, mixes = (_of_kind(blocks, kind) for kind in ("conv", "mbconv", "mix"))
    stem, head = blocks[0], [blocks[0], *convs][-1]
    for each in layers:
        if each.mid_channels < each.in_channels:
            why = "it has fewer inner channels than input channels"
            raise _misfit(blocks, blocks.index(each), why)
    first = layers[0] if layers[0].mid_channels == layers[0].in_channels else None
    runs = _runs(layers[1:] if first else layers)
    if not runs:
        raise _misfit(blocks, blocks.index(layers[0]), "it alone is no stage")
    # A stage may have a layer more, which chooses nothing here.
    kernels = [each for run in runs for each in (*(layer.kernel for layer in run), 0)]
    for divisor in _DIVISORS:
        expands = [e for run in runs for e in (*(_expand(layer, divisor) for layer in run), 0)]
        space = MobileSpace(
            name=name,
            title=title,
            resolutions=_resolutions(stem.height),
            image_channels=stem.in_channels,
            classes=blocks[-1].out_channels,
            stem=_stage([stem], divisor),
            first_block=_stage([first], divisor) if first else None,
            stages=tuple(_stage(run, divisor, len(run)) for run in runs),
            depths=(1, 2, 3),
            kernels=tuple(sorted({*_KERNELS, *kernels} - {0})),
            expands=_with(_EXPANDS, expands),
            head_width=head.out_channels,
            mix_width=mixes[0].out_channels if mixes else 0,
            head_act=head.act,
            divisor=divisor,
        )
        yield space, Arch(stem.height, tuple(map(len, runs)), tuple(kernels), tuple(expands))


def _stage(run: Sequence[Convolution], divisor: int, depth: int = 0) -> Stage:
    """`depth`: of elastic ones."""
    first = run[0]
    of_inner = all(
        layer.se_channels in (0, make_divisible(layer.mid_channels // 4, divisor)) for layer in run
    )
    depths = tuple(range(max(1, depth - 1), depth + 2)) if depth else None
    se = bool(first.se_channels)
    return Stage(first.out_channels, first.stride, first.act, se, depths, not of_inner)


def _expand(layer: Convolution, divisor: int) -> Number:
    """How much it expands, in as few digits as give its channels."""
    inner, mid = layer.in_channels, layer.mid_channels
    ratios: list[Number] = [mid // inner] if mid % inner == 0 else []
    ratios += [round(mid / inner, digits) for digits in range(1, 9)]
    fitting = (each for each in ratios if make_divisible(round(inner * each), divisor) == mid)
    return next(fitting, ratios[-1])


def _resnet(blocks: Sequence[Convolution], name: str, title: str) -> Iterator[_Around]:
    stem, layers = _of_kind(blocks, "conv") or blocks[:1], _of_kind(blocks, "bottleneck")
    runs = _runs(layers)
    more = [min(len(run) - 1, 1) for run in runs]
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
        classes=blocks[-1].out_channels,
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
    yield space, Arch(stem[0].height, (with_residual, *more), (), tuple(expands), widths)


def _runs(layers: Sequence[Convolution]) -> list[list[Convolution]]:
    """Stages: another one at a stride, and where the width, activation or squeeze is another."""
    runs: list[list[Convolution]] = []
    before = None
    for layer in layers:
        look = layer.out_channels, layer.act, bool(layer.se_channels)
        if layer.stride > 1 or look != before:
            runs.append([])
        runs[-1].append(layer)
        before = look
    return runs


def _of_kind(blocks: Sequence[Convolution], kind: str) -> list[Convolution]:
    return [each for each in blocks if each.kind == kind]


def _resolutions(own: int) -> tuple[int, ...]:
    """Its own, and two below."""
    step = max(4, own // 28 * 4)
    return tuple(each for each in (own - 2 * step, own - step, own) if each > 0)


def _with(usual: Sequence[Number], own: Sequence[Number]) -> tuple[Number, ...]:
    return tuple(sorted({*usual, *own} - {0}))
