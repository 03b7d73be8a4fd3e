import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TableError
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from harness.tables.record import CLOCKS, Record, Statistics
from harness.tables.table import Table, evidence
from tests.tables.test_calibration import made_table

ARCH = Arch(12, (1, 1, 1), (3, 0, 0) * 3, (3, 0, 0) * 3)
BLOCKS = DIGITS.distinct_blocks()
counts = st.integers(1, 10**12)
ROLES = ("sentinel", "block", "anchor", "holdout", "network")


def ordered(numbers: list[int]) -> Statistics:
    """Statistics whose ends and shares are the right way round."""
    low, value, high, quarter, median, most, p50, p90, p99 = sorted(numbers)
    return Statistics(
        *(value, low, high, value, high, quarter, median, most),
        *(numbers[0], numbers[1], None, p50, p90, p99, numbers[2]),
    )


told = st.lists(counts, min_size=9, max_size=9).map(ordered)


def statistics(value: int) -> Statistics:
    return Statistics(**dict.fromkeys(Statistics.__dataclass_fields__, value))


def record(number: int, campaign: str = "a", role: str = "block") -> Record:
    arch, blocks = (None, (BLOCKS[number],)) if role == "block" else (ARCH, DIGITS.blocks(ARCH))
    return Record(role, blocks, arch, "latency", "wall", campaign, statistics(number + 1))


def facts(rounds: int, day: int) -> dict[str, object]:
    started_at = f"2026-01-{day:02}T00:00:00+00:00"
    return {"rounds": rounds, "started_at": started_at, "environment": {}}


@pytest.fixture
def table() -> Table:
    records = (*(record(number) for number in range(5)), record(5, role="anchor"))
    return Table("cpu", "digits", {"processor": "x"}, {"a": facts(3, 1)}, records)


@given(
    st.builds(
        Record,
        role=st.sampled_from(ROLES),
        blocks=st.lists(st.sampled_from(BLOCKS), min_size=1).map(tuple),
        arch=st.sampled_from([None, ARCH]),
        quantity=st.just("latency"),
        clock=st.sampled_from(CLOCKS),
        campaign=st.text(),
        statistics=told,
        suspect=st.lists(st.text()).map(tuple),
    )
)
def test_a_record_survives_its_json(given_record: Record) -> None:
    assert Record.parse(json.dumps(given_record.to_json())) == given_record


def test_a_table_reads_back_with_its_lines_in_a_fixed_order(tmp_path: Path, table: Table) -> None:
    first, second = tmp_path / "1.jsonl", tmp_path / "2.jsonl"
    table.save(first)
    replace(table, records=table.records[::-1]).save(second)
    assert first.read_bytes() == second.read_bytes()
    loaded = Table.load(first)
    assert {r.key: r for r in loaded.records} == {r.key: r for r in table.records}
    assert (loaded.device, loaded.space, loaded.identity) == ("cpu", "digits", {"processor": "x"})


def test_adding_a_campaign_twice_changes_nothing_and_others_stay(table: Table) -> None:
    new = [record(number, "b") for number in range(3)]
    once = table.with_campaign("b", facts(9, 2), new)
    assert once.with_campaign("b", facts(9, 2), new) == once
    assert set(table.records) <= set(once.records)
    assert len(once.records) == len(table.records) + 3


def scaled(number: int, campaign: str, factor: float) -> Record:
    return replace(record(number, campaign), statistics=statistics(round(1000 * factor)))


@pytest.fixture
def level() -> Table:
    """Blocks of 1000 ns each."""
    records = [scaled(number, "a", 1) for number in range(10)]
    return Table("cpu", "digits", {}, {"a": facts(3, 1)}, tuple(records))


def test_the_campaign_with_most_blocks_counts_and_of_several_the_newest_finished_one(
    level: Table,
) -> None:
    few = level.with_campaign("b", facts(9, 2), [scaled(number, "b", 1) for number in range(9)])
    assert few.block_campaign() == "a"
    all_ten = [scaled(number, "c", 1) for number in range(10)]
    assert few.with_campaign("c", facts(9, 3), all_ten).block_campaign() == "c"
    unfinished = few.with_campaign("c", facts(9, 3) | {"finished": False}, all_ten)
    assert unfinished.block_campaign() == "a"


def test_what_was_measured_again_counts_at_the_level_of_the_whole_table(level: Table) -> None:
    # A later day on which everything takes 1.3 times as long, and block 2 twice that.
    factors = {0: 1.3, 1: 1.3, 2: 2.6, 3: 1.3, 4: 1.3, 5: 1.3}
    later = [scaled(number, "b", factor) for number, factor in factors.items()]
    merged = level.with_campaign("b", facts(9, 2), later).block_values("wall")
    assert merged[BLOCKS[2]] == pytest.approx(2000)
    others = [ns for block, ns in merged.items() if block != BLOCKS[2]]
    assert others == pytest.approx([1000] * 9)


def test_blocks_that_moved_do_not_set_the_level(level: Table) -> None:
    moved = {"moved": [BLOCKS[number].key for number in range(4)]}
    factors = [2.0] * 4 + [1.0] * 6
    later = [scaled(number, "b", factor) for number, factor in enumerate(factors[:9])]
    merged = level.with_campaign("b", facts(9, 2) | moved, later).block_values("wall")
    assert list(merged.values()) == pytest.approx([1000 * factor for factor in factors])


def test_devices_that_share_the_work_have_each_others_networks_at_their_own_level(
    level: Table,
) -> None:
    anchor = replace(scaled(0, "b", 1.3), role="anchor", blocks=BLOCKS[:3])
    theirs = [scaled(number, "b", 1.3) for number in range(6)]
    beside = {"a": level.campaigns["a"] | {"beside": ["b"]}}
    shared = replace(level, campaigns=beside).with_campaign("b", facts(3, 1), [*theirs, anchor])
    (told,) = shared.select("anchor", "wall", "a")
    assert told.statistics.value == pytest.approx(1000)
    assert shared.select("anchor", "wall", "b") == [anchor]
    assert len(shared.select("block", "wall", "a")) == 10  # its own are not replaced
    assert {record.campaign for record in shared.select("block", "wall", "a")} == {"a"}


def test_campaigns_with_too_little_in_common_are_not_merged(level: Table) -> None:
    later = [scaled(number, "b", 1.0) for number in (0, 1, *range(20, 25))]
    with pytest.raises(TableError, match="only 2 workloads in common"):
        level.with_campaign("b", facts(9, 2), later).block_values("wall")


def test_the_newest_campaign_with_judges_calibrates(level: Table) -> None:
    assert level.calibrating_campaign() == "a"
    judged = level.with_campaign("b", facts(9, 2), [record(0, "b", "holdout")])
    verified = judged.with_campaign("c", facts(9, 3), [record(0, "c", "anchor")])
    assert verified.calibrating_campaign() == "b"


def test_a_table_without_blocks_says_so(table: Table) -> None:
    with pytest.raises(TableError, match="no blocks"):
        replace(table, records=()).block_campaign()


@pytest.mark.parametrize(("campaign", "named"), [("zzz", "header lacks"), ("a", "a second time")])
def test_records_that_are_doubled_or_of_no_campaign_are_refused(
    tmp_path: Path, table: Table, campaign: str, named: str
) -> None:
    path = tmp_path / "t.jsonl"
    replace(table, records=(*table.records, record(0, campaign))).save(path)
    with pytest.raises(TableError, match=named):
        Table.load(path)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        '{"role": "block"}',
        "null",
    ],
)
def test_a_broken_line_is_named_with_its_number(tmp_path: Path, table: Table, line: str) -> None:
    path = tmp_path / "t.jsonl"
    table.save(path)
    lines = path.read_text().splitlines()
    lines[3] = line
    path.write_text("\n".join(lines))
    with pytest.raises(TableError, match=r"t\.jsonl:4"):
        Table.load(path)


@pytest.mark.parametrize("value", [0, -1, 1.5, "1", True, None, [1], 10**20, 1e300, float("nan")])
def test_times_that_are_no_times_are_refused(value: object) -> None:
    wrong = record(0).to_json()
    wrong["statistics"]["value_ns"] = value
    with pytest.raises(TableError, match=r"statistics\.value_ns: "):
        Record.parse(json.dumps(wrong))


@pytest.mark.parametrize("ends", [(3, 1), (2, 9), (0, 1)])
def test_a_value_outside_its_interval_is_refused(ends: tuple[int, int]) -> None:
    wrong = record(0).to_json()
    wrong["statistics"] |= {"low_ns": ends[0], "high_ns": ends[1]}
    with pytest.raises(TableError, match="statistics"):
        Record.parse(json.dumps(wrong))


def test_a_record_with_a_key_twice_or_in_another_unit_is_refused() -> None:
    line = json.dumps(record(0).to_json())
    with pytest.raises(TableError, match="'value_ns' is there twice"):
        Record.parse(line.replace('"low_ns": 1', '"low_ns": 1, "value_ns": 1'))
    with pytest.raises(TableError, match="another unit"):
        Record.parse(line.replace("_ns", "_nj"))


@pytest.mark.parametrize(
    "header",
    [
        {"campaigns": []},
        {"campaigns": {"a": []}},
        {"campaigns": {"a": facts(3, 1) | {"rounds": "x"}}},
        {"campaigns": {"a": facts(3, 1) | {"started_at": 5}}},
        {"campaigns": {"a": facts(3, 1) | {"environment": {"os": [1]}}}},
        {"campaigns": {"a": facts(3, 1) | {"slowdown": "x"}}},
        {"campaigns": {"a": facts(3, 1) | {"infeasible": {"x": "why"}}}},
        {"campaigns": {"a": facts(3, 1) | {"conditions_after": {"load_1m": "x"}}}},
        {"identity": {"clock": ["wall"]}},
        {"identity": {"batch": 0}},
        {"device": "../../x"},
        {"space": "a\nb"},
        {"records": "5"},
        {"source": 5},
    ],
    ids=str,
)
def test_a_header_with_one_wrong_value_is_refused_in_one_line(
    tmp_path: Path, table: Table, header: dict[str, object]
) -> None:
    path = tmp_path / "t.jsonl"
    table.save(path)
    first, *others = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | header), *others]))
    with pytest.raises(TableError, match=r"t\.jsonl:1: ") as raised:
        Table.load(path)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["", "x", "{}\n", '{"kind":"table","schema":99}\n', "\x80"])
def test_what_is_no_table_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.jsonl").write_bytes(text.encode("latin-1"))
    with pytest.raises(TableError, match=r"t\.jsonl"):
        Table.load(tmp_path / "t.jsonl")


def test_evidence_says_when_a_device_was_measured(tmp_path: Path, table: Table) -> None:
    assert evidence("cpu", tmp_path) == "never run on hardware"
    table.save(tmp_path / "cpu.digits.jsonl")
    assert "2026-01-01" in evidence("cpu", tmp_path)
    assert evidence("cpu-onnxruntime", tmp_path) == "never run on hardware"


def test_a_table_that_lost_whole_lines_is_refused(tmp_path: Path, rng: np.random.Generator) -> None:
    table = made_table(rng, 0)
    facts = {name: campaign | {"environment": {}} for name, campaign in table.campaigns.items()}
    path = tmp_path / "table.jsonl"
    replace(table, campaigns=facts).save(path)
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:-3]))
    with pytest.raises(TableError, match=rf"has {len(lines) - 4} of its {len(lines) - 1} records"):
        Table.load(path)
