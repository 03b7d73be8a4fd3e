import json
import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import TableError, UsageError
from harness.spaces.block import Block
from harness.spaces.digits import DIGITS
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.spaces.space import Space
from harness.tables.ofa import Imported, read_published, rows_of, write_published
from harness.tables.ofa_keys import block_key
from harness.tables.ofa_reading import Row
from harness.tables.table import Table

SMALL = replace(OFA_MBV3_W1_2, resolutions=(160, 176))


def read(path: Path, space: Space = SMALL, unit: str | None = None) -> Imported:
    return read_published([path], space, "phone", "somebody's table", unit)


def some_rows(space: Space, seed: int = 0) -> dict[Block, Row]:
    rng = np.random.default_rng(seed)
    return {
        block: Row(float(rng.uniform(0.1, 5)), float(rng.uniform(0, 0.1)), int(rng.integers(9, 99)))
        for block in space.distinct_blocks()
    }


def test_a_csv_file_says_the_same_as_a_published_one(tmp_path: Path) -> None:
    write_published(some_rows(DIGITS), DIGITS, tmp_path / "published")
    lines = ["key,mean,std,count"]
    for file in (tmp_path / "published").iterdir():
        for key, row in yaml.safe_load(file.read_text()).items():
            lines.append(f"{key},{row['mean']},{row['std']},{row['count']}")
    own = tmp_path / "own.csv"
    own.write_text("\n".join(dict.fromkeys(lines)))
    published = read(tmp_path / "published", DIGITS, "ms").table
    assert rows_of(read(own, DIGITS, "ms").table, "wall") == rows_of(published, "wall")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("key,mean,std\nx,1,0\n", "the columns key, mean, std and count"),
        ("key,mean,std,count\nx,one,0,1\n", "the columns key, mean, std and count"),
        ("key,mean,std,count\nx,1,0,1\nx,2,0,1\n", "own.csv:3: 'x' is there twice"),
        ("key,mean,std,count\nx,1\n", "the columns key, mean, std and count"),
        ("\x00", "no row is a first layer"),
    ],
)
def test_a_wrong_csv_file_says_what_is_wrong(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(text)
    with pytest.raises(TableError, match=re.escape(told)):
        read(tmp_path / "own.csv", DIGITS)


@given(
    means=st.lists(st.floats(1e-3, 1e4), min_size=1),
    spread=st.floats(0, 0.3),
    count=st.integers(1, 10**6),
)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_numbers_survive_being_written_and_read(
    tmp_path: Path, means: list[float], spread: float, count: int
) -> None:
    blocks = DIGITS.distinct_blocks()
    values = {block: means[i % len(means)] for i, block in enumerate(blocks)}
    rows: dict[Block, Row] = {
        block: Row(mean, mean * spread, count) for block, mean in values.items()
    }
    write_published(rows, DIGITS, tmp_path)
    back = read(tmp_path, DIGITS, "ms")
    assert not back.foreign
    assert not back.missing
    again = rows_of(back.table, "wall")
    assert again.keys() == rows.keys()
    for block, row in rows.items():
        assert again[block].mean_ms == pytest.approx(row.mean_ms, abs=1e-6)
        noise_ms = 2e-6 * math.sqrt(count)  # an interval's ends are whole ns
        assert again[block].std_ms == pytest.approx(row.std_ms, abs=noise_ms)
        assert again[block].count == row.count


def test_an_imported_table_is_one_like_others_and_says_where_it_is_from(tmp_path: Path) -> None:
    write_published(some_rows(SMALL), SMALL, tmp_path)
    table = read(tmp_path).table
    assert (table.device, table.space, table.source) == ("phone", SMALL.name, "somebody's table")
    table.save(tmp_path / "t.jsonl")
    loaded = Table.load(tmp_path / "t.jsonl")
    assert loaded.source == table.source
    assert {r.key: r for r in loaded.records} == {r.key: r for r in table.records}
    assert len(loaded.block_values("wall")) == len(SMALL.distinct_blocks())


def test_an_interval_is_that_of_a_mean(tmp_path: Path) -> None:
    stem = SMALL.block(0, (160,))
    rows = {block_key(stem): {"mean": 2.0, "std": 0.1, "count": 400}}
    (tmp_path / "1.yaml").write_text(yaml.safe_dump(rows))
    (record,) = read(tmp_path).table.records
    numbers = record.statistics
    assert (numbers.value, numbers.low, numbers.high) == (2_000_000, 1_990_200, 2_009_800)
    assert (numbers.visits, numbers.runs, numbers.median) == (1, 400, None)


def test_files_that_share_a_block_give_the_mean_over_all_runs(tmp_path: Path) -> None:
    write_published(some_rows(SMALL), SMALL, tmp_path)
    logits = "Logits-input:1x1x1536-output:1000"
    for name, mean, count in (("160", 1.0, 100), ("176", 2.0, 300)):
        rows = yaml.safe_load((tmp_path / f"{name}.yaml").read_text())
        rows[logits] = {"mean": mean, "std": 0.0, "count": count}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(rows))
    (record,) = (r for r in read(tmp_path).table.records if r.blocks[0].kind == "linear")
    assert record.statistics.value == 1_750_000
    assert record.statistics.low <= 1_000_000
    assert record.statistics.high >= 2_000_000
    assert (record.statistics.visits, record.statistics.runs) == (2, 400)


def test_rows_and_blocks_without_a_counterpart_are_told(tmp_path: Path) -> None:
    write_published(some_rows(SMALL), SMALL, tmp_path)
    rows = yaml.safe_load((tmp_path / "160.yaml").read_text())
    lost = next(key for key in rows if "10x10x136" in key)
    rows["expanded_conv-of-another"] = rows.pop(lost)
    (tmp_path / "renamed.yaml").write_text(yaml.safe_dump(rows))
    imported = read(tmp_path / "renamed.yaml")
    assert imported.foreign == ("expanded_conv-of-another",)
    assert [block_key(block) for block in imported.missing] == [lost]
    assert "1 rows are no blocks" in imported.describe()
    assert lost in imported.describe()


STEM = "Conv-input:160x160x3-output:80x80x24"
GOOD = "{mean: 1.0, std: 0.1, count: 5}"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "not a published latency table"),
        (b"\x00\x01\x02", "not a YAML file"),
        (b"\xff\xfe\xfa", "not a YAML file"),
        (b"PK\x03\x04\x14\x00", "not a YAML file"),
        (b"just words", "not a published latency table"),
        (b"- 1\n- 2\n", "not a published latency table"),
        (b"1: 2\n", "not a published latency table"),
        (b"a: [1, 2", "not a YAML file"),
        (b"[" * 5000, "not a YAML file"),
        (b"a: 2020-99-99", "not a YAML file"),
        (b"a: !!int ''", "not a YAML file"),
        (b"a: !!timestamp x", "not a YAML file"),
        (b"a: !!python/object/apply:os.system ['exit 1']", "not a YAML file"),
        (b"other: {mean: 1.0, std: 0.1, count: 5}", "no row is a first layer of ofa-mbv3-w1.2"),
        (f"{STEM}:".encode(), STEM),
        (f"{STEM}: 3.5".encode(), STEM),
        (f"{STEM}: {{std: 0.1, count: 5}}".encode(), "mean"),
        (f"{STEM}: {{mean: 1.0, std: 0.1}}".encode(), "count"),
        (f"{STEM}: {{mean: 1.0, count: 5}}".encode(), "std"),
        (f"{STEM}: {{mean: 1.0, std: -0.1, count: 5}}".encode(), STEM),
        (f"{STEM}: {{mean: 1.0, var: -0.1, count: 5}}".encode(), "var"),
        (f"{STEM}: {{mean: 0.0, std: 0.1, count: 5}}".encode(), "above 0"),
        (f"{STEM}: {{mean: -1.0, std: 0.1, count: 5}}".encode(), STEM),
        (f"{STEM}: {{mean: .nan, std: 0.1, count: 5}}".encode(), STEM),
        (f"{STEM}: {{mean: .inf, std: 0.1, count: 5}}".encode(), STEM),
        (f"{STEM}: {{mean: 1{'0' * 400}, std: 0.1, count: 5}}".encode(), STEM),
        (f"{STEM}: {{mean: fast, std: 0.1, count: 5}}".encode(), STEM),
        (f"{STEM}: {{mean: true, std: 0.1, count: 5}}".encode(), STEM),
        (f"{STEM}: {{mean: 1.0, std: .nan, count: 5}}".encode(), STEM),
        (f"{STEM}: {{mean: 1.0, std: 0.1, count: 0}}".encode(), "count"),
        (f"{STEM}: {{mean: 1.0, std: 0.1, count: 5.5}}".encode(), "count"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, content: bytes, named: str) -> None:
    (tmp_path / "bad.yaml").write_bytes(content)
    with pytest.raises(TableError) as caught:
        read(tmp_path / "bad.yaml")
    message = str(caught.value)
    assert "bad.yaml" in message
    assert named in message
    assert "\n" not in message


def test_files_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"cannot read .*none\.yaml"):
        read(tmp_path / "none.yaml")
    with pytest.raises(TableError, match=r"no files \.yaml, \.yml, \.json, \.csv$"):
        read(tmp_path)
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(TableError, match=r"cannot read .*folder\.yaml"):
        read(tmp_path)


def test_a_truncated_file_is_an_error_or_lacks_rows(tmp_path: Path) -> None:
    write_published(some_rows(SMALL), SMALL, tmp_path / "whole")
    whole = (tmp_path / "whole" / "160.yaml").read_bytes()
    cut = tmp_path / "cut.yaml"
    errors = []
    for length in range(400, len(whole) - 200, 997):
        cut.write_bytes(whole[:length])
        try:
            assert read(cut).missing
        except TableError as error:
            errors.append(str(error))
    assert errors
    assert all("cut.yaml" in error for error in errors)


def test_only_complete_resolutions_are_written(tmp_path: Path) -> None:
    rows = some_rows(SMALL)
    lost = SMALL.block(0, (176,))
    del rows[lost]
    assert write_published(rows, SMALL, tmp_path) == [tmp_path / "160.yaml"]
    del rows[SMALL.block(0, (160,))], rows[SMALL.block(1, (160,))]
    with pytest.raises(TableError, match=f"lacks 1, such as {lost.key}"):
        write_published(rows, SMALL, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_files_are_read_as_json_too_alone_and_in_a_folder(tmp_path: Path) -> None:
    write_published(some_rows(SMALL), SMALL, tmp_path / "yaml")
    (tmp_path / "json").mkdir()
    for path in (tmp_path / "yaml").iterdir():
        rows = yaml.safe_load(path.read_text())
        table = json.dumps(rows, indent="\t")  # tabs, which YAML does not take
        (tmp_path / "json" / f"{path.stem}_lookup_table.json").write_text(table)
    (tmp_path / "json" / "checksums.json").write_text('{"160.yaml": "beside them after a fetch"}')
    wanted = read(tmp_path / "yaml")
    assert read(tmp_path / "json") == wanted
    one = read(tmp_path / "json" / "160_lookup_table.json")
    assert one.table.records == read(tmp_path / "yaml" / "160.yaml").table.records


def test_tables_of_resolutions_that_nobody_trained_at_are_read(tmp_path: Path) -> None:
    space = OFA_MBV3_W1_2.at([96, 256])
    write_published(some_rows(space), space, tmp_path)
    imported = read(tmp_path, OFA_MBV3_W1_2)
    assert not imported.missing
    assert not imported.foreign
    assert {r.blocks[0] for r in imported.table.records} == set(space.distinct_blocks())


@pytest.mark.parametrize(
    ("unit", "factor", "spread"), [("s", 1e-3, "std"), ("us", 1e3, "std"), ("ns", 1e6, "var")]
)
def test_times_in_another_unit_are_refused_until_it_is_stated(
    tmp_path: Path, unit: str, factor: float, spread: str
) -> None:
    """As a phone has them: 10 billion multiply-accumulates a second."""
    blocks: tuple[Block, ...] = SMALL.distinct_blocks()
    rows = {block: Row(max(block.macs, 1e5) / 1e7, 0.01, 100) for block in blocks}
    write_published(rows, SMALL, tmp_path / "ms")
    (tmp_path / unit).mkdir()
    for path in (tmp_path / "ms").iterdir():
        content = yaml.safe_load(path.read_text())
        for row in content.values():
            std = row.pop("std") * factor
            row |= {"mean": row["mean"] * factor, spread: std**2 if spread == "var" else std}
        (tmp_path / unit / path.name).write_text(yaml.safe_dump(content))
    with pytest.raises(TableError, match=f"too (fast|slow) to be true: .*--unit {unit}"):
        read(tmp_path / unit)
    wanted, found = read(tmp_path / "ms"), read(tmp_path / unit, unit=unit)
    assert "their times read as ms" in wanted.describe()
    assert f"their times read as {unit}" in found.describe()
    for theirs, ours in zip(wanted.table.records, found.table.records, strict=True):
        assert theirs.blocks == ours.blocks
        assert ours.statistics.value == pytest.approx(theirs.statistics.value, abs=1)
        assert ours.statistics.high == pytest.approx(theirs.statistics.high, abs=1)
    assert read(tmp_path / unit, unit="ms").unit == "ms"  # who states it is believed


def test_a_unit_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no unit 'sec' of times; "):
        read(tmp_path, unit="sec")


@pytest.mark.parametrize("per_s", [1e8, 1e10, 6e11])
def test_slow_and_fast_devices_need_no_unit(tmp_path: Path, per_s: float) -> None:
    """PyTorch on a Jetson's CPU (as DynamicOFA published), a phone, an A100."""
    blocks: tuple[Block, ...] = SMALL.distinct_blocks()
    rows = {b: Row(max(b.macs, 1e5) / per_s * 1e3, 0, 9) for b in blocks}
    write_published(rows, SMALL, tmp_path)
    assert not read(tmp_path).missing


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.yaml", f"{STEM}: {GOOD}\nb: {GOOD}\n{STEM}: {GOOD}\n", r"a\.yaml:3: .* first in 1$"),
        ("a.yaml", f"{STEM}:\n mean: 1.0\n std: 0\n count: 5\n mean: 9.0\n", "a.yaml:5: .*'mean'"),
        ("a.json", f'{{"{STEM}": {{"mean": 1.0, "mean": 9.0, "std": 0, "count": 5}}}}', "'mean'"),
        ("a.json", f'{{"{STEM}": 1, "{STEM}": 2}}', rf"a\.json: the key '{STEM}' is there twice"),
    ],
)
def test_a_key_that_is_there_twice_is_refused(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(TableError, match=said):
        read(tmp_path / name)
