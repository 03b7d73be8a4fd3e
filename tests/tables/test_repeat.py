"""Another campaign finds what the interval says 95 times of 100, however much campaigns differ."""

from dataclasses import replace

import numpy as np
import pytest

from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.tables.record import Record, Statistics
from harness.tables.repeat import TYPICAL, Repeat
from harness.tables.table import Table

NETWORKS = [
    DIGITS.blocks(decode(DIGITS, genome)) for genome in sample(DIGITS, 20, np.random.default_rng(5))
]
ARCHS = [decode(DIGITS, genome) for genome in sample(DIGITS, 20, np.random.default_rng(5))]


def statistics(value: float, p90: float | None = None, spread: float = 0.0) -> Statistics:
    whole = round(value)
    ends = round(value * np.exp(-spread)), round(value * np.exp(spread))
    seen = None if p90 is None else round(p90)
    return Statistics(whole, *ends, whole, whole, whole, whole, whole, 10, 30, p50=whole, p90=seen)


def campaign(name: str, values: np.ndarray) -> tuple[Record, ...]:
    return tuple(
        Record("holdout", blocks, arch, "latency", "wall", name, statistics(value, 1.2 * value))
        for blocks, arch, value in zip(NETWORKS, ARCHS, values, strict=True)
    )


def table(*campaigns: np.ndarray) -> Table:
    facts = {
        f"c{number}": {"started_at": f"2026-01-0{number + 1}", "rounds": 1, "environment": {}}
        for number in range(len(campaigns))
    }
    records = [r for n, values in enumerate(campaigns) for r in campaign(f"c{n}", values)]
    return Table("cpu", "digits", {"clock": "wall"}, facts, tuple(records))


def drawn(rng: np.random.Generator, level_sd: float, own_sd: float, count: int) -> list[np.ndarray]:
    """Campaigns of one device on the same networks, ns."""
    truth = 1e6 * (1 + np.arange(len(NETWORKS)))
    return [
        truth
        * np.exp(rng.normal(0, level_sd / np.sqrt(2)))
        * np.exp(rng.normal(0, own_sd / np.sqrt(2), len(truth)))
        for _ in range(count)
    ]


def held(rng: np.random.Generator, level_sd: float, own_sd: float, known: int) -> float:
    """Share of workloads whose next campaign lies in the interval of the last of `known` ones."""
    *before, after = drawn(rng, level_sd, own_sd, known + 1)
    repeat = Repeat.of(table(*before))
    ends = [repeat.interval(statistics(value)) or (0, 0) for value in before[-1]]
    inside = [low <= later <= high for (low, high), later in zip(ends, after, strict=True)]
    return float(np.mean(inside))


@pytest.mark.parametrize("known", [1, 3, 8])
def test_of_devices_that_differ_as_believed_95_of_100_later_estimates_are_held(
    rng: np.random.Generator, known: int
) -> None:
    """Levels are drawn as Student's distribution has them: one worth four campaigns."""
    typical = TYPICAL["full"]
    levels = typical.level * np.sqrt(4 / rng.chisquare(4, 400))
    shares = [held(rng, level, typical.own, known) for level in levels]
    assert 0.93 <= np.mean(shares) <= 0.98


@pytest.mark.parametrize(("level_sd", "own_sd"), [(0.002, 0.002), (0.05, 0.01), (0.01, 0.06)])
def test_a_device_with_several_campaigns_tells_how_far_its_own_lie_apart(
    rng: np.random.Generator, level_sd: float, own_sd: float
) -> None:
    many = Repeat.of(table(*drawn(rng, level_sd, own_sd, 8)))
    alone = Repeat.of(table(*drawn(rng, level_sd, own_sd, 1)))
    assert len(many.shifts) == 7
    assert many.own_sd == pytest.approx(own_sd, rel=0.25)
    steadier = many.far(statistics(1e6)) < alone.far(statistics(1e6))
    assert steadier == (max(level_sd, own_sd) < 0.01)


def test_a_workload_that_met_full_speed_but_seldom_has_a_wider_interval() -> None:
    repeat = Repeat("full")
    usual, seldom = (repeat.far(statistics(1e6, spread=s)) for s in (0.001, 0.1))
    assert seldom > 0.1 > usual
    older = replace(statistics(1e6, spread=0.1), low=1_000_000)  # as older versions wrote it
    low, high = repeat.interval(older) or (0, 0)
    assert low * high == pytest.approx(1e12)


def test_what_users_see_repeats_the_worse_the_more_it_spreads() -> None:
    repeat = Repeat("p90")
    steady, noisy = (repeat.far(statistics(1e6, 1e6 * ratio)) for ratio in (1.01, 1.5))
    assert noisy > 3 * steady
    assert repeat.interval(statistics(1e6)) is None


def test_beside_workloads_that_moved_alike_only_its_own_part_counts() -> None:
    repeat = Repeat("full", shifts=(0.2, -0.2, 0.2))
    assert repeat.far(statistics(1e6), level=False) < 0.05 < repeat.far(statistics(1e6))


def test_where_a_campaign_may_have_missed_full_speed_the_interval_reaches_the_slower_one() -> None:
    """Only that of full speed: what users see is of all moments."""
    often = table(1e6 * (1 + np.arange(len(NETWORKS))))
    seldom = replace(often, campaigns={"c0": often.campaigns["c0"] | {"missed": 0.37}})
    one = statistics(1e6, 1.2e6)
    assert Repeat.of(often).far(one) < 0.1
    assert 0.37 < Repeat.of(seldom).far(one) < 0.4
    assert 0.37 < Repeat.of(seldom).level([one]) < 0.4
    assert Repeat.of(seldom, "p90").far(one) == Repeat.of(often, "p90").far(one)


@pytest.mark.parametrize(
    ("later", "shifts"),
    [
        ({"os": "6.1", "gpu_uuid": "a"}, 1),
        ({"os": "6.1", "gpu_uuid": "b"}, 1),  # another unit of the same kind
        ({"os": "6.2", "gpu_uuid": "a"}, 0),
        ({}, 0),  # nobody knows
    ],
)
def test_what_an_update_did_is_no_difference_between_campaigns(
    later: dict[str, str], shifts: int
) -> None:
    found = table(*(factor * 1e6 * (1 + np.arange(len(NETWORKS))) for factor in (1.0, 1.3)))
    told = {"c0": {"os": "6.1", "gpu_uuid": "a"}, "c1": later}
    facts = {name: found.campaigns[name] | {"environment": each} for name, each in told.items()}
    repeat = Repeat.of(replace(found, campaigns=facts))
    assert repeat.shifts == pytest.approx([np.log(1.3)] * shifts, rel=1e-4)
    assert repeat.workloads == shifts * (len(NETWORKS) - 1)
