"""The cost model of the DPU: its arithmetic by hand, and what must hold for any block."""

import math
import re
from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.errors import Infeasible, UsageError
from harness.runtimes.dpu.architecture import ARCHITECTURES, Constants, Dpu, Map
from harness.runtimes.dpu.fit import (
    at_bounds,
    check_enough,
    error,
    fit,
    folds,
    left_out,
    measured_ms,
)
from harness.runtimes.dpu.limits import check
from harness.runtimes.dpu.measurements import Measured
from harness.runtimes.dpu.model import Cost, Edges, block_cost, inputs_of, network_cost, outputs_of
from harness.spaces.catalogue import SPACES
from harness.spaces.convolution import Convolution, convolutions
from harness.spaces.genome import decode, sample
from harness.spaces.mobile import MobileSpace
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.spaces.resnet import OFA_RESNET50, ResNetSpace

# 70 cycles to fetch a vector of weights, 8 bytes of a map a cycle, 5 cycles a pass.
PLAIN = Dpu(ARCHITECTURES["B2304"], 200, 16, Constants(350, 0.1, 5))
B512 = replace(PLAIN, architecture=ARCHITECTURES["B512"])
CHANNELS, NEARLY = ("in", "mid", "out", "se"), 1 - 1e-9  # sums are rounded
OFA = {n: space for n, space in SPACES.items() if isinstance(space, MobileSpace | ResNetSpace)}
ENDS = [
    block
    for space in OFA.values()
    for block in convolutions(space.distinct_blocks([space.resolutions[0], space.resolutions[-1]]))
]
dpus = st.builds(
    Dpu,
    st.sampled_from(list(ARCHITECTURES.values())),
    clock_mhz=st.floats(50, 700),
    ddr_gb_s=st.floats(1, 100),
    constants=st.builds(Constants, st.floats(0, 1000), st.floats(0.01, 1), st.floats(0, 50)),
)
inverted = st.sampled_from([block for block in ENDS if block.kind == "mbconv"])
few = st.integers(1, 160)


def cycles(dpu: Dpu, block: Convolution) -> float:
    """Infinite where it cannot run, so that this, too, must not become less."""
    try:
        return block_cost(dpu, block).cycles
    except Infeasible:
        return math.inf


def weights(block: Convolution) -> int:
    """On a map of one pixel each weight is used once."""
    return replace(block, height=1, width=1, stride=1).macs


@pytest.mark.parametrize(
    ("key", "cycles", "loaded", "saved"),
    [
        # On the chip. Load 192; expansion: weights 48 (70 + 24/8); array 2x4x1x8 and h_swish
        # 5x4x2x8 beside the depthwise weights 48 (70 + 9/8); depthwise 64x9 and h_swish beside
        # the squeeze's weights 24 (70 + 48/8), 48 (70 + 24/8); pooling and product as an h_swish;
        # projection: weights 24 (70 + 48/8), array 64; the input again; save.
        (
            "mbconv-8x8x24-m48-o24-k3-s1-h_swish-se24-res1",
            (192, 3504, 3414, 1824 + 3504, 320, 1824 + 64, 192, 192),
            2 * 24 * 64 + 48 * 25 + 48 * 10 + 24 * 49 + 48 * 25 + 24 * 49 + 48,
            24 * 64 + 48,
        ),
        # The same where the weight buffer is too small for all weights: only the squeeze's first,
        # 208 (70 + 816/8), come beside the depthwise 68x4x14x49; others, 816 (70 + 208/8), after.
        (
            "mbconv-14x14x136-m816-o136-k7-s1-relu-se208-res1",
            (3332, 70992, 62118, 186592, 78336, 19040, 23392 + 22848, 3332, 3332),
            2 * 136 * 196 + 816 * 137 + 816 * 50 + 208 * 817 + 816 * 209 + 136 * 817 + 816,
            136 * 196 + 816,
        ),
        # Through DDR, as 7x56x6 = 2352 words are more than 2048: a map of 72 channels moves in
        # 28224 cycles. Load 9408; expansion: weights 72 (70 + 3), array 2x6x7x56; depthwise:
        # weights 72 (70 + 9/8), 6x14x56x9, save; squeeze: load twice, weights 24 (70 + 9) and
        # 72 (70 + 3), 5x6x14x56, save; projection: weights 24 (70 + 9), array, load; save.
        # Residuals' inputs are read again beside others'.
        (
            "mbconv-56x56x24-m72-o24-k3-s1-relu-se24-res1",
            (9408, 9960, 75681, 115344, 34824, 9408),
            (3 * 72 + 2 * 24) * 3136 + 72 + 2 * 72 * 25 + 72 * 10 + 2 * 24 * 73,
            (2 * 72 + 24) * 3136 + 72,
        ),
        # A stem, whose image (28x224 words) comes in tiles, 25088 cycles, beside 1x2x14x112x9 on
        # the array, but for the first 2048 words; before it
        # weights 24 (70 + 36/8), after it the result is saved.
        (
            "conv-224x224x3-m0-o24-k3-s2-relu-se0-res0",
            (1788, 28224, 8192, 37632),
            4 * 224**2 + 24 * 37,
            24 * 112**2,
        ),
    ],
)
def test_costs_are_those_worked_out_by_hand(
    key: str, cycles: tuple[int, ...], loaded: int, saved: int
) -> None:
    assert block_cost(PLAIN, Convolution.parse(key)) == Cost(sum(cycles), loaded, saved)


def test_sizes_are_named_after_their_peak_and_run_fewer_depthwise_convolutions() -> None:
    assert len(ARCHITECTURES) == 8
    assert all(name == f"B{size.peak_ops_per_cycle}" for name, size in ARCHITECTURES.items())
    for name, macs_per_cycle in (("B512", 16), ("B2304", 48), ("B4096", 64)):
        dpu, features = replace(PLAIN, architecture=ARCHITECTURES[name]), Map(3360, 56, 56)
        assert features.bytes / dpu.alu_steps(features) == macs_per_cycle


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_block_of_each_space_has_a_cost_or_a_reason_in_numbers(name: str) -> None:
    dpu = replace(PLAIN, architecture=ARCHITECTURES[name])
    for block in ENDS:
        if cycles(dpu, block) == math.inf:
            with pytest.raises(Infeasible) as refusal:
                check(dpu, block)
            needed, available = re.findall(r"= (\d+), and there are (\d+)$", str(refusal.value))[0]
            assert int(needed) > int(available)
            continue
        cost = block_cost(dpu, block)
        assert cost.cycles * dpu.architecture.peak_ops_per_cycle >= 2 * block.macs
        assert cost.cycles > 0
        moved = inputs_of(block).bytes + outputs_of(block).bytes + weights(block)
        assert cost.traffic_bytes >= moved


@pytest.mark.parametrize("grown", ["height", "width", *(f"{m}_channels" for m in CHANNELS)])
@given(dpu=dpus, block=inverted, by=st.integers(1, 64))
def test_an_inverted_bottleneck_never_gets_cheaper_by_growing(
    grown: str, dpu: Dpu, block: Convolution, by: int
) -> None:
    if grown in ("in_channels", "out_channels"):
        block = replace(block, residual=False)
    fields: dict[str, Any] = {grown: getattr(block, grown) + by}
    assume(grown != "in_channels" or fields[grown] < block.mid_channels)  # still expanded
    assert cycles(dpu, replace(block, **fields)) >= cycles(dpu, block) * NEARLY


@given(dpus, inverted, st.sampled_from([2, 4]))
def test_an_inverted_bottleneck_never_gets_cheaper_by_a_larger_kernel_or_h_swish(
    dpu: Dpu, block: Convolution, by: int
) -> None:
    assert cycles(dpu, replace(block, kernel=block.kernel + by)) >= cycles(dpu, block) * NEARLY
    relu, swish = (cycles(dpu, replace(block, act=act)) for act in ("relu", "h_swish"))
    assert swish >= relu * NEARLY


@given(dpus, few, few, few, st.sampled_from([1, 3, 5]), st.integers(1, 64))
def test_a_convolution_never_gets_cheaper_by_channels(
    dpu: Dpu, inputs: int, outputs: int, size: int, kernel: int, by: int
) -> None:
    block = Convolution("conv", size, size, inputs, 0, outputs, kernel, 1, "relu", 0, False)
    wider = replace(block, in_channels=inputs + by, out_channels=outputs + by)
    before = cycles(dpu, block) * NEARLY
    assert cycles(dpu, replace(block, in_channels=wider.in_channels)) >= before
    assert cycles(dpu, replace(block, out_channels=wider.out_channels)) >= before


@given(dpus, st.sampled_from(ENDS), st.floats(1, 10))
def test_no_block_gets_cheaper_by_slower_passes_loads_or_memory(
    dpu: Dpu, block: Convolution, slower: float
) -> None:
    now = dpu.constants
    for constants in (
        replace(now, vector_ns=now.vector_ns * slower),
        replace(now, ddr_share=now.ddr_share / slower),
        replace(now, pass_cycles=now.pass_cycles * slower),
    ):
        assert cycles(replace(dpu, constants=constants), block) >= cycles(dpu, block) * NEARLY


@given(few, few, few)
def test_depthwise_time_grows_with_the_kernels_area(channels: int, height: int, width: int) -> None:
    small, large = (
        Convolution("mbconv", height, width, channels, channels, 8, kernel, 1, "relu", 0, False)
        for kernel in (3, 7)
    )
    steps = math.ceil(channels / 12) * math.ceil(height / 4) * width
    longer = steps * (49 - 9) + channels * (49 - 9) / 8  # and its weights, 8 bytes a cycle
    assume(math.inf not in (cycles(PLAIN, small), cycles(PLAIN, large)))
    assert cycles(PLAIN, large) - cycles(PLAIN, small) == pytest.approx(longer)


@pytest.mark.parametrize("kind", ["mbconv", "conv", "bottleneck"])
def test_seven_rows_take_as_long_as_the_eight_of_the_array(kind: str) -> None:
    instant = replace(PLAIN, ddr_gb_s=1e15)  # only the maps' bytes differ
    mid = 0 if kind == "conv" else 96
    seven, eight, nine = (
        cycles(instant, Convolution(kind, height, 8, 48, mid, 48, 3, 1, "h_swish", 0, mid > 0))
        for height in (7, 8, 9)
    )
    assert seven == pytest.approx(eight)
    assert nine > eight + 1


@pytest.mark.parametrize("space", OFA.values(), ids=OFA)
def test_a_network_takes_at_most_what_its_blocks_take_alone(
    space: Any, rng: np.random.Generator
) -> None:
    dpu = replace(PLAIN, architecture=ARCHITECTURES["B4096"])
    for genome in sample(space, 40, rng):
        blocks = space.blocks(decode(space, genome))
        alone, together = [block_cost(dpu, block) for block in blocks], network_cost(dpu, blocks)
        assert 0 < together.cycles < sum(cost.cycles for cost in alone)
        assert together.loaded_bytes < sum(cost.loaded_bytes for cost in alone)
        assert together.saved_bytes <= sum(cost.saved_bytes for cost in alone)
        assert together.loaded_bytes >= sum(weights(block) for block in blocks)


@given(dpus, st.sampled_from(ENDS))
def test_an_edge_left_open_saves_just_that_map(dpu: Dpu, block: Convolution) -> None:
    assume(cycles(dpu, block) < math.inf)
    alone, inner = block_cost(dpu, block), block_cost(dpu, block, Edges(load=False, save=False))
    assert alone.loaded_bytes - inner.loaded_bytes == inputs_of(block).bytes
    assert alone.saved_bytes - inner.saved_bytes == outputs_of(block).bytes
    assert inner.cycles < alone.cycles
    assert network_cost(dpu, [block]) == alone


@pytest.mark.parametrize(
    ("kind", "outputs", "residual", "reads_again"),
    [
        ("mbconv", 48, False, False),
        ("mbconv", 48, True, True),
        ("bottleneck", 48, True, True),
        ("bottleneck", 96, False, True),  # by its shortcut
    ],
)
def test_a_map_that_is_read_again_was_saved(
    kind: str, outputs: int, residual: bool, reads_again: bool
) -> None:
    first = Convolution("conv", 28, 28, 24, 0, 48, 3, 2, "relu", 0, False)
    second = Convolution(kind, 14, 14, 48, 96, outputs, 3, 1, "relu", 0, residual)
    assert PLAIN.fits(outputs_of(first))
    expected = outputs_of(second).bytes + reads_again * outputs_of(first).bytes
    assert network_cost(PLAIN, [first, second]).saved_bytes == expected


def needed_words(block: Convolution) -> int:
    """The most of a bank group of B512 (4 rows of 8 channels a word) that a bottleneck needs."""
    mid, rows = math.ceil(block.mid_channels / 8), math.ceil((3 * block.stride + 3) / 4)
    before = math.ceil(block.in_channels / 8) * block.width
    return max(before, mid * block.width * rows, mid * block.out_width, 9 * mid)


def test_the_bottlenecks_without_room_on_b512_are_those_of_the_arithmetic() -> None:
    blocks = OFA_RESNET50.distinct_blocks()
    refused = {block for block in blocks if cycles(B512, block) == math.inf}
    assert refused == {b for b in blocks if b.kind == "bottleneck" and needed_words(b) > 2048}
    assert refused
    published = "bottleneck-56x56x256-m128-o512-k3-s2-relu-se0-res0"  # of ResNet-50 itself
    with pytest.raises(Infeasible, match=r"3 x 56 wide x 16 words of 128 channels = 2688, .* 2048"):
        check(B512, Convolution.parse(published))


def test_all_blocks_of_ofa_mbv3_w1_2_run_on_b512() -> None:
    for block in OFA_MBV3_W1_2.distinct_blocks():
        check(B512, block)


@pytest.mark.parametrize(
    ("runs", "refused", "why"),
    [
        ("linear-1x1x2048-m0-o10-k1-s1-none", "linear-1x1x2049-m0-o10-k1-s1-none", "channels"),
        ("linear-1x1x8-m0-o2048-k1-s1-none", "linear-1x1x8-m0-o2049-k1-s1-none", "channels"),
        ("mbconv-2x2x8-m2048-o8-k3-s1-relu", "mbconv-2x2x8-m2056-o8-k3-s1-relu", "channels"),
        # 7 x 7 x 41 = 2009 words, 7 x 7 x 42 = 2058
        ("conv-7x7x328-m0-o8-k7-s1-relu", "conv-7x7x329-m0-o8-k7-s1-relu", "of weights.*= 2058"),
        ("conv-7x7x8-m0-o8-k3-s1-relu6", "conv-7x7x8-m0-o8-k3-s1-swish", "no operator: swish"),
    ],
)
def test_operators_beyond_the_vendors_limits_are_refused(runs: str, refused: str, why: str) -> None:
    check(B512, Convolution.parse(f"{runs}-se0-res0"))
    with pytest.raises(Infeasible, match=why):
        check(B512, Convolution.parse(f"{refused}-se0-res0"))


TRUE = Constants(vector_ns=240.0, ddr_share=0.17, pass_cycles=8.5)
BLOCKS = [b for b in OFA_MBV3_W1_2.distinct_blocks([192]) if b.kind == "mbconv"][::2]


def simulated(blocks: Sequence[Convolution]) -> list[Measured]:
    board = replace(PLAIN, constants=TRUE)
    return [Measured(b, block_cost(board, b).cycles / 2e5, "", None, None) for b in blocks]


def test_constants_come_back_from_what_they_simulate_and_nearly_so_with_an_outlier() -> None:
    measured = simulated(BLOCKS)
    assert fit(PLAIN, measured) == TRUE
    measured[5] = replace(measured[5], latency_ms=3 * measured[5].latency_ms)
    assert astuple(fit(PLAIN, measured)) == pytest.approx(astuple(TRUE), rel=0.03)


def test_too_few_blocks_are_refused() -> None:
    check_enough(simulated(BLOCKS[:12]))
    with pytest.raises(UsageError, match="11 blocks are too few"):
        check_enough(simulated(BLOCKS[:11] * 2))  # however often they were measured


def test_constants_that_the_blocks_do_not_tell_are_named() -> None:
    assert at_bounds(TRUE) == []
    assert at_bounds(replace(TRUE, ddr_share=1.0)) == ["ddr_share"]
    assert at_bounds(replace(TRUE, pass_cycles=1e-9)) == ["pass_cycles"]


@given(st.integers(5, 100))
def test_folds_are_of_equal_size_and_the_same_each_time(count: int) -> None:
    measured = simulated(OFA_MBV3_W1_2.distinct_blocks()[:count])
    groups = folds(measured)
    shares = [groups.count(name) for name in set(groups)]
    assert len(groups) == count
    assert len(shares) == 5
    assert max(shares) - min(shares) <= 1
    assert groups == folds(measured)
    assert folds([*measured, measured[2]])[-1] == groups[2]  # of one block, in one group


def test_a_block_left_out_is_predicted_without_its_own_time() -> None:
    measured, groups = simulated(BLOCKS[:30]), ["own"] * 5 + ["other"] * 10 + ["third"] * 15
    before = left_out(PLAIN, measured, groups)
    slow = [replace(each, latency_ms=2 * each.latency_ms) for each in measured[:5]] + measured[5:]
    after = left_out(PLAIN, slow, groups)
    assert np.array_equal(before["own"], after["own"])
    assert not np.allclose(before["third"], after["third"], rtol=1e-3)
    for name, times in (("own", measured[:5]), ("other", measured[5:15]), ("third", measured[15:])):
        assert before[name] == pytest.approx(measured_ms(times), rel=1e-3)


def test_errors_are_relative_to_what_was_measured() -> None:
    found = error(np.array([1.05, 1.0, 6.0]), np.array([1.0, 2.0, 4.0]))
    assert found.blocks == 3
    assert found.mape == pytest.approx((0.05 + 0.5 + 0.5) / 3)
    assert found.within_10 == pytest.approx(1 / 3)
    assert found.kendall == pytest.approx(1 / 3)  # two pairs in order, one not
