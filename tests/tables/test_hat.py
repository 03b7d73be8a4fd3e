"""HAT's published latencies: whole encoders and decoders, known by means over their layers."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TableError, UsageError
from harness.spaces.digits import DIGITS
from harness.tables.hat import alike, read_hat
from harness.tables.table import Table
from tests.hat_rows import COLUMNS, SPACE, archs, row, times_ms, write


def test_each_network_has_the_sums_and_the_time_of_its_row(tmp_path: Path) -> None:
    networks = archs(40)
    path = write(tmp_path / "pi.csv", [row(arch) for arch in networks])
    found = read_hat([path], SPACE, "pi-published", "theirs")
    assert found.dirty == ()
    known = {}
    for record in found.table.select("anchor", "wall", "published"):
        macs = sum(block.macs for block in record.blocks)
        known[macs, sum(block.params for block in record.blocks)] = record.statistics.value / 1e6
    for arch in networks:
        blocks = SPACE.blocks(arch)
        key = sum(block.macs for block in blocks), sum(block.params for block in blocks)
        assert known[key] == pytest.approx(sum(times_ms(arch)), rel=1e-5)


def test_encoders_and_decoders_are_kept_apart_too(tmp_path: Path) -> None:
    (arch,) = archs(1)
    path = write(tmp_path / "pi.csv", [row(arch)])
    table = read_hat([path], SPACE, "pi-published", "theirs").table
    parts = [
        record.statistics.value / 1e6
        for part in ("encoder", "decoder")
        for record in table.select("network", "wall", f"published-{part}")
    ]
    assert parts == pytest.approx(times_ms(arch), rel=1e-5)
    table.save(tmp_path / "table.jsonl")
    loaded = Table.load(tmp_path / "table.jsonl")
    assert set(loaded.records) == set(table.records)
    assert loaded.source == "theirs"


def test_encoders_far_slower_than_others_are_named_and_set_aside(tmp_path: Path) -> None:
    rows = [row(arch) for arch in archs(30)]
    encoder = COLUMNS.index("latency_mean_encoder")
    for number in (4, 9):
        rows[number][encoder] *= 2
    found = read_hat([write(tmp_path / "pi.csv", rows)], SPACE, "pi-published", "theirs")
    assert [each.line for each in found.dirty] == ["pi.csv:6", "pi.csv:11"]
    assert "2 rows set aside" in found.describe()
    assert "pi.csv:6, pi.csv:11" in found.describe()
    aside = found.table.campaigns["published"]["set_aside"]
    assert [text.split(": ")[0] for text in aside] == ["pi.csv:6", "pi.csv:11"]


def test_a_network_that_is_there_twice_has_the_mean_of_both_in_its_interval(tmp_path: Path) -> None:
    (arch,) = archs(1)
    path = write(tmp_path / "pi.csv", [row(arch), row(arch, noise=1.2)])
    (record,) = read_hat([path], SPACE, "p-published", "theirs").table.select(
        "anchor", "wall", "published"
    )
    total = sum(times_ms(arch))
    assert record.statistics.visits == 2
    assert record.statistics.value / 1e6 == pytest.approx(1.1 * total, rel=1e-5)
    assert record.statistics.low / 1e6 <= total * 1.0001
    assert record.statistics.high / 1e6 >= 1.1999 * total


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("encoder_embed_dim", "wide", "no number encoder_embed_dim"),
        ("encoder_embed_dim", "0", "no whole number above 0"),
        ("encoder_embed_dim", "512.5", "no whole number above 0"),
        ("encoder_layer_num", "1e99", "encoder_layer_num is 1e+99"),
        ("decoder_ffn_embed_dim_avg", "700", "have no such mean"),
        ("decoder_self_attention_heads_avg", "nan", "decoder_self_attention_heads_avg is nan"),
        ("latency_mean_decoder", "-1", "latency_mean_decoder is -1"),
        ("latency_mean_encoder", "0", "a latency of 0 ms"),
        ("latency_std_encoder", "inf", "latency_std_encoder is inf"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(
    tmp_path: Path, column: str, value: str, said: str
) -> None:
    path = write(tmp_path / "pi.csv", [row(arch) for arch in archs(5)])
    lines = path.read_text().splitlines()
    cells = lines[3].split(",")
    cells[COLUMNS.index(column)] = value
    lines[3] = ",".join(cells)
    path.write_text("\n".join(lines))
    with pytest.raises(TableError, match=r"pi\.csv:4: ") as raised:
        read_hat([path], SPACE, "pi-published", "theirs")
    assert said in str(raised.value)


def test_other_files_and_spaces_are_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"cannot read .*none\.csv"):
        read_hat([tmp_path / "none.csv"], SPACE, "p-published", "theirs")
    with pytest.raises(TableError, match="no network is in it"):
        read_hat([write(tmp_path / "empty.csv", [])], SPACE, "p-published", "theirs")
    with pytest.raises(UsageError, match="hat-wmt14-ende, not digits"):
        read_hat([write(tmp_path / "empty.csv", [])], DIGITS, "p-published", "theirs")


@given(st.lists(st.sampled_from([512, 1024, 2048, 3072]), min_size=1, max_size=6))
def test_layers_of_any_sum_are_found_again_as_alike_as_there_are(layers: list[int]) -> None:
    choices = (512, 1024, 2048, 3072)
    found = alike(sum(layers), len(layers), choices)
    assert found is not None
    assert sum(found) == sum(layers)
    assert sum(size**2 for size in found) <= sum(size**2 for size in layers)
