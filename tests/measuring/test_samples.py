"""Which visits count: those under good conditions, where there are enough."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from harness.device.conditions import Limits, unknown_in
from harness.measuring.plan import Plan
from harness.measuring.samples import Judge, choose, enough, samples
from harness.tables.journal import Conditions, Journal, Reading, Visit

PLAN = Plan(min_visits=4, max_visits=10, runs=2, interval=0.05, duration_s=0.0, anchors=10)
UNLIMITED = Limits()
QUIET: Conditions = {"other_cpus": 0.01, "frequency_mhz": 2000.0}
LOADED: Conditions = {"other_cpus": 1.0, "frequency_mhz": 2000.0}
SLOW: Conditions = {"other_cpus": 0.01, "frequency_mhz": 1000.0}
LITTLE_MEMORY: Conditions = {"memory_available_mb": 20.0}


def visit(number: int, wall_ns: int = 101_000, thread_ns: int | None = 100_000) -> Visit:
    values = {"wall": (wall_ns, wall_ns)}
    if thread_ns is not None:
        values["thread"] = (thread_ns, thread_ns)
    return Visit(1, number, number, values, readings_before=2 * number + 1)


def judge(folder: Path, rounds: list[Conditions], clock: str = "wall") -> Judge:
    journal = Journal(folder / "journal.jsonl")
    for number, conditions in enumerate(rounds):
        journal.append_reading(Reading(number, QUIET))
        journal.append_reading(Reading(number, conditions))
    journal.close()
    return Judge.of(journal, Limits(max_temperature_c=40), clock)


@pytest.mark.parametrize("bad", [LOADED, SLOW, LITTLE_MEMORY, {"temperature_c": 41.0}])
def test_visits_of_a_bad_round_do_not_count_and_are_made_up_for(
    tmp_path: Path, bad: Conditions
) -> None:
    found = judge(tmp_path, [QUIET, bad, QUIET, QUIET, QUIET])
    four, five = [visit(n) for n in range(4)], [visit(n) for n in range(5)]
    assert not enough(four, found, PLAN)
    assert enough(five, found, PLAN)
    chosen = choose(five, found, PLAN)
    assert [each.round for each in chosen.visits] == [0, 2, 3, 4]
    assert chosen.suspect == ()


def test_heat_in_the_middle_of_a_long_round_spoils_only_what_is_near(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    temperatures_c = (30.0, 35.0, 41.0, 36.0, 32.0)
    for entry, temperature_c in enumerate(temperatures_c, start=1):
        journal.append(Visit(entry, 0, 5, {"wall": (9, 9)}))
        journal.append_reading(Reading(0, {"temperature_c": temperature_c}))
    journal.append(Visit(6, 0, 5, {"wall": (9, 9)}))
    journal.close()
    again = Journal(tmp_path / "journal.jsonl")
    again.close()
    for visits in (journal.visits, again.visits):
        found = Judge.of(journal, Limits(max_temperature_c=40), "wall")
        assert [found.reasons(each) for each in visits] == [
            (),
            (),
            ("too hot",),
            ("too hot",),
            (),
            (),
        ]


def test_where_good_visits_are_too_few_all_are_taken_and_marked(tmp_path: Path) -> None:
    found = judge(tmp_path, [LOADED] * 9 + [QUIET])
    visits = [visit(number) for number in range(10)]
    assert not enough(visits[:9], found, PLAN)
    assert enough(visits, found, PLAN)
    chosen = choose(visits, found, PLAN)
    assert len(chosen.visits) == 10
    assert chosen.suspect == ("other programs used the processors (9 of 10 visits)",)


@pytest.mark.parametrize("clock", ["thread", "device", "net"])
def test_other_programs_disturb_every_clock(tmp_path: Path, clock: str) -> None:
    """They share caches, memory and clocks; and a GPU's kernels are launched by a processor."""
    found = judge(tmp_path, [QUIET, LOADED, QUIET, QUIET, QUIET], clock)
    four, five = [visit(n) for n in range(4)], [visit(n) for n in range(5)]
    assert not enough(four, found, PLAN)
    assert enough(five, found, PLAN)
    assert [each.round for each in choose(five, found, PLAN).visits] == [0, 2, 3, 4]


@pytest.mark.parametrize(
    ("clock", "visits"), [("thread", 4), ("device", 4), ("wall", 10), ("gross", 10)]
)
def test_a_machine_that_is_busy_all_along_is_not_measured_for_longer_where_that_does_little(
    tmp_path: Path, clock: str, visits: int
) -> None:
    found = judge(tmp_path, [LOADED] * 10, clock)
    made = [visit(number) for number in range(10)]
    needed = next(n for n in range(11) if enough(made[:n], found, PLAN))
    assert needed == visits
    chosen = choose(made[:needed], found, PLAN)
    (why,) = chosen.suspect
    assert why == f"other programs used the processors ({visits} of {visits} visits)"


def test_a_machine_that_is_busy_at_times_is_measured_until_enough_visits_are_good(
    tmp_path: Path,
) -> None:
    """Four of ten are to be had where half of them are good; two of the first four are not."""
    found = judge(tmp_path, [LOADED, QUIET] * 5, "thread")
    made = [visit(number) for number in range(10)]
    assert next(n for n in range(11) if enough(made[:n], found, PLAN)) == 8
    assert choose(made[:8], found, PLAN).suspect == ()


def test_heat_is_waited_out_however_busy_the_machine_is(tmp_path: Path) -> None:
    hot: Conditions = {**LOADED, "temperature_c": 41.0}
    found = judge(tmp_path, [hot] * 10, "thread")
    made = [visit(number) for number in range(10)]
    assert next(n for n in range(11) if enough(made[:n], found, PLAN)) == 10


@pytest.mark.parametrize(
    ("usual", "other", "told"),
    [
        ({"governor": "performance"}, {"governor": "powersave"}, "governor was powersave"),
        ({"power_mode": "MAXN"}, {"power_mode": "15W"}, "power mode was 15W, usually MAXN"),
        ({"charging": "yes"}, {"charging": "no"}, "charging was no"),
        ({"gpu_clock_mhz": 1800}, {"gpu_clock_mhz": 400}, "GPU slowed down"),
    ],
)
def test_visits_under_other_settings_than_the_usual_do_not_count(
    tmp_path: Path, usual: Conditions, other: Conditions, told: str
) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    for number in range(6):
        conditions = {**QUIET, **(other if number == 2 else usual)}
        journal.append_reading(Reading(number, conditions))
        journal.append_reading(Reading(number, conditions))
    journal.close()
    for clock in ("thread", "device", "wall"):
        found = Judge.of(journal, Limits(), clock)
        (why,) = found.reasons(visit(2))
        assert why.startswith(told)
        assert [each.round for each in found.good([visit(n) for n in range(6)])] == [0, 1, 3, 4, 5]


@pytest.mark.parametrize("clock", ["thread", "device"])
def test_visits_in_journals_of_older_versions_count_as_they_did(tmp_path: Path, clock: str) -> None:
    """Their readings have the clocks of an idle GPU, and other programs did not count."""
    path = tmp_path / "journal.jsonl"
    older = [
        {"other_cpus": 1.0, "gpu_clock_mhz": 210.0, "governor": "performance"},
        {"other_cpus": 1.0, "gpu_clock_mhz": 1755.0, "governor": "powersave"},
        {"other_cpus": 1.0, "gpu_clock_mhz": 1755.0, "governor": "powersave"},
        {"other_cpus": 1.0, "frequency_mhz": 1000.0},
        {"other_cpus": 1.0, "frequency_mhz": 2000.0},
    ]
    lines = [{"round": 0, "conditions": conditions} for conditions in older]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    journal = Journal(path)
    found = Judge.of(journal, Limits(), clock)
    assert [bool(why) for why in found.doubts] == [False] * 3 + [True] * 2 + [False]
    # By this version, of another core:
    journal.append_reading(Reading(1, {"frequency_mhz": 3000.0}))
    journal.close()
    assert not any(Judge.of(journal, Limits(), clock).doubts)


@pytest.mark.parametrize(
    ("wall_ns", "thread_ns", "suspect"),
    [
        (101_000, 99_500, False),
        (140_000, 99_500, True),  # a good part of the time somebody else ran
        (5_900, 5_000, False),  # a short block: that is the clocks themselves
        (140_000, None, False),  # unknown is not suspect
    ],
)
def test_a_thread_that_waited_for_its_processor_is_suspect(
    tmp_path: Path, wall_ns: int, thread_ns: int | None, suspect: bool
) -> None:
    found = judge(tmp_path, [QUIET] * 5, clock="thread")
    visits = [visit(number, wall_ns, thread_ns) for number in range(5)]
    assert bool(choose(visits, found, PLAN).suspect) == suspect


def test_a_wide_interval_asks_for_more_visits_up_to_the_most(tmp_path: Path) -> None:
    found = judge(tmp_path, [QUIET] * 10)
    unsteady = [visit(number, 100_000 + 10_000 * number) for number in range(10)]
    assert not enough(unsteady[:9], found, PLAN)
    assert enough(unsteady, found, PLAN)


def test_a_run_that_waited_for_its_processor_is_no_fastest_run() -> None:
    """As seen on a virtual machine: 30.8 us of CPU time in 73.5 us, where no other took 41."""
    good = visit(0, wall_ns=41_500, thread_ns=41_000)
    values = {"wall": (73_511, 41_900), "thread": (30_807, 41_400)}
    preempted = Visit(1, 1, 1, values, readings_before=3)
    assert samples([good, preempted], "thread").min() == 41_000
    assert samples([good, preempted], "wall").min() == 41_500
    always = Visit(1, 1, 1, {"wall": (90_000,), "thread": (41_000,)})  # on a loaded processor
    assert samples([always], "thread").min() == 41_000


def slow_hour(folder: Path, sentinel_ns: int, later_ns: int) -> tuple[list[Visit], Judge]:
    """Ten visits that were all 1.3 times too slow, and the sentinel beside and after them."""
    journal = Journal(folder / "journal.jsonl")
    journal.append_reading(Reading(0, QUIET))
    made = []
    for number in range(10):
        journal.append(Visit(0, number, number, {"wall": (sentinel_ns, sentinel_ns)}))
        made.append(Visit(1, number, number, {"wall": (130_000, 130_010)}))
        journal.append(made[-1])
    journal.append(Visit(0, 10, 10, {"wall": (sentinel_ns, sentinel_ns)}))
    for number in range(3):
        journal.append(Visit(0, 11 + number, 20, {"wall": (later_ns, later_ns)}))
    journal.append_reading(Reading(0, QUIET))
    journal.close()
    return journal.visits[1::2][:10], Judge.of(journal, Limits(), "wall")


def test_visits_of_a_slow_hour_that_agree_with_each_other_are_not_enough(tmp_path: Path) -> None:
    visits, found = slow_hour(tmp_path / "slow", sentinel_ns=13_000, later_ns=10_000)
    assert all(visit.entry == 1 for visit in visits)
    assert not enough(visits[:9], found, PLAN)
    assert choose(visits, found, PLAN).suspect == (
        "hardly visited while the machine was at full speed",
    )
    visits, found = slow_hour(tmp_path / "steady", sentinel_ns=10_100, later_ns=10_000)
    assert enough(visits[:9], found, PLAN)
    assert choose(visits, found, PLAN).suspect == ()


def doubts_of(
    folder: Path, readings: Sequence[Mapping[str, float | str | None]], limits: Limits = UNLIMITED
) -> list[str]:
    """Of what lies before each reading, in order, the reasons in words."""
    journal = Journal(folder / "journal.jsonl")
    for number, conditions in enumerate(readings):
        journal.append_reading(Reading(number, dict(conditions)))
    journal.close()
    return ["; ".join(each) for each in Judge.of(journal, limits, "device").doubts[:-1]]


@pytest.mark.parametrize(
    ("cpus", "share", "here", "doubted"),
    [
        (4.0, 4 / 64, 4 / 64, False),  # a server of 64 that others use, too
        (10.0, 10 / 64, 10 / 64, True),  # much of it
        (0.3, 0.3 / 64, 0.3, True),  # little, but on the one processor that we stay on
        (1.0, 1 / 2, 0.0, True),  # one of two, which shares memory with the other
    ],
)
def test_other_programs_count_by_their_share_of_the_machine_and_of_our_processors(
    tmp_path: Path, cpus: float, share: float, here: float, doubted: bool
) -> None:
    busy: Conditions = {"other_cpus": cpus, "other_share": share, "other_share_here": here}
    why = "other programs used the processors" if doubted else ""
    assert doubts_of(tmp_path, [busy, busy]) == [why, why]


def test_a_gpu_at_its_power_cap_all_along_is_as_usual(tmp_path: Path) -> None:
    capped: Conditions = {"gpu_throttled": "power cap"}
    assert set(doubts_of(tmp_path / "a", [capped] * 9 + [{"gpu_throttled": "no"}])) == {""}
    doubts = doubts_of(tmp_path / "b", [{"gpu_throttled": "no"}] * 9 + [capped])
    assert doubts == [""] * 9 + ["GPU held back: power cap"]
    hot: Conditions = {"gpu_throttled": "power cap, hardware thermal slowdown"}
    held = "GPU held back: hardware thermal slowdown"
    assert set(doubts_of(tmp_path / "c", [hot] * 10)) == {held}


@pytest.mark.parametrize("clock", ["frequency_mhz", "gpu_clock_mhz"])
def test_a_first_moment_of_turbo_does_not_spoil_a_campaign(tmp_path: Path, clock: str) -> None:
    """Eight readings, as with --quick."""
    assert set(doubts_of(tmp_path / "a", [{clock: 4500.0}] + [{clock: 3600.0}] * 7)) == {""}
    half = doubts_of(tmp_path / "b", [{clock: 3600.0}] * 4 + [{clock: 1800.0}] * 4)
    assert [bool(why) for why in half] == [False] * 4 + [True] * 4


def test_a_temperature_that_is_not_told_for_once_is_no_cool_one(tmp_path: Path) -> None:
    limits = Limits(max_temperature_c=40)
    told = [limits.checked({"temperature_c": 39.0 if number != 2 else None}) for number in range(5)]
    doubts = doubts_of(tmp_path, told, limits)
    assert [why.partition(",")[0] for why in doubts[2:4]] == ["temperature was unknown"] * 2
    assert doubts[:2] == ["", ""]


@pytest.mark.parametrize(
    ("conditions", "told"),
    [
        ({"temperature_c": 39.0}, None),
        ({"temperature_c": None}, "no sensor of the device tells its temperature_c"),
        ({"temperature_c": 39.0, "gpu_temperature_c": None}, "tells its gpu_temperature_c"),
        ({"temperature_c": None, "gpu_temperature_c": 70.0}, None),
        ({}, None),  # simulated: it has no heat
    ],
)
def test_a_limit_that_no_sensor_tells_of_is_not_held(
    conditions: Conditions, told: str | None
) -> None:
    unheld = Limits(max_temperature_c=75).unheld(conditions)
    assert (unheld is None) == (told is None)
    assert (told or "") in (unheld or "")
    assert Limits().unheld(conditions) is None


def test_what_no_reading_told_is_unknown() -> None:
    silent: Conditions = {"temperature_c": None, "frequency_share": None, "gpu_clock_mhz": None}
    readings = [{**silent, "frequency_mhz": mhz} for mhz in (None, 2000.0)]
    assert unknown_in(readings) == ("temperature", "clock of the GPU")
    assert unknown_in([{}]) == ()
