"""Kernels that nobody timed are predicted from those that are alike, with an error that holds."""

import numpy as np
import pytest
from scipy.stats import binom

from harness.predictors import kernel_networks
from harness.predictors.kernel_regression import FEWEST, KernelTimes
from harness.predictors.kernel_savings import narrower
from harness.spaces.kernel import Kernel, Tensor


def convolution(size: int, before: int, after: int, kernel: int = 3) -> Kernel:
    return Kernel(
        "nchwc.Conv",
        (
            Tensor("float32", (1, before, size, size)),
            Tensor("float32", (after, before, kernel, kernel), True),
            Tensor("float32", (after,), True),
        ),
        (Tensor("float32", (1, after, size, size)),),
        (("activation", "Relu"), ("group", "1"), ("kernel_shape", f"{kernel},{kernel}")),
    )


def unary(op: str, size: int) -> Kernel:
    tensor = Tensor("float32", (1, 64, size, size))
    return Kernel(op, (tensor,), (tensor,))


def device_ns(kernel: Kernel) -> float:
    """A device with a call, two rates, and a step: channels are computed 32 at a time."""
    padded = -(-kernel.weights[0] // 32) * 32 / kernel.weights[0]
    moved = sum(each.size for each in (*kernel.given, *kernel.outputs))
    return 4000 + 0.02 * kernel.macs * padded + 0.1 * moved


def drawn(count: int, seed: int) -> list[Kernel]:
    random = np.random.default_rng(seed)
    sizes = random.choice([7, 10, 14, 20, 28, 40, 56], count)
    channels = random.integers(1, 32, (count, 2)) * 16
    return [
        convolution(int(size), int(before), int(after))
        for size, (before, after) in zip(sizes, channels, strict=True)
    ]


def known(count: int) -> KernelTimes:
    random = np.random.default_rng(3)
    kernels = drawn(count, 1)
    return KernelTimes.of({each: device_ns(each) * random.normal(1, 0.01) for each in kernels})


def test_kernels_between_those_that_were_timed_are_predicted() -> None:
    times, unseen = known(200), drawn(100, 2)
    unseen = [each for each in unseen if each.key not in times.measured_ns]
    told, _ = times.predict(unseen)
    true = np.array([device_ns(each) for each in unseen])
    assert np.abs(told / true - 1).mean() < 0.05


def by_xnnpack(name: str, size: int, channels: int) -> Kernel:
    maps = Tensor("float32", (1, size, size, channels))
    if name == "CONCATENATION":
        out = Tensor("float32", (1, size, size, 2 * channels))
        return Kernel("tflite.CONCATENATION", (maps, maps), (out,), (("axis", "3"),))
    shape = (1, 3, 3, channels) if name == "DEPTHWISE_CONV_2D" else (channels, 1, 1, channels)
    return Kernel(f"tflite.{name}", (maps, Tensor("float32", shape, True)), (maps,))


def xnnpack_ns(kernel: Kernel) -> float:
    """Seven pixels and 16 channels at once; depthwise 16 channels; joined pixel by pixel."""
    size, channels = kernel.output_shape[1], kernel.input_shape[-1]
    if kernel.name == "CONCATENATION":
        return 1000 + 5 * size**2 + 0.2 * size**2 * channels
    padded = -(-channels // 16) * 16
    if kernel.stage == "depthwise":
        return 1000 + 0.06 * 9 * size**2 * padded
    return 1000 + 0.02 * -(-(size**2) // 7) * 7 * padded * channels


@pytest.mark.parametrize("name", ["CONV_2D", "DEPTHWISE_CONV_2D", "CONCATENATION"])
def test_what_tiles_and_rows_cost_is_predicted_between_sizes_that_were_timed(name: str) -> None:
    random = np.random.default_rng(4)
    sizes = zip(random.integers(4, 40, 120), random.integers(4, 128, 120), strict=True)
    kernels = [by_xnnpack(name, int(size), int(channels)) for size, channels in sizes]
    times = KernelTimes.of({each: xnnpack_ns(each) for each in kernels[:30]})
    told, _ = times.predict(kernels[60:])
    off = told / [xnnpack_ns(each) for each in kernels[60:]] - 1
    assert np.abs(off).mean() < 0.005


def test_nineteen_of_twenty_lie_within_two_standard_deviations() -> None:
    times, unseen = known(100), drawn(200, 2)
    unseen = [each for each in unseen if each.key not in times.measured_ns]
    told, log_sds = times.predict(unseen)
    off = np.abs(np.log(told / [device_ns(each) for each in unseen])) / log_sds
    assert (off < 2).sum() >= binom.ppf(0.01, len(off), 0.95)


def test_a_kernel_that_was_timed_takes_what_was_measured() -> None:
    times = known(40)
    kernel = drawn(40, 1)[7]
    value = times.measured_ns[kernel.key]
    (told,), (log_sd,) = times.predict([kernel])
    assert (told, log_sd) == (value, 0.0)


def test_the_error_grows_away_from_what_was_timed() -> None:
    times = known(100)
    near, far = convolution(28, 100, 100), convolution(900, 3, 8)
    _, (near_sd, far_sd) = times.predict([near, far])
    assert far_sd > 2 * near_sd


def test_an_operator_that_was_never_timed_is_unknown() -> None:
    times = known(40)
    relu = unary("Relu", 56)
    assert times.unknown([relu, *drawn(40, 1)]) == [relu]


def test_a_kernel_whose_time_depends_on_signs_is_never_certain() -> None:
    sizes = range(7, 7 + 2 * FEWEST)
    times = KernelTimes.of({unary("PRelu", size): 1e4 * size**2 for size in sizes})
    _, log_sds = times.predict([unary("PRelu", size) for size in (8, 40)])
    assert log_sds.min() >= 0.5


def test_a_narrower_convolution_keeps_its_input() -> None:
    kernel = convolution(28, 64, 128)
    narrow = narrower(kernel, 96)
    assert narrow.given == kernel.given
    assert narrow.outputs[0].shape == (1, 96, 28, 28)
    assert narrow.macs * 128 == kernel.macs * 96
    assert Kernel.parse(narrow.key) == narrow


def test_without_a_kernel_it_is_predicted_as_where_it_was_left_out() -> None:
    times, kernels = known(60), drawn(60, 1)
    place, name = 7, kernels[7].variant
    times.regression(name)
    (told,), (log_sd,) = times.without({kernels[place].key}).predict([kernels[place]])
    off = np.log(times.measured_ns[kernels[place].key] / told)
    left_out = times.regression(name).left_out[list(times.measured_ns).index(kernels[place].key)]
    assert off == pytest.approx(left_out, rel=1e-6)
    assert log_sd > 0


def test_a_family_counts_once_however_many_networks_it_has() -> None:
    many = kernel_networks._apart(
        np.array([0.1] * 9 + [0.01, 0.02]), np.zeros(11), ["a"] * 9 + ["b", "c"]
    )
    few = kernel_networks._apart(np.array([0.1, 0.01, 0.02]), np.zeros(3), ["a", "b", "c"])
    assert many == pytest.approx(few)


def test_more_families_tell_more() -> None:
    errors = np.array([0.1, -0.1] * 10)
    names = list(map(str, range(20)))
    all_told = kernel_networks._apart(errors, np.zeros(20), names)
    assert all_told < kernel_networks._apart(errors[:6], np.zeros(6), names[:6])


def test_what_kernels_are_uncertain_by_is_not_counted_twice() -> None:
    errors, names = np.array([0.1, -0.1, 0.1, -0.1]), ["a", "b", "c", "d"]
    explained = kernel_networks._apart(errors, np.full(4, 0.09), names)
    assert explained < 0.6 * kernel_networks._apart(errors, np.zeros(4), names)


def test_pooling_whose_sizes_are_rounded_up_is_another_variant() -> None:
    tensor = Tensor("float32", (1, 64, 28, 28))
    up, down = (
        Kernel("AveragePool", (tensor,), (tensor,), (("ceil_mode", mode),)) for mode in "10"
    )
    assert up.variant != down.variant


def test_what_is_done_with_a_number_or_a_part_of_a_map_is_another_variant() -> None:
    maps = Tensor("float32", (1, 14, 14, 32))
    others = maps, Tensor("float32", (), True), Tensor("float32", (1, 1, 1, 32))
    variants = [Kernel("tflite.SUB", (maps, other), (maps,)).variant for other in others]
    assert len(set(variants)) == len(variants)
