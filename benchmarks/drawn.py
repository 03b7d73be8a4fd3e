"""Small pieces of networks, of sizes drawn at random: operators that the known networks of `zoo.py`
have seldom or never, as an exporter writes them and a runtime fuses them.

Kinds are those that networks of images, text and sound are built of; none is taken from a network.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

PIXELS = (5, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 112)
LARGEST = 2**20  # numbers of a map
REMEMBERED = 2**17  # of which a processor does not know all signs by heart
SEED = 23


@dataclass(frozen=True)
class Piece:
    """Something to be exported: called with inputs of these shapes."""

    kind: str
    network: nn.Module
    shapes: tuple[tuple[int, ...], ...]


class Draw:
    """Sizes, as networks have them."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)

    def one(self, *of: Any) -> Any:
        return of[self.random.integers(len(of))]

    def channels(self, most: int = 512) -> int:
        """Multiples of a block often, of 4 or of nothing sometimes."""
        step = self.one(1, 2, 4, 8, 8, 16, 16, 32)
        wanted = 2 ** self.random.uniform(3, np.log2(most))
        return int(max(1, round(wanted / step)) * step)

    def pixels(self, channels: int) -> int:
        fitting = [each for each in PIXELS if each * each * channels <= LARGEST]
        return int(self.one(*fitting))

    def maps(self, most: int = 512) -> tuple[int, int, int, int]:
        channels = self.channels(most)
        size = self.pixels(channels)
        return 1, channels, size, size

    def tokens(self) -> tuple[int, int, int]:
        return 1, self.one(16, 49, 50, 64, 128, 196, 256, 400), self.one(3, 4, 6, 8, 12, 16) * 32

    def either(self) -> tuple[int, ...]:
        return self.maps() if self.random.random() < 0.6 else self.tokens()


class Called(nn.Module):
    """A function, and layers that it is given."""

    def __init__(self, function: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, *given: Tensor) -> Any:
        return self.function(*self.layers, *given)


def _alone(function: Callable[..., Any], draw: Draw) -> tuple[nn.Module, Any]:
    """On what an input is: maps as ONNX has them, or tokens."""
    return Called(function), (draw.either(),)


def _on_maps(function: Callable[..., Any], draw: Draw) -> tuple[nn.Module, Any]:
    return Called(function), (draw.maps(),)


def _on_tokens(function: Callable[..., Any], draw: Draw) -> tuple[nn.Module, Any]:
    return Called(function), (draw.tokens(),)


def _between(make: Callable[[Draw], Callable[..., Any]], draw: Draw) -> tuple[nn.Module, Any]:
    """Between convolutions, half of the time, so that it takes their layout; else as it is."""
    shape, function = draw.maps(256), make(draw)
    if draw.random.random() < 0.4:
        return Called(function), (shape,)
    channels = shape[1]
    before = nn.Conv2d(channels, channels, 1)
    after = nn.LazyConv2d(draw.one(16, 32, 64), 1)
    return nn.Sequential(before, Called(function), after), (shape,)


def _resized(draw: Draw) -> Callable[..., Any]:
    mode = draw.one("nearest", "bilinear")
    scale = draw.one(2, 2, 2, 3, 4)
    corners = None if mode == "nearest" else draw.one(True, False)
    return partial(F.interpolate, scale_factor=scale, mode=mode, align_corners=corners)


def _pooled(draw: Draw, rounds_up: bool = False) -> Callable[..., Any]:
    window, stride = draw.one((2, 2), (3, 1), (3, 2), (5, 1))
    pool = draw.one(F.avg_pool2d, F.avg_pool2d, F.max_pool2d)
    return partial(
        pool, kernel_size=window, stride=stride, padding=window // 2, ceil_mode=rounds_up
    )


def _resized_far(draw: Draw) -> tuple[nn.Module, Any]:
    """To the size of the picture, as segmentation networks end; from one place; to a quarter."""
    channels, size = draw.one(3, 16, 19, 21, 32, 64, 128), draw.one(1, 2, 3, 5, 8, 16, 24, 32, 64)
    tried = [size * by for by in (5, 6, 8, 12, 16, 32)] + [max(1, size // by) for by in (2, 4)]
    to = draw.one(*(each for each in tried if each * each * channels <= LARGEST))
    mode = draw.one("nearest", "bilinear", "bilinear")
    corners = None if mode == "nearest" else draw.one(True, True, False)
    function = partial(F.interpolate, size=(to, to), mode=mode, align_corners=corners)
    shape = (1, channels, size, size)
    if draw.random.random() < 0.5:
        return Called(function), (shape,)
    return nn.Sequential(nn.Conv2d(channels, channels, 1), Called(function)), (shape,)


def _sloped(draw: Draw) -> tuple[nn.Module, Any]:
    """A slope a channel, or one, alone or behind a convolution. Of large maps alone: onnxruntime
    asks for each number's sign, and a processor remembers those of a small map that it is given
    again and again (1 ns a number, 4.7 where it does not)."""
    channels = max(16, draw.channels())
    fitting = [each for each in PIXELS if REMEMBERED <= each * each * channels <= LARGEST]
    size = draw.one(*fitting)
    slopes = nn.PReLU(draw.one(channels, channels, channels, 1))
    if draw.random.random() < 0.6:
        return slopes, ((1, channels, size, size),)
    before = draw.one(16, 32, 64)
    return nn.Sequential(nn.Conv2d(before, channels, 1), slopes), ((1, before, size, size),)


def _root_mean_square(draw: Draw) -> tuple[nn.Module, Any]:
    """The norm of language models, with weights or without; over channels that lie last, too."""
    wide = draw.one(1, 2, 3, 4, 6, 8, 12) * 32
    side = draw.one(5, 7, 10, 14, 20, 28, 40, 56)
    shape = draw.one((1, side * side, wide), (1, side, side, wide))
    weights = torch.rand(wide) if draw.random.random() < 0.5 else None

    def function(x: Tensor) -> Tensor:
        made = x / torch.sqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)
        return made if weights is None else made * weights

    return Called(function), (shape,)


def _remainder(draw: Draw) -> tuple[nn.Module, Any]:
    """Of places of a map in a row: as the row and column of each."""
    by, among = draw.one(7, 16, 32, 100, 1024), draw.one(torch.fmod, torch.remainder)
    shape = (1, draw.one(10, 40, 100, 200, 300, 500, 1000, 2000, 4096, 10000))
    return Called(lambda x: among(_ids(x, 9999), by)), (shape,)


def _reduced(draw: Draw) -> Callable[..., Any]:
    by = draw.one(torch.mean, torch.mean, torch.sum, torch.amax)
    return partial(by, dim=draw.one((2, 3), (1,), (2, 3)), keepdim=True)


def _summed_up(draw: Draw) -> tuple[nn.Module, Any]:
    """To be classified: a mean over all places, or over all tokens."""
    shape = draw.either()
    return Called(partial(torch.mean, dim=(2, 3) if len(shape) == 4 else 1)), (shape,)


def _stacked_sum(draw: Draw) -> tuple[nn.Module, Any]:
    _, channels, size, _ = draw.maps(256)
    by = draw.one(torch.sum, torch.mean)
    return Called(partial(by, dim=1)), ((1, draw.one(2, 2, 3, 4), channels, size, size),)


def _token_reduced(draw: Draw) -> tuple[nn.Module, Any]:
    by = draw.one(torch.mean, torch.sum, torch.amax)
    return _on_tokens(partial(by, dim=draw.one(1, 2), keepdim=draw.one(True, False)), draw)


def _sliced(draw: Draw) -> tuple[nn.Module, Any]:
    shape = draw.either()
    axis = draw.one(*range(1, len(shape)))
    long = max(1, shape[axis] * draw.one(1, 2, 3) // 4)
    first = draw.one(0, shape[axis] - long)
    return Called(lambda x: x.narrow(axis, first, long)), (shape,)


def _every_second(draw: Draw) -> tuple[nn.Module, Any]:
    return _on_maps(lambda x: x[:, :, ::2, ::2], draw)


def _rolled(draw: Draw) -> tuple[nn.Module, Any]:
    """Channels last, as attention in windows has it."""
    channels, size = draw.one(1, 2, 3, 4, 6, 8, 12) * 32, draw.one(7, 14, 16, 28, 56)
    function = partial(torch.roll, shifts=(-3, -3), dims=(1, 2))
    return Called(function), ((1, size, size, channels),)


def _windows(draw: Draw) -> tuple[nn.Module, Any]:
    channels, side, count = (
        draw.one(1, 2, 3, 4, 6, 8, 12) * 32,
        draw.one(4, 7, 8),
        draw.one(2, 4, 8),
    )

    def function(x: Tensor) -> Tensor:
        return x.view(1, count, side, count, side, channels).permute(0, 1, 3, 2, 4, 5).contiguous()

    return Called(function), ((1, count * side, count * side, channels),)


def _split(draw: Draw) -> tuple[nn.Module, Any]:
    channels, parts = draw.channels(), draw.one(2, 2, 3, 4)
    size = draw.pixels(channels * parts)
    last = Called(lambda x: torch.cat(x.chunk(parts, 1)[::-1], 1))
    return last, ((1, channels * parts, size, size),)


def _uneven(draw: Draw) -> tuple[nn.Module, Any]:
    """Some channels of a convolution, joined with others: blocks of channels are cut."""
    channels = draw.channels(256)
    size, cut = draw.pixels(channels), max(1, channels * draw.one(1, 2, 3) // 4)
    first = nn.Conv2d(channels, draw.channels(256), 1)
    second = nn.LazyConv2d(draw.channels(256), 1)

    def function(one: nn.Module, two: nn.Module, x: Tensor) -> Tensor:
        made = one(x)
        joined: Tensor = two(torch.cat([made, x[:, :cut]], 1))
        return joined

    return Called(function, first, second), ((1, channels, size, size),)


def _written_gelu(x: Tensor) -> Tensor:
    """As language models write it, from 2018 on."""
    inner = (2 / torch.pi) ** 0.5 * (x + 0.044715 * torch.pow(x, 3.0))
    return 0.5 * x * (1.0 + torch.tanh(inner))


ACTIVATIONS: tuple[Callable[[], nn.Module], ...] = (
    *(nn.Identity, nn.ReLU, nn.ReLU6, nn.Sigmoid, nn.SiLU, nn.Hardswish, nn.LeakyReLU, nn.Tanh),
)


def _convolution(draw: Draw, kind: str) -> tuple[nn.Module, Any]:
    """With an activation, or without."""
    groups, channels, out = 1, draw.channels(256), draw.channels(256)
    window = draw.one(1, 1, 3, 3, 5)
    if kind == "depthwise":
        channels = draw.one(channels, 2 * draw.random.integers(6, 120) + draw.one(0, 0, 1))
        groups, out, window = channels, channels, draw.one(3, 5, 7, 9)
    if kind == "grouped":
        groups, each = draw.one(2, 3, 4, 8, 16, 32), draw.one(4, 6, 8, 12, 16, 24)
        channels = out = groups * each
        window = draw.one(1, 3, 3)
    stride, size = draw.one(1, 1, 2), draw.pixels(channels)
    apart = draw.one(1, 1, 2, 4) if kind == "dense" and window == 3 else 1
    edge = apart * (window // 2)
    layer = nn.Conv2d(channels, out, window, stride, edge, apart, groups)
    return nn.Sequential(layer, draw.one(*ACTIVATIONS)()), ((1, channels, size, size),)


def _row(draw: Draw) -> tuple[nn.Module, Any]:
    """Of sound, or of any row of values."""
    channels, out, long = draw.channels(256), draw.channels(256), draw.one(16, 64, 100, 256, 800)
    window = draw.one(1, 3, 5, 9)
    layer = nn.Conv1d(channels, out, window, draw.one(1, 1, 2), window // 2)
    return nn.Sequential(layer, draw.one(nn.Identity, nn.ReLU)()), ((1, channels, long),)


def _transposed(draw: Draw) -> tuple[nn.Module, Any]:
    shape = draw.maps(256)
    window, edge, more = draw.one((2, 0, 0), (4, 1, 0), (3, 1, 1))
    layer = nn.ConvTranspose2d(shape[1], draw.channels(128), window, 2, edge, more)
    return nn.Sequential(layer, nn.ReLU()), ((*shape[:2], min(shape[2], 40), min(shape[3], 40)),)


def _recurrent(draw: Draw) -> tuple[nn.Module, Any]:
    wide, held, long = (
        draw.one(32, 64, 128, 256),
        draw.one(32, 64, 128, 256),
        draw.one(1, 8, 32, 64),
    )
    kind = draw.one(nn.LSTM, nn.GRU)
    layer = kind(wide, held, bidirectional=draw.one(True, False))
    return Called(lambda layer, x: layer(x)[0], layer), ((long, 1, wide),)


def _perceptron(draw: Draw) -> tuple[nn.Module, Any]:
    shape = draw.tokens()
    between = draw.one(nn.GELU(approximate="tanh"), Called(_written_gelu), nn.GELU(), nn.SiLU())
    wide, out = shape[2] * draw.one(1, 2, 4), draw.one(shape[2], 1000, 64)
    return nn.Sequential(nn.Linear(shape[2], wide), between, nn.Linear(wide, out)), (shape,)


def _attention(draw: Draw) -> tuple[nn.Module, Any]:
    heads, wide = draw.one(1, 2, 3, 4, 6, 8, 12), draw.one(16, 32, 64)
    long = draw.one(16, 49, 50, 64, 128, 196, 256)
    shape = (draw.one(1, 1, 4, 16), heads, long, wide)

    def function(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        scores: Tensor = (q @ k.transpose(-1, -2)) / wide**0.5
        return (scores.softmax(-1) @ v).transpose(1, 2).contiguous()

    return Called(function), (shape, shape, shape)


def _normalised(draw: Draw) -> tuple[nn.Module, Any]:
    if draw.random.random() < 0.4:
        tokens = draw.tokens()
        return nn.LayerNorm(tokens[2]), (tokens,)
    shape = (1, draw.one(1, 2, 3, 4, 6, 8, 12, 16) * 32, *(draw.pixels(512),) * 2)
    kind = draw.one("group", "instance", "one", "batch")
    if kind == "batch":
        return Called(lambda norm, x: norm(x.abs()), nn.BatchNorm2d(shape[1])), (shape,)
    if kind == "instance":
        return nn.InstanceNorm2d(shape[1], affine=True), (shape,)
    return nn.GroupNorm(32 if kind == "group" else 1, shape[1]), (shape,)


def _shuffled(draw: Draw) -> tuple[nn.Module, Any]:
    groups, each = draw.one(2, 3, 4, 8), draw.one(4, 8, 12, 16, 24, 30, 40, 60)
    size = draw.pixels(groups * each)
    return Called(partial(_shuffle, groups)), ((1, groups * each, size, size),)


def _shuffle(groups: int, x: Tensor) -> Tensor:
    _, channels, high, wide = x.shape
    parts = x.view(1, groups, channels // groups, high, wide).transpose(1, 2).contiguous()
    return parts.view(1, channels, high, wide)


def _pixels_shuffled(draw: Draw) -> tuple[nn.Module, Any]:
    channels, size = 4 * draw.channels(64), draw.one(7, 14, 16, 20, 28, 40, 56)
    return draw.one(nn.PixelShuffle(2), nn.PixelUnshuffle(2)), ((1, channels, 2 * size, 2 * size),)


def _permuted(draw: Draw) -> tuple[nn.Module, Any]:
    order = draw.one((0, 2, 3, 1), (0, 3, 1, 2), (0, 2, 1, 3), (0, 1, 3, 2))
    return _on_maps(lambda x: x.permute(*order).contiguous(), draw)


def _padded(draw: Draw) -> tuple[nn.Module, Any]:
    mode, by = draw.one("constant", "constant", "reflect", "replicate"), draw.one(1, 1, 2, 3)
    return _on_maps(partial(F.pad, pad=(by, by, by, by), mode=mode), draw)


def _gated(draw: Draw) -> tuple[nn.Module, Any]:
    """One value a channel, a place or a token, with all of a map."""
    by: Any = draw.one(torch.add, torch.sub, torch.mul, torch.div, torch.maximum)
    shape = draw.either()
    shared = draw.random.integers(1, len(shape))
    other = tuple(1 if axis >= shared else size for axis, size in enumerate(shape))
    return Called(by), (shape, draw.one(other, shape, (1,) * (len(shape) - 1) + shape[-1:]))


def _ids(x: Tensor, below: int) -> Tensor:
    return (x * below).to(torch.int64)


def _looked_up(draw: Draw) -> tuple[nn.Module, Any]:
    """Vectors of words, pieces of words or bytes; positions, too."""
    rows, wide = draw.one(257, 512, 1000, 8000, 30000), draw.one(32, 64, 128, 256, 384, 512)
    table = nn.Embedding(rows, wide)
    return Called(lambda table, x: table(_ids(x, rows)), table), ((1, draw.one(16, 64, 128, 512)),)


def _one_of(draw: Draw) -> tuple[nn.Module, Any]:
    rows = draw.one(10, 64, 257)
    one = Called(lambda x: F.one_hot(_ids(x, rows), rows).float())
    return one, ((1, draw.one(16, 64, 256, 2048)),)


def _whole(draw: Draw) -> tuple[nn.Module, Any]:
    """What is counted or compared in whole numbers, and masks of that."""
    dtype = draw.one(torch.int64, torch.int64, torch.int32)
    kinds: Any = (
        lambda x: ((x * 9).to(dtype) == 3).float(),
        lambda x: (x > 0) & (x < 1),
        lambda x: ~(x > 0) | (x < 1),
        lambda x: ((x * 9).to(dtype) + 2).float(),
        lambda x: (x > 0).to(dtype).cumsum(1) * 2,
        lambda x: torch.where((x * 9).to(dtype) > 4, x, 2 * x),
        lambda x: (x > 0).to(dtype).sum(-1).float(),
    )
    shape = (1, draw.one(64, 256, 1024, 2048)) if draw.random.random() < 0.5 else draw.either()
    return Called(draw.one(*kinds)), (shape,)


def _gathered(draw: Draw) -> tuple[nn.Module, Any]:
    shape = draw.tokens()
    return Called(lambda x: torch.gather(x, 1, _ids(x, shape[1]))), (shape,)


def _best(draw: Draw) -> tuple[nn.Module, Any]:
    """The best places of a map."""
    count, best = draw.one(256, 1024, 4096, 16384), draw.one(10, 40, 100, 200)

    def function(scores: Tensor, x: Tensor) -> Tensor:
        return torch.gather(x, 1, scores.topk(best, dim=1)[1])

    return Called(function), ((1, count), (1, count))


def _largest(draw: Draw) -> tuple[nn.Module, Any]:
    axis = draw.one(1, -1)
    kinds = (partial(torch.argmax, dim=axis), lambda x: x.topk(5, dim=-1)[0])
    return _alone(draw.one(*kinds), draw)


UNARY: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh gelu": partial(F.gelu, approximate="tanh"), "written gelu": _written_gelu,
    "gelu": F.gelu, "silu": F.silu,
    "hardswish": F.hardswish, "hardsigmoid": F.hardsigmoid, "elu": F.elu, "tanh": torch.tanh,
    "leaky": F.leaky_relu, "relu6": F.relu6, "sigmoid": torch.sigmoid, "softplus": F.softplus,
    "exp": torch.exp, "sqrt": lambda x: x.abs().sqrt(), "log": lambda x: (x.abs() + 1).log(),
    "power": lambda x: x.pow(2.5), "square": lambda x: x * x, "negative": torch.neg,
    "relu": F.relu, "erf": torch.erf, "reciprocal": lambda x: 1 / (x.abs() + 1),
    "floor": torch.floor, "sine": torch.sin, "cosine": torch.cos,
    "whole": lambda x: (x > 0).to(torch.float32), "chosen": lambda x: torch.where(x > 0, x, -x),
    "softmax": lambda x: x.softmax(1), "last softmax": lambda x: x.softmax(-1),
    "norm": lambda x: F.normalize(x, dim=-1), "repeated": lambda x: x.repeat_interleave(2, 1),
    "sums": lambda x: x.cumsum(1), "picked": lambda x: x.index_select(1, torch.arange(0, 8)),
    "log softmax": lambda x: x.log_softmax(-1), "rounded": torch.round,
    "smaller": lambda x: torch.minimum(x, -x), "least": lambda x: x.amin(-1),
}  # fmt: skip
KINDS: dict[str, tuple[int, Callable[[Draw], tuple[nn.Module, Any]]]] = {
    "resized": (100, partial(_between, _resized)),
    "pooled": (40, partial(_between, _pooled)),
    "reduced": (30, partial(_between, _reduced)),
    "summed up": (16, _summed_up),
    "stacked": (20, _stacked_sum),
    "token reduced": (16, _token_reduced),
    "sliced": (24, _sliced),
    "every second": (6, _every_second),
    "rolled": (8, _rolled),
    "windows": (12, _windows),
    "split": (12, _split),
    "uneven": (32, _uneven),
    "depthwise": (80, partial(_convolution, kind="depthwise")),
    "grouped": (48, partial(_convolution, kind="grouped")),
    "dense": (60, partial(_convolution, kind="dense")),
    "row": (32, _row),
    "transposed": (16, _transposed),
    "recurrent": (20, _recurrent),
    "perceptron": (32, _perceptron),
    "attention": (20, _attention),
    "normalised": (40, _normalised),
    "shuffled": (12, _shuffled),
    "pixels shuffled": (16, _pixels_shuffled),
    "permuted": (24, _permuted),
    "padded": (16, _padded),
    "gated": (60, _gated),
    "largest": (16, _largest),
    **{name: (12, partial(_alone, function)) for name, function in UNARY.items()},
    "looked up": (24, _looked_up),
    "one of": (16, _one_of),
    "whole numbers": (100, _whole),
    "gathered": (14, _gathered),
    "pooled, sizes rounded up": (40, partial(_between, partial(_pooled, rounds_up=True))),
    "sloped": (60, _sloped),
    "resized far": (60, _resized_far),
    "root mean square": (24, _root_mean_square),
    "remainder": (40, _remainder),
    "best": (20, _best),
}


def pieces() -> Iterator[Piece]:
    """All of them, always the same."""
    for place, (kind, (count, make)) in enumerate(KINDS.items()):
        draw = Draw(SEED + place)
        for _ in range(count):
            network, shapes = make(draw)
            yield Piece(kind, network.eval(), tuple(map(tuple, shapes)))
