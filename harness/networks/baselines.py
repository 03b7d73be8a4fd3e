"""Published networks as blocks, with what their papers say of them: what a front is compared to."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from harness.spaces.block import Block
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
    mix: int  # of the one after it; 0 for none
    act: str  # of stem and head
    top1: float  # ImageNet, percent
    params_m: float  # millions
    macs_m: float  # millions
    source: str

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
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
    mid: float  # inner channels; up to 6: times the input's
    out: int
    stride: int
    act: str
    se: int = 0  # 1: squeezed to a quarter of the input's channels, 2: of the inner ones'

    def after(self, before: Block) -> Block:
        """The block behind another."""
        channels, size = before.out_channels, before.out_height
        mid = round(channels * self.mid) if self.mid <= 6 else int(self.mid)
        squeezed = {0: 0, 1: channels // 4, 2: make_divisible(mid / 4, 8)}[self.se]
        return Block(
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


def _stages(act: str, rows: Sequence[tuple[int, ...]]) -> tuple[Layer, ...]:
    """Rows of kernel, expansion, output channels, layers, stride, squeeze."""
    return tuple(
        Layer(kernel, mid, out, stride if number == 0 else 1, act, se)
        for kernel, mid, out, layers, stride, se in rows
        for number in range(layers)
    )


_V2_STAGES = (
    (3, 1, 16, 1, 1, 0),
    (3, 6, 24, 2, 2, 0),
    (3, 6, 32, 3, 2, 0),
    (3, 6, 64, 4, 2, 0),
    (3, 6, 96, 3, 1, 0),
    (3, 6, 160, 3, 2, 0),
    (3, 6, 320, 1, 1, 0),
)
_V2_SOURCE = "Sandler et al., CVPR 2018, table 4"
_V2_SLIM = "github.com/tensorflow/models, slim/nets/mobilenet: table of MobileNetV2 checkpoints"


def _mobilenet_v2(
    width: float, top1: float, params_m: float, macs_m: float, source: str
) -> Baseline:
    rows = [(k, e, make_divisible(c * width, 8), n, s, se) for k, e, c, n, s, se in _V2_STAGES]
    return Baseline(
        name="mobilenet-v2" if width == 1 else f"mobilenet-v2-w{width:g}",
        layers=_stages("relu6", rows),
        stem=make_divisible(32 * width, 8),
        head=max(1280, make_divisible(1280 * width, 8)),
        mix=0,
        act="relu6",
        top1=top1,
        params_m=params_m,
        macs_m=macs_m,
        source=source,
    )


_V3_LARGE = (
    Layer(3, 1, 16, 1, "relu"),
    Layer(3, 64, 24, 2, "relu"),
    Layer(3, 72, 24, 1, "relu"),
    Layer(5, 72, 40, 2, "relu", 2),
    Layer(5, 120, 40, 1, "relu", 2),
    Layer(5, 120, 40, 1, "relu", 2),
    Layer(3, 240, 80, 2, "h_swish"),
    Layer(3, 200, 80, 1, "h_swish"),
    Layer(3, 184, 80, 1, "h_swish"),
    Layer(3, 184, 80, 1, "h_swish"),
    Layer(3, 480, 112, 1, "h_swish", 2),
    Layer(3, 672, 112, 1, "h_swish", 2),
    Layer(5, 672, 160, 2, "h_swish", 2),
    Layer(5, 960, 160, 1, "h_swish", 2),
    Layer(5, 960, 160, 1, "h_swish", 2),
)
_MNASNET_A1 = (
    (3, 1, 16, 1, 1, 0),
    (3, 6, 24, 2, 2, 0),
    (5, 3, 40, 3, 2, 1),
    (3, 6, 80, 4, 2, 0),
    (3, 6, 112, 2, 1, 1),
    (5, 6, 160, 3, 2, 1),
    (3, 6, 320, 1, 1, 0),
)
_PROXYLESS_MOBILE = (
    (3, 1, 16, 1, 1, 0),
    (5, 3, 32, 1, 2, 0),
    (3, 3, 32, 1, 1, 0),
    (7, 3, 40, 1, 2, 0),
    (3, 3, 40, 1, 1, 0),
    (5, 3, 40, 2, 1, 0),
    (7, 6, 80, 1, 2, 0),
    (5, 3, 80, 3, 1, 0),
    (5, 6, 96, 1, 1, 0),
    (5, 3, 96, 3, 1, 0),
    (7, 6, 192, 1, 2, 0),
    (7, 6, 192, 1, 1, 0),
    (7, 3, 192, 2, 1, 0),
    (7, 6, 320, 1, 1, 0),
)
_EFFICIENTNET_B0 = (
    (3, 1, 16, 1, 1, 1),
    (3, 6, 24, 2, 2, 1),
    (5, 6, 40, 2, 2, 1),
    (3, 6, 80, 3, 2, 1),
    (5, 6, 112, 3, 1, 1),
    (5, 6, 192, 4, 2, 1),
    (3, 6, 320, 1, 1, 1),
)

_MNASNET = Baseline(
    "mnasnet-a1",
    _stages("relu", _MNASNET_A1),
    32,
    1280,
    0,
    "relu",
    75.2,
    3.9,
    312,
    "Tan et al., CVPR 2019, table 1",
)

BASELINES = (
    _mobilenet_v2(0.35, 60.3, 1.66, 59, _V2_SLIM),
    _mobilenet_v2(0.5, 65.4, 1.95, 97, _V2_SLIM),
    _mobilenet_v2(0.75, 69.8, 2.61, 209, _V2_SLIM),
    _mobilenet_v2(1.0, 72.0, 3.4, 300, _V2_SOURCE),
    _mobilenet_v2(1.4, 74.7, 6.9, 585, _V2_SOURCE),
    replace(
        _MNASNET,
        name="mobilenet-v3-large",
        layers=_V3_LARGE,
        stem=16,
        head=960,
        mix=1280,
        act="h_swish",
        params_m=5.4,
        macs_m=219,
        source="Howard et al., ICCV 2019, table 3",
    ),
    _MNASNET,
    replace(
        _MNASNET,
        name="proxylessnas-mobile",
        layers=_stages("relu6", _PROXYLESS_MOBILE),
        act="relu6",
        top1=74.6,
        params_m=4.1,
        macs_m=320,
        source="Cai et al., ICLR 2019, table 2; MACs as in Cai et al., ICLR 2020",
    ),
    replace(
        _MNASNET,
        name="efficientnet-b0",
        layers=_stages("swish", _EFFICIENTNET_B0),
        act="swish",
        top1=77.1,
        params_m=5.3,
        macs_m=390,
        source="Tan and Le, ICML 2019, table 2",
    ),
)
