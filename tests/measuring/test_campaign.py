"""Campaigns on this machine's CPU, with a real agent."""

import gzip
import itertools
import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.device.conditions import OTHER_PROGRAMS, Limits, describe_unknown
from harness.device.device import Device
from harness.errors import DeviceError, UsageError
from harness.measuring import rounds
from harness.measuring.campaign import Campaign, Work, records_of, run_campaign
from harness.measuring.forecast import forecast
from harness.measuring.plan import Entry, Plan, block_entries, calibration_entries, table_entries
from harness.measuring.rounds import Visits
from harness.runtimes.session import Session
from harness.spaces.digits import DIGITS
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0
from harness.tables.journal import Journal, Visit

PLAN = Plan(min_visits=3, max_visits=3, runs=2, interval=0.05, duration_s=0.0, anchors=10)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Device.find("cpu-onnxruntime", tmp_path_factory.mktemp("root")).open() as opened:
        yield opened


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return [*calibration_entries(DIGITS, 10), *block_entries(DIGITS.distinct_blocks()[:6])]


def work(entries: list[Entry], folder: Path, plan: Plan = PLAN) -> Work:
    path = lambda name: folder / f"{name}.jsonl"  # noqa: E731
    return Work({"runtime": "x"}, "thread", Limits(), entries, plan, path)


def measured(
    session: Session, entries: list[Entry], folder: Path, fresh: bool = False, stop: int = -1
) -> Campaign:
    def on_visit(done: int, _total: int) -> None:
        if done == stop:
            raise Killed

    return run_campaign(session, work(entries, folder), fresh, on_visit)


def visits_in(folder: Path) -> list[list[Any]]:
    (path,) = folder.glob("*.jsonl*")
    journal = Journal(path.with_name(path.name.removesuffix(".gz")))
    journal.close()
    return [[visit.entry, visit.round] for visit in journal.visits]


def test_every_entry_has_every_visit_once_and_a_record_for_each_clock(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    campaign = measured(session, entries, tmp_path)
    made = visits_in(tmp_path)
    visits = Counter((entry, number) for entry, number in made if entry)
    wanted = {(entry, number) for entry in range(1, len(entries)) for number in range(3)}
    assert visits == Counter(wanted)
    assert sum(entry == 0 for entry, _ in made) >= PLAN.min_visits
    assert len(campaign.records) == 2 * len(entries)
    assert len({record.key for record in campaign.records}) == len(campaign.records)


def test_a_campaign_killed_anywhere_goes_on_and_loses_and_doubles_nothing(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    before: list[str] = []
    for stop in (1, 2, 17, 18, 40):
        with pytest.raises(Killed):
            measured(session, entries, tmp_path, stop=stop)
        (journal,) = tmp_path.iterdir()
        lines = journal.read_text().splitlines()
        assert lines[: len(before)] == before
        assert all(json.loads(line) for line in lines)
        before = lines
    campaign = measured(session, entries, tmp_path)
    visits = Counter((entry, number) for entry, number in visits_in(tmp_path) if entry)
    assert set(visits.values()) == {1}
    assert len(visits) == PLAN.min_visits * (len(entries) - 1)
    assert measured(session, entries, tmp_path) == campaign


def test_a_finished_campaign_is_packed_and_read_back(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    campaign = measured(session, entries, tmp_path)
    assert campaign.facts["finished"]
    assert [path.suffix for path in tmp_path.iterdir()] == [".gz"]
    assert measured(session, entries, tmp_path).records == campaign.records


def test_fresh_starts_a_new_campaign_and_keeps_the_old_samples(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    first = measured(session, entries, tmp_path)
    second = measured(session, entries, tmp_path, fresh=True)
    assert first.id != second.id
    assert len(list(tmp_path.iterdir())) == 2
    assert measured(session, entries, tmp_path).id == second.id


def test_unsteady_workloads_are_visited_until_their_interval_is_narrow_or_the_most_is_reached(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    strict = Plan(3, 9, runs=1, interval=0.0, duration_s=0.0, anchors=10)
    run_campaign(session, work(entries, tmp_path / "strict", strict))
    visits = Counter(entry for entry, _ in visits_in(tmp_path / "strict") if entry)
    assert set(visits.values()) == {9}
    easy = replace(strict, interval=1e9)
    run_campaign(beside(session, 0.0), work(entries, tmp_path / "easy", easy))
    visits = Counter(entry for entry, _ in visits_in(tmp_path / "easy") if entry)
    # Some have more than 3 where the machine was seldom at full speed: on a busy one, many.
    assert min(visits.values()) >= 3
    assert visits.total() < 9 * len(visits)


def test_a_budget_ends_a_campaign_with_what_it_has_and_it_can_be_continued(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    plan = replace(PLAN, min_visits=5000, max_visits=5000)
    for entry in entries:
        session.load(entry.workload)
    todo = replace(work(entries, tmp_path, plan), deadline_s=time.monotonic() + 1.5)
    campaign = run_campaign(session, todo)
    assert not campaign.facts["finished"]
    assert 3 <= campaign.facts["rounds"] < 5000
    before = visits_in(tmp_path)
    more = run_campaign(session, replace(todo, deadline_s=time.monotonic() + 1.5))
    assert more.id == campaign.id
    assert more.facts["rounds"] > campaign.facts["rounds"]
    assert visits_in(tmp_path)[: len(before)] == before


def test_a_budget_that_ends_before_all_is_sustained_leaves_the_rest_to_be_gone_on_with(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    networks = [replace(entry, role="holdout") for entry in entries[1:4]]
    plan = replace(PLAN, sustain_s=0.2)
    todo = work([entries[0], *networks], tmp_path, plan)
    for entry in todo.entries:
        session.load(entry.workload)
    deadline_s = time.monotonic() + 1.5

    def on_visit(_done: int, total: int) -> None:
        if total == len(networks):  # the first of them was run for long
            time.sleep(max(0.0, deadline_s - time.monotonic()))

    cut = run_campaign(session, replace(todo, deadline_s=deadline_s), on_visit=on_visit)
    assert cut.facts["rounds"] == PLAN.min_visits
    assert not cut.facts["finished"]
    begun = visits_in(tmp_path)
    whole = run_campaign(session, todo)
    assert whole.id == cut.id
    assert whole.facts["finished"]
    assert visits_in(tmp_path) == begun, "nothing was visited again"
    (path,) = tmp_path.iterdir()
    assert sorted(Journal(path.with_name(path.name.removesuffix(".gz"))).sustained) == [1, 2, 3]


def test_a_budget_that_suffices_for_nothing_is_refused(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=r"give at least \d+ s more"):
        run_campaign(session, replace(work(entries, tmp_path), deadline_s=time.monotonic()))


def test_the_plan_says_what_is_done_how_long_it_takes_and_which_error_to_expect(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    plans: list[str] = []
    deadline_s = time.monotonic() + 30

    def on_plan(visits: Visits) -> None:
        plans.append(forecast(visits, None))
        plans.append(forecast(visits, deadline_s))

    plan = replace(PLAN, min_visits=20, max_visits=20, duration_s=600.0)
    with pytest.raises(Killed):
        run_campaign(session, work(entries, tmp_path, plan), False, _stop, on_plan)
    assert "6 blocks and 10 networks" in plans[0]
    assert "about 10 min" in plans[0]
    assert "expected error" in plans[0]
    assert "the budget of" in plans[1]


def _stop(_done: int, _total: int) -> None:
    raise Killed


class Telling:
    """A session on a device that tells what this machine does not, at each reading the next."""

    def __init__(self, session: Session, name: str, values: Iterator[float | str | None]) -> None:
        self._session = session
        self._name, self._values = name, values

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def conditions(self) -> dict[str, float | str | None]:
        return self._session.conditions() | {self._name: next(self._values)}


def beside(session: Session, *shares: float) -> Session:
    """The session beside other programs that use so much of the processors, at last ever after."""
    for name in ("other_share", "other_share_here"):
        session = Telling(session, name, itertools.chain(shares, itertools.repeat(shares[-1])))
    return session


def test_a_hot_device_is_given_time_to_cool_down(
    session: Session, entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "COOL_DOWN_POLL_S", 0.01)
    readings = itertools.chain([50.0] * 4, itertools.repeat(39.0))
    todo = replace(work(entries, tmp_path), limits=Limits(max_temperature_c=40))
    campaign = run_campaign(Telling(session, "temperature_c", readings), todo)
    assert campaign.facts["conditions_before"]["temperature_c"] == 39
    reasons = " ".join(reason for record in campaign.records for reason in record.suspect)
    assert "hotter" not in reasons


def test_a_limit_that_cannot_be_checked_is_said_and_recorded(
    session: Session, entries: list[Entry], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limited = replace(work(entries, tmp_path / "a"), limits=Limits(max_temperature_c=75))
    facts = run_campaign(Telling(session, "temperature_c", itertools.repeat(None)), limited).facts
    said = "no sensor of the device tells its temperature_c: max_temperature_c = 75 is not held"
    assert caplog.messages == [f"harness: {said}"]
    assert facts["conditions_before"]["max_temperature_c"] == "unknown"
    assert facts["conditions_after"]["max_temperature_c"] == "unknown"
    assert "temperature" in facts["conditions_unknown"]
    assert describe_unknown(facts).endswith("max_temperature_c could not be checked")
    caplog.clear()
    cool = run_campaign(
        Telling(session, "temperature_c", itertools.repeat(40.0)),
        replace(limited, journal_path=work(entries, tmp_path / "b").journal_path),
    ).facts
    assert caplog.messages == []
    assert cool["conditions_after"]["max_temperature_c"] == "checked"
    assert "temperature" not in cool["conditions_unknown"]


def test_a_device_that_stays_hot_is_an_error(
    session: Session, entries: list[Entry], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "COOL_DOWN_POLL_S", 0.01)
    monkeypatch.setattr(rounds, "COOL_DOWN_TIMEOUT_S", 0.05)
    todo = replace(work(entries, tmp_path), limits=Limits(max_temperature_c=40))
    with pytest.raises(DeviceError, match="hotter than 40"):
        run_campaign(Telling(session, "temperature_c", itertools.repeat(50.0)), todo)


def test_facts_say_how_where_and_under_which_conditions(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    facts = measured(session, entries, tmp_path).facts
    assert facts["rounds"] == 3
    assert facts["environment"]["onnxruntime"]
    assert facts["conditions_before"].keys() == facts["conditions_after"].keys()
    assert 0.9 < facts["wall_over_cpu"] < 100


def test_facts_say_what_changed_meanwhile(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    plugged_in = itertools.chain(["yes"] * 5, itertools.repeat("no"))
    unplugged = Telling(session, "charging", plugged_in)
    facts = run_campaign(unplugged, work(entries, tmp_path)).facts
    assert facts["conditions_changed"]["charging"] == ["yes", "no"]
    assert "temperature_c" not in facts["conditions_changed"]
    again = run_campaign(session, work(entries, tmp_path)).facts  # from its journal
    assert again["conditions_changed"] == facts["conditions_changed"]


def test_visits_are_judged_while_measuring_as_when_they_are_read_back(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    busy_later = beside(session, 0.0, 0.0, 0.0, 1.0)
    campaign = run_campaign(busy_later, work(entries, tmp_path))
    suspects = {record.suspect for record in campaign.records if record.role != "sentinel"}
    assert suspects == {(f"{OTHER_PROGRAMS} (3 of 3 visits)",)}
    assert measured(session, entries, tmp_path).records == campaign.records


def test_what_an_older_version_finished_stays_finished(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    """By today's rules its visits do not suffice: say that heat did not count then."""
    campaign = measured(session, entries, tmp_path)
    (path,) = tmp_path.iterdir()
    lines = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    for line in lines:
        if isinstance(line, dict):
            line["conditions"]["temperature_c"] = 60.0
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    journal = Journal(path.with_name(path.name.removesuffix(".gz")))
    plan = replace(PLAN, max_visits=99)
    visits = Visits(entries, plan, Limits(max_temperature_c=40), "thread", journal)
    assert visits.finished
    records = records_of(visits, campaign.id)
    suspects = {record.suspect for record in records if record.role != "sentinel"}
    assert suspects == {("too hot (3 of 3 visits)",)}


@pytest.mark.parametrize(("fewest", "told"), [(9, False), (10, True)])
def test_a_campaign_tells_a_percentile_of_all_its_workloads_or_of_none(
    entries: list[Entry], tmp_path: Path, fewest: int, told: bool
) -> None:
    """As ratios are learned from those that tell it, and unsteady ones are visited more often."""
    journal = Journal(tmp_path / "journal.jsonl")
    for number in range(40):
        for entry, visits in enumerate((40, fewest, 40)):
            if number < visits:
                journal.append(Visit(entry, number, number, {"wall": (1000, 1010, 1020)}))
    journal.close()
    records = records_of(Visits(entries[:3], PLAN, Limits(), "wall", journal), "c")
    assert {record.statistics.p90 is not None for record in records} == {told}
    assert {record.statistics.p50 for record in records} == {1010}
    assert {record.statistics.p99 for record in records} == {None}


def test_a_table_is_measured_from_all_blocks_anchors_and_holdouts() -> None:
    roles = Counter(entry.role for entry in table_entries(DIGITS, 20))
    assert roles == {"sentinel": 1, "block": 145, "anchor": 20, "holdout": 20}
    by_role: dict[str, set[object]] = {"anchor": set(), "holdout": set()}
    for entry in table_entries(OFA_MBV3_W1_0.at([160, 224]), 20):
        by_role.setdefault(entry.role, set()).add(entry.arch)
    assert len(by_role["anchor"]) == 20
    assert not by_role["anchor"] & by_role["holdout"]
