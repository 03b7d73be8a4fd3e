"""The parser of tegrastats' lines, on recordings of others (see their README)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.runtimes.tegrastats import temperatures_c

BOARDS = (
    "TX1, L4T 28",
    "TX1",
    "TX2, L4T 28",
    "TX2",
    "TX2, not root",
    "Nano",
    "Xavier",
    "Xavier NX",
    "Orin NX",
    "AGX Orin, GPU off",
    "AGX Orin",
    "Orin Nano",
)
LINES = (Path(__file__).parent / "tegrastats_logs" / "lines.txt").read_text().splitlines()
RECORDED = dict(zip(BOARDS, LINES, strict=True))


def read(board: str) -> dict[str, float]:
    found = temperatures_c(RECORDED[board])
    assert found is not None
    return found


def test_sensors_that_are_off_or_none_are_left_out() -> None:
    assert read("AGX Orin, GPU off") == {
        "CPU": 44.562,
        "Tboard": 32,
        "SOC2": 40.093,
        "Tdiode": 33,
        "SOC0": 41.093,
        "tj": 44.343,
        "SOC1": 41.25,
    }
    assert max(read("Nano").values()) == 39.5  # not the 100 of PMIC


@pytest.mark.parametrize(
    "line", ["", "tegrastats: command not found", "RAM", "RAM 1/2", "RAM " * 2000]
)
def test_other_lines_are_none(line: str) -> None:
    assert temperatures_c(line) is None


@pytest.mark.parametrize("board", BOARDS)
def test_a_line_that_was_cut_off_says_nothing_new(board: str) -> None:
    whole, line = read(board), RECORDED[board]
    for end in range(len(line)):
        cut = temperatures_c(line[:end])
        assert cut is None or cut.items() <= whole.items()


@given(st.sampled_from(LINES) | st.text(), st.data())
def test_no_line_does_more_than_say_nothing(line: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, len(line)))
    found = temperatures_c(line[:start] + data.draw(st.text(max_size=20)) + line[end:])
    assert found is None or all(-60 <= celsius <= 200 for celsius in found.values())


def test_peaks_of_jetpack_7_2_are_told_apart_from_what_is_now() -> None:
    line = (
        "RAM 8353/125749MB (lfb 31x4MB) CPU [90%@2601,off] EMC_FREQ 34%@4266 "
        "GR3D_FREQ 87%@[1574,1574,1574] cpu@58.25C/61.75C gpu@56.937C/66.625C "
        "VDD_GPU 37939mW/8660mW/37939mW VIN 124486mW/36487mW/124486mW"
    )
    assert temperatures_c(line) == {"cpu": 58.25, "gpu": 56.937}
    shorter = (
        "RAM 20642/62817MB (lfb 1x2MB) CPU [23%@2201] EMC_FREQ 3%@3199 GR3D_FREQ 0%@[1300,1300] "
        "cpu@52.968C/52.968C gpu@49.5C/50.1C"
    )
    assert temperatures_c(shorter) == {"cpu": 52.968, "gpu": 49.5}
