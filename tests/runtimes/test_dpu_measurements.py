"""Reading blocks that were timed on a board: a good file, and every way it may be broken."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.errors import FileFormatError
from harness.runtimes.dpu.measurements import COLUMNS, Measured, left_aside, read
from harness.spaces.convolution import Convolution

HEADER = "block_type,cin,h,w,cout,kernel,expand,stride,act,se,hw_ms,stage,load_bytes,save_bytes"
GOOD = "mbconv,24,56,40,24,5,4,1,h_swish,1,0.5,s2,1000,2000"
BROKEN = """
mbconv->pool mbconv->mbconvv mbconv,24->mbconv,999 ,24,56->,,56 ,56,->,5.6, ,56,->,0, ,40,->,-40,
,5,4,->,4,4, ,5,4,->,5,0.5, ,5,4,->,5,nan, ,5,4,->,5,many, ,5,4,->,5,999, h_swish->gelu h_swish->
,1,0.5->,yes,0.5 ,0.5->,0 ,0.5->,-0.5 ,0.5->,inf ,0.5->,nan ,0.5->,half 1000->1e3
,0.5,s2,1000,2000->
"""
cells = st.one_of(
    st.sampled_from([*GOOD.split(","), "conv", "2", "1e400", "nan", "-1", "9" * 400, "9" * 9000]),
    st.text(st.characters(codec="utf-8"), max_size=4),
)
rows = st.lists(cells, max_size=16).map(",".join)


def written(folder: Path, *lines: str) -> Path:
    path = folder / "board.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_rows_are_read_as_blocks(tmp_path: Path) -> None:
    stem, plain = (
        "conv,3,224,224,24,3,0,2,relu,0,0.25,,,",
        "mbconv,8,7,7,16,3,1,2,relu6,0,1e-2,s0,,0",
    )
    first, second, third = read(written(tmp_path, HEADER, GOOD, stem, plain))
    wide = Convolution("mbconv", 56, 40, 24, 96, 24, 5, 1, "h_swish", 24, True)
    assert first == Measured(wide, 0.5, "s2", 1000, 2000)
    image = Convolution("conv", 224, 224, 3, 0, 24, 3, 2, "relu", 0, False)
    assert second == Measured(image, 0.25, "", None, None)
    assert third.block == Convolution("mbconv", 7, 7, 8, 8, 16, 3, 2, "relu6", 0, False)
    assert (third.loaded_bytes, third.saved_bytes) == (None, 0)


def test_fully_connected_layers_and_pooling_are_read_by_all_their_names(tmp_path: Path) -> None:
    rows = [
        "linear,1152,1,1,1536,1,0,1,h_swish,0,1.5,head,,",
        *(f"{name},1536,,,1000,,,,,,1.25,,," for name in ("fc", "dense", "FC")),
        "pool,1152,7,7,1152,,,,,,0.02,,,",
    ]
    found = read(written(tmp_path, HEADER, GOOD, *rows))
    classifier = Convolution("linear", 1, 1, 1536, 0, 1000, 1, 1, "none", 0, False)
    assert [each.block for each in found[1:]] == [
        Convolution("linear", 1, 1, 1152, 0, 1536, 1, 1, "h_swish", 0, False),
        *[classifier] * 3,
        Convolution("pool", 7, 7, 1152, 0, 1152, 1, 1, "none", 0, False),
    ]
    assert [each.latency_ms for each in found] == [0.5, 1.5, 1.25, 1.25, 1.25, 0.02]


@pytest.mark.parametrize(
    "row",
    [
        "linear,1152,7,7,1000,1,0,1,none,0,1.5,,,",  # of a map that is not one pixel
        "fc,1152,1,1,,,,,,,1.5,,,",
        "pool,64,14,14,64,3,0,2,none,0,0.5,,,",  # not over the whole map
    ],
)
def test_what_is_no_such_layer_is_named(tmp_path: Path, row: str) -> None:
    with pytest.raises(FileFormatError, match=r"board\.csv:3: "):
        read(written(tmp_path, HEADER, GOOD, row))


def test_rows_of_other_types_are_skipped_by_choice_only_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path, HEADER, GOOD, *["eltwise,,,,,,,,,,0.1,,,"] * 2, "Concat" + "," * 13)
    with pytest.raises(FileFormatError, match=r"board\.csv:3: .*'eltwise' .*--skip eltwise"):
        read(path)
    with pytest.raises(FileFormatError, match=r"board\.csv:5: .*'Concat'"):
        read(path, ["eltwise"])
    assert len(read(path, ["eltwise", "Concat"])) == 1
    assert left_aside(path, ["eltwise", "Concat", "conv"]) == {"eltwise": 2, "concat": 1}
    with pytest.raises(FileFormatError, match="nothing but rows of types to skip"):
        read(path, ["eltwise", "concat", "mbconv"])


def test_a_file_from_a_spreadsheet_is_read_in_any_order_of_columns(tmp_path: Path) -> None:
    names, values = HEADER.split(",")[:11], GOOD.split(",")[:11]
    path = tmp_path / "sheet.csv"
    text = f"{','.join(reversed(names))}\r\n{','.join(reversed(values))}\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    (found,) = read(path)
    assert (found.block.width, found.latency_ms, found.stage) == (40, 0.5, "")


@pytest.mark.parametrize("change", BROKEN.split())
def test_a_broken_line_is_named(tmp_path: Path, change: str) -> None:
    old, new = change.split("->")
    assert old in GOOD
    path = written(tmp_path, HEADER, GOOD, GOOD.replace(old, new.replace("999", "9" * 400)), GOOD)
    with pytest.raises(FileFormatError, match=r"board\.csv:3: "):
        read(path)


def test_blank_lines_count_as_lines(tmp_path: Path) -> None:
    assert len(read(written(tmp_path, HEADER, "", GOOD, "", ""))) == 1
    with pytest.raises(FileFormatError, match=r"board\.csv:5: "):
        read(written(tmp_path, HEADER, "", GOOD, "", "conv"))


@pytest.mark.parametrize("name", COLUMNS)
def test_a_missing_column_is_named(tmp_path: Path, name: str) -> None:
    lacking = ",".join(column for column in HEADER.split(",") if column != name)
    with pytest.raises(FileFormatError, match=f"lacks the column {name}; it has .*stage"):
        read(written(tmp_path, lacking, GOOD))  # the line is now longer than the header


@pytest.mark.parametrize("content", [b"", b"\n\n", HEADER.encode(), b"\xff\xfe\x00h"])
def test_a_file_without_measurements_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "board.csv"
    path.write_bytes(content)
    with pytest.raises(FileFormatError, match=r"board\.csv"):
        read(path)
    with pytest.raises(FileFormatError, match=r"nowhere\.csv"):
        read(tmp_path / "nowhere.csv")


@given(st.one_of(st.just(HEADER), rows), st.lists(st.one_of(st.just(GOOD), rows), max_size=4))
@example(HEADER, [GOOD])
def test_garbage_is_either_measured_or_refused(
    tmp_path_factory: pytest.TempPathFactory, header: str, lines: list[str]
) -> None:
    path = written(tmp_path_factory.getbasetemp(), header, *lines)
    try:
        found = read(path)
    except FileFormatError as refusal:
        assert "board.csv" in str(refusal)  # noqa: PT017
    else:
        assert found
        assert all(each.latency_ms > 0 for each in found)
        assert all(Convolution.parse(each.block.key) == each.block for each in found)


def test_a_column_that_is_there_twice_is_named(tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEADER},hw_ms", f"{GOOD},9")
    with pytest.raises(FileFormatError, match="two columns are called 'hw_ms'"):
        read(path)
