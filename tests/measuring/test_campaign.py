"""Campaigns on this machine's CPU, with a real agent."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.devices.device import Device
from harness.measuring.campaign import Campaign, Work, _suspect, run_campaign
from harness.measuring.plan import Entry, Plan, calibration_entries, table_entries
from harness.runtimes.session import Session
from harness.spaces.digits import DIGITS
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0
from harness.tables.journal import Visit

PLAN = Plan(rounds=3, runs=2, duration_s=0.0)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Device.find("cpu-onnxruntime", tmp_path_factory.mktemp("root")).open() as opened:
        yield opened


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    blocks = [Entry("block", (block,), (block,)) for block in DIGITS.distinct_blocks()[:6]]
    return [*calibration_entries(DIGITS), *blocks]


def measured(
    session: Session, entries: list[Entry], folder: Path, fresh: bool = False, stop: int = -1
) -> Campaign:
    def on_visit(done: int, _total: int) -> None:
        if done == stop:
            raise Killed

    work = Work({"runtime": "x"}, entries, PLAN, lambda name: folder / f"{name}.jsonl")
    return run_campaign(session, work, fresh, on_visit)


def visits_in(journal: Path) -> list[list[Any]]:
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    return [line for line in lines if isinstance(line, list)]


def test_every_entry_has_every_visit_once_and_a_record_for_each_clock(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    campaign = measured(session, entries, tmp_path)
    (journal,) = tmp_path.iterdir()
    lines = visits_in(journal)
    visits = Counter((entry, number) for entry, number, *_ in lines if entry)
    wanted = {(entry, number) for entry in range(1, len(entries)) for number in range(3)}
    assert visits == Counter(wanted)
    assert sum(entry == 0 for entry, *_ in lines) >= PLAN.rounds
    assert len(campaign.records) == 2 * len(entries)
    assert len({record.key for record in campaign.records}) == len(campaign.records)
    for record in campaign.records:
        if record.role != "sentinel":
            assert (record.statistics.visits, record.statistics.runs) == (3, 6)


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
        before = lines
    campaign = measured(session, entries, tmp_path)
    visits = Counter((entry, number) for entry, number, *_ in visits_in(journal) if entry)
    assert set(visits.values()) == {1}
    assert len(visits) == PLAN.rounds * (len(entries) - 1)
    assert measured(session, entries, tmp_path) == Campaign(
        campaign.id, measured(session, entries, tmp_path).facts, campaign.records
    )


def test_fresh_starts_a_new_campaign_and_keeps_the_old_samples(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    first = measured(session, entries, tmp_path)
    second = measured(session, entries, tmp_path, fresh=True)
    assert first.id != second.id
    assert len(list(tmp_path.iterdir())) == 2
    assert measured(session, entries, tmp_path).id == second.id


def test_facts_say_how_where_and_under_which_conditions(
    session: Session, entries: list[Entry], tmp_path: Path
) -> None:
    facts = measured(session, entries, tmp_path).facts
    assert facts["rounds"] == 3
    assert facts["environment"]["onnxruntime"]
    assert facts["conditions_before"].keys() == facts["conditions_after"].keys()
    assert 0.9 < facts["wall_over_cpu"] < 100


def test_a_table_is_measured_from_all_blocks_ten_anchors_and_twenty_holdouts() -> None:
    roles = Counter(entry.role for entry in table_entries(DIGITS))
    assert roles == {"sentinel": 1, "block": 145, "anchor": 10, "holdout": 20}
    by_role: dict[str, set[object]] = {"anchor": set(), "holdout": set()}
    for entry in table_entries(OFA_MBV3_W1_0):
        by_role.setdefault(entry.role, set()).add(entry.arch)
    assert len(by_role["anchor"]) == 10
    assert not by_role["anchor"] & by_role["holdout"]


@pytest.mark.parametrize(
    ("wall_ns", "thread_ns", "suspect"),
    [
        ((100_000, 101_000), (99_000, 100_000), False),
        ((130_000, 150_000), (99_000, 100_000), True),  # half of the time somebody else ran
        ((5_900, 6_000), (5_000, 5_100), False),  # a short block: that is the clocks themselves
        ((130_000, 150_000), None, False),  # unknown is not suspect
    ],
)
def test_work_that_waited_for_the_processor_is_suspect(
    wall_ns: tuple[int, ...], thread_ns: tuple[int, ...] | None, suspect: bool
) -> None:
    visits = [Visit(1, number, number, wall_ns, thread_ns) for number in range(5)]
    assert bool(_suspect(visits)) == suspect
