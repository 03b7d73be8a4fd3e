"""Further small pieces for torch, which fuses nothing and writes in place: what programs of
torch.export call that the pieces of `drawn` do not have."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from drawn import SEED, Called, Draw, Piece
from torch import Tensor, nn
from torch.nn import functional as F

IN_PLACE: tuple[Callable[[Tensor], Tensor], ...] = (
    *(F.relu_, F.leaky_relu_, F.elu_, torch.sigmoid_, torch.tanh_),
    lambda x: F.relu6(x, inplace=True),
    lambda x: F.silu(x, inplace=True),
    lambda x: F.hardswish(x, inplace=True),
    lambda x: F.hardsigmoid(x, inplace=True),
    lambda x: F.mish(x, inplace=True),
    lambda x: x.clamp_(0.0, 1.0),
    lambda x: x.add_(x),
    lambda x: x.mul_(x),
    lambda x: F.dropout(x, training=False, inplace=True),
)
ELEMENTWISE: tuple[Callable[[Tensor], Tensor], ...] = (
    *(F.mish, F.selu, torch.rsqrt, torch.erf, torch.sign, torch.square),
    lambda x: x.clamp(0.0, 1.0),
    lambda x: x.masked_fill(x != 0, -100.0),
    lambda x: x.masked_fill(x >= 0, 0.5),
    lambda x: torch.where(x < 1, x, 1.0),
    lambda x: x.sub(1.0),
    lambda x: x.clone(),
    lambda x: 1.0 - x,
    lambda x: x.eq(x),
    lambda x: x * torch.ones_like(x),
    lambda x: x + torch.zeros_like(x),
    lambda x: x.float().half().float(),
)


def _in_place(draw: Draw) -> tuple[nn.Module, Any]:
    function = draw.one(*IN_PLACE)
    return Called(lambda x: function(x + 1)), (draw.either(),)


def _elementwise(draw: Draw) -> tuple[nn.Module, Any]:
    return Called(draw.one(*ELEMENTWISE)), (draw.either(),)


def _added_in_place(draw: Draw) -> tuple[nn.Module, Any]:
    shape = draw.either()
    return Called(lambda x, y: (x + 1).add_(y)), (shape, shape)


def _convolution(draw: Draw) -> tuple[nn.Module, Any]:
    """Of any channels and maps, down to a few pixels, where libraries change their ways."""
    channels, out = draw.channels(1024), draw.channels(1024)
    window = draw.one((1, 1), (3, 3), (3, 3), (5, 5), (1, 3), (3, 1), (1, 7), (7, 1))
    apart = draw.one(1, 1, 2, 4) if window == (3, 3) else 1
    fitting = [each for each in (3, 4, 5, *SMALL) if each**2 * channels * out <= 2**28]
    edge = tuple(apart * (each // 2) for each in window)
    size = draw.one(*(each for each in fitting if min(each + 2 * e for e in edge) >= 2 * apart + 1))
    layer = nn.Conv2d(channels, out, window, draw.one(1, 1, 2), edge, apart, bias=draw.one(0, 1))
    return layer, ((1, channels, size, size),)


SMALL = (6, 7, 8, 10, 14, 20, 28, 40, 56)


def _grouped(draw: Draw) -> tuple[nn.Module, Any]:
    groups, each, of_out = draw.one(2, 3, 4, 8), draw.channels(128), draw.channels(128)
    channels, out = groups * each, groups * of_out
    fitting = [size for size in SMALL if size**2 * channels * of_out <= 2**27]
    window, size = draw.one(1, 3), draw.one(*fitting)
    layer = nn.Conv2d(channels, out, window, draw.one(1, 1, 2), window // 2, groups=groups)
    return layer, ((1, channels, size, size),)


def _linear(draw: Draw) -> tuple[nn.Module, Any]:
    wide, out = draw.channels(2048), draw.one(draw.channels(2048), 1000, 10)
    shape = draw.one((1, wide), (1, draw.one(16, 49, 64, 128, 197, 256), wide), (4, 49, wide))
    return nn.Linear(wide, out, bias=draw.one(True, True, False)), (shape,)


def _normalised(draw: Draw) -> tuple[nn.Module, Any]:
    shape = draw.tokens()
    layer = draw.one(nn.LayerNorm, nn.LayerNorm, nn.RMSNorm)
    return layer(shape[2]), (shape,)


def _attended(draw: Draw) -> tuple[nn.Module, Any]:
    heads, wide = draw.one(1, 2, 3, 4, 6, 8, 12), draw.one(16, 32, 64)
    shape = (draw.one(1, 1, 4, 16), draw.one(16, 49, 64, 128, 196, 256), heads, wide)

    def function(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (each.transpose(1, 2) for each in (q, k, v))
        return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).contiguous()

    return Called(function), (shape, shape, shape)


def _cut(draw: Draw) -> tuple[nn.Module, Any]:
    """And put together in another way."""
    shape = draw.maps(256)
    first = max(1, shape[1] // draw.one(2, 3, 4))
    kinds: Any = (
        lambda x: torch.stack([x, x], dim=1),
        lambda x: torch.cat(x.split([first, shape[1] - first], dim=1)[::-1], dim=1),
        lambda x: torch.cat(torch.unbind(x, 2)[:2], dim=2),
        lambda x: x.permute(0, 2, 3, 1).reshape(1, -1, shape[1]).transpose(1, 2).contiguous(),
    )
    return Called(draw.one(*kinds)), (shape,)


def _reshaped(draw: Draw) -> tuple[nn.Module, Any]:
    """What lies in another order and has to be copied: heads together, maps as tokens."""
    heads, wide = draw.one(1, 2, 3, 4, 6, 8, 12), draw.one(16, 32, 64)
    count, side = draw.one(1, 1, 4, 16), draw.one(4, 7, 8, 10, 14, 20, 28)
    if draw.random.random() < 0.5:
        together = Called(lambda x: x.transpose(1, 2).reshape(count, -1, heads * wide))
        return together, ((count, heads, side * side, wide),)
    as_map = Called(lambda x: x.transpose(1, 2).reshape(-1, side, side))
    return as_map, ((1, side * side, heads * wide),)


def _best(draw: Draw) -> tuple[nn.Module, Any]:
    """The largest along an axis, and many times."""
    shape = draw.either()
    count = draw.one(2, 3, 4)
    kinds: Any = (lambda x: x.max(1)[0], lambda x: x.repeat(count, *(1 for _ in shape[1:])))
    return Called(draw.one(*kinds)), (shape,)


def _picked(draw: Draw) -> tuple[nn.Module, Any]:
    """Rows of a table by places that are known, as attention in windows adds them."""
    rows, count, heads = draw.one(49, 169, 225), draw.one(49, 64, 49 * 49), draw.one(1, 3, 6, 12)
    places = torch.randint(rows, (count,))
    return Called(lambda table: table[places].permute(1, 0).contiguous()), ((rows, heads),)


def _pooled(draw: Draw) -> tuple[nn.Module, Any]:
    shape = draw.maps()
    kinds: Any = (
        partial(F.adaptive_max_pool2d, output_size=1),
        partial(F.adaptive_avg_pool2d, output_size=draw.one(1, 2, 7)),
        lambda x: F.adaptive_avg_pool1d(x.flatten(2), 1),
        lambda x: F.avg_pool1d(x.flatten(2), 2),
        partial(F.max_pool2d, kernel_size=2),
        partial(F.max_pool2d, kernel_size=3, stride=2, padding=1),
    )
    return Called(draw.one(*kinds)), (shape,)


KINDS: dict[str, tuple[int, Callable[[Draw], tuple[nn.Module, Any]]]] = {
    "in place": (170, _in_place),
    "elementwise": (190, _elementwise),
    "added in place": (20, _added_in_place),
    "convolution": (150, _convolution),
    "grouped": (60, _grouped),
    "linear": (60, _linear),
    "normalised": (40, _normalised),
    "attended": (30, _attended),
    "cut": (60, _cut),
    "reshaped": (40, _reshaped),
    "best": (40, _best),
    "picked": (20, _picked),
    "pooled": (70, _pooled),
}


def pieces() -> Iterator[Piece]:
    """All of them, always the same."""
    for place, (kind, (count, make)) in enumerate(KINDS.items()):
        draw = Draw(SEED + 100 + place)
        torch.manual_seed(SEED + place)
        for _ in range(count):
            yield Piece(kind, *make(draw))
