"""Networks whose frame rates AMD/Xilinx publishes for the ZCU102, as blocks."""

from dataclasses import replace

from harness.networks.baselines import BASELINES, CLASSES, PIXELS, Baseline, Layer
from harness.spaces.convolution import Convolution
from harness.spaces.mobile import conv, plain

# One thread, frames/s: Vitis AI Library user guide (UG1354), "ZCU102 Evaluation Kit".
PUBLISHED_FPS = {
    "mobilenet_v2": 268,
    "mobilenet_v1": 327,
    "mobilenet_v3_small": 337,
    "resnet_v1_50": 88,
}


def _mobilenet_v1() -> tuple[Convolution, ...]:
    """Howard et al., 2017, table 1: nothing is expanded, nothing added."""
    rows = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5)
    found = [conv(PIXELS, 3, 32, 3, 2, "relu6")]
    for out, stride in (*rows, (1024, 2), (1024, 1)):
        layer = Layer(3, out, stride, "relu6", expand=1).after(found[-1])
        found.append(replace(layer, residual=False))
    return (*found, *_classifier(found[-1]))


_V3_SMALL = Baseline(
    name="mobilenet-v3-small",
    layers=(
        Layer(3, 16, 2, "relu", mid=16, squeeze="mid"),
        Layer(3, 24, 2, "relu", mid=72),
        Layer(3, 24, 1, "relu", mid=88),
        Layer(5, 40, 2, "h_swish", mid=96, squeeze="mid"),
        *[Layer(5, 40, 1, "h_swish", mid=240, squeeze="mid")] * 2,
        Layer(5, 48, 1, "h_swish", mid=120, squeeze="mid"),
        Layer(5, 48, 1, "h_swish", mid=144, squeeze="mid"),
        Layer(5, 96, 2, "h_swish", mid=288, squeeze="mid"),
        *[Layer(5, 96, 1, "h_swish", mid=576, squeeze="mid")] * 2,
    ),
    stem=16,
    head=576,
    mix=1024,
    act="h_swish",
    top1=67.4,
    params_m=2.5,
    macs_m=56,
    source="Howard et al., ICCV 2019, tables 2 and 3",
)


def _resnet_v1_50() -> tuple[Convolution, ...]:
    """As in TensorFlow's slim, whose 6.97 GOPs the model zoo states: a stage's last bottleneck has
    the stride, and adds every other pixel of its input."""
    stem = conv(PIXELS, 3, 64, 7, 2, "relu")
    maxpool = plain("maxpool", stem.out_height, 64, 64, "none")
    found = [stem, replace(maxpool, kernel=3, stride=2)]
    for mid, count, last_stride in ((64, 3, 2), (128, 4, 2), (256, 6, 2), (512, 3, 1)):
        for number in range(count):
            channels, size = found[-1].out_channels, found[-1].out_height
            stride = last_stride if number == count - 1 else 1
            sizes = size, size, channels, mid, 4 * mid, 3, stride
            found.append(Convolution("bottleneck", *sizes, "relu", 0, residual=number > 0))
    return (*found, *_classifier(found[-1]))


def _classifier(last: Convolution) -> tuple[Convolution, ...]:
    channels = last.out_channels
    pool = plain("pool", last.out_height, channels, channels, "none")
    return pool, plain("linear", 1, channels, CLASSES, "none")


NETWORKS: dict[str, tuple[Convolution, ...]] = {
    "mobilenet_v2": next(each for each in BASELINES if each.name == "mobilenet-v2").blocks,
    "mobilenet_v1": _mobilenet_v1(),
    "mobilenet_v3_small": _V3_SMALL.blocks,
    "resnet_v1_50": _resnet_v1_50(),
}
