"""What a network would save with fewer channels in one of its kernels."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.predictors.kernel_networks import KernelNetworks, NetworkLatency, Part
from harness.spaces.kernel import Kernel, Tensor

SHARES = (7 / 8, 3 / 4, 1 / 2)  # of the channels
_STEP = 16  # channels; convolutions are laid out in blocks of so many at most
MOST = 5  # kernels that are looked at


@dataclass(frozen=True)
class Saving:
    """One kernel with fewer output channels; what follows it becomes cheaper, too."""

    name: str
    channels: int
    fewer: int
    latency_ms: float  # of the kernel, today
    saves_ms: float

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def savings(predictor: KernelNetworks, latency: NetworkLatency) -> Iterator[Saving]:
    """Of the kernels that take most: the nearest cheaper numbers of channels."""
    known = [part for part in latency.parts if part.latency_ms is not None]
    slowest = sorted(known, key=lambda part: -(part.latency_ms or 0.0))
    changeable = [part for part in slowest if _is_dense(part.kernel)]
    for part in changeable[:MOST]:
        yield from _of(predictor, part)


def _is_dense(kernel: Kernel) -> bool:
    return kernel.stage == "convolution" and kernel.form.groups == 1 and len(kernel.inputs) < 4


def _of(predictor: KernelNetworks, part: Part) -> Iterator[Saving]:
    assert part.latency_ms is not None
    channels = part.kernel.weights[0]
    tried = {max(_STEP, round(channels * share / _STEP) * _STEP) for share in SHARES}
    for fewer in sorted((each for each in tried if each < channels), reverse=True):
        narrow = narrower(part.kernel, fewer)
        # Both by the regression: what was timed and what was not differ by more than the change.
        regression = predictor.times.regression(predictor.times.name_of(part.kernel) or "")
        (now, then), _ = regression.predict([part.kernel, narrow])
        saves_ms = part.latency_ms * (1 - float(then / now))
        if saves_ms > 0:
            yield Saving(part.name, channels, fewer, part.latency_ms, saves_ms)


def narrower(kernel: Kernel, channels: int) -> Kernel:
    """The convolution with so many output channels."""
    first, *held = kernel.inputs
    before = kernel.weights[0]
    inputs = [
        _resized(each, each.shape.index(before), channels)
        if each is not None and before in each.shape
        else each
        for each in held
    ]
    axis = kernel.form.channel_axis % len(kernel.output_shape)
    outputs = tuple(_resized(each, axis, channels) for each in kernel.outputs)
    return replace(kernel, inputs=(first, *inputs), outputs=outputs)


def _resized(tensor: Tensor, axis: int, size: int) -> Tensor:
    shape = (*tensor.shape[:axis], size, *tensor.shape[axis + 1 :])
    return replace(tensor, shape=shape)
