"""The parser of tegrastats' lines, on recordings of others (see their README)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.runtimes.tegrastats import Power, Tegrastats, Unit, parse_line

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


def read(board: str) -> Tegrastats:
    found = parse_line(RECORDED[board])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("board", "ram", "cores", "memory", "gpu"),
    [
        ("TX1, L4T 28", (3468, 3983), 4, Unit(1, 408), Unit(3, 76)),
        ("TX1", (1179, 3983), 4, Unit(7, 408), Unit(0, 76)),
        ("TX2, L4T 28", (1685, 7854), 6, Unit(0, 1866), Unit(0, 140)),
        ("TX2", (2344, 7852), 6, Unit(4, 1600), Unit(0, 624)),
        ("TX2, not root", (2020, 7852), 6, Unit(0, None), Unit(0, None)),
        ("Nano", (534, 3964), 4, Unit(0, 204), Unit(0, 76)),
        ("Xavier", (14700, 15692), 8, Unit(0, None), Unit(0, None)),
        ("Xavier NX", (4412, 7772), 6, Unit(10, 1600), Unit(62, 306)),
        ("Orin NX", (6334, 15388), 8, Unit(0, 2133), Unit(0, 611)),
        ("AGX Orin, GPU off", (4321, 62801), 12, Unit(0, 2133), Unit(0, 0)),
        ("AGX Orin", (29114, 30697), 12, Unit(1, 2133), Unit(0, 305)),
        ("Orin Nano", (6982, 7620), 6, Unit(18, 3199), Unit(84, 713)),
    ],
)
def test_memory_cores_and_clocks_of_every_board_are_read(
    board: str, ram: tuple[int, int], cores: int, memory: Unit, gpu: Unit
) -> None:
    found = read(board)
    assert (found.ram_used_mb, found.ram_total_mb) == ram
    assert len(found.cpus) == cores
    assert (found.memory, found.gpu) == (memory, gpu)


@pytest.mark.parametrize(
    ("board", "rail", "power"),
    [
        ("TX1", "VDD_IN", Power(2532, 2698)),
        ("TX2, L4T 28", "VDD_WIFI", Power(38, 38)),
        ("TX2", "VDD_4V0_WIFI", Power(0, 0)),
        ("TX2, not root", "VDD_IN", Power(3140, 3208)),
        ("Nano", "POM_5V_IN", Power(1022, 1022)),
        ("Xavier", "SYS5V", Power(3306, 3306)),
        ("Xavier", "GPU", Power(463, 463)),
        ("Orin NX", "VDD_IN", Power(5299, 5299)),
        ("AGX Orin, GPU off", "VDD_GPU_SOC", Power(2340, 2340)),
        ("AGX Orin", "VIN_SYS_5V0", Power(4767, 4767)),
        ("Orin Nano", "VDD_IN", Power(17946, 15710)),
    ],
)
def test_power_is_read_with_and_without_its_unit(board: str, rail: str, power: Power) -> None:
    assert read(board).power_mw[rail] == power


def test_only_rails_are_rails() -> None:
    assert read("TX1, L4T 28").power_mw == {}  # it has SWAP 873/8192MB, and "NC" is not connected
    assert list(read("AGX Orin, GPU off").power_mw) == [
        "VDD_GPU_SOC",
        "VDD_CPU_CV",
        "VIN_SYS_5V0",
        "VDDQ_VDD2_1V8AO",
    ]


def test_cores_that_are_off_are_none() -> None:
    assert read("TX2").cpus == (
        Unit(1, 345),
        None,
        None,
        Unit(1, 345),
        Unit(0, 345),
        Unit(2, 345),
    )
    assert read("Orin NX").cpus[4:] == (None,) * 4


def test_one_clock_for_all_cores_is_that_of_each() -> None:
    assert read("TX1, L4T 28").cpus == (
        Unit(17, 408),
        Unit(13, 408),
        Unit(29, 408),
        Unit(5, 408),
    )


def test_sensors_that_are_off_or_none_are_left_out() -> None:
    assert read("AGX Orin, GPU off").temperatures_c == {
        "CPU": 44.562,
        "Tboard": 32,
        "SOC2": 40.093,
        "Tdiode": 33,
        "SOC0": 41.093,
        "tj": 44.343,
        "SOC1": 41.25,
    }
    assert max(read("Nano").temperatures_c.values()) == 39.5  # not the 100 of PMIC


def test_a_load_that_is_not_told_is_none() -> None:
    """No recording: the words that a Thor and DRIVE OS are said to use."""
    found = parse_line("RAM 9000/125772MB EMC_FREQ @2133 GR3D_FREQ @[314,315,314] cpu@40C")
    assert found is not None
    assert (found.memory, found.gpu) == (Unit(None, 2133), Unit(None, 315))


@pytest.mark.parametrize(
    "line", ["", "tegrastats: command not found", "RAM", "RAM 1/2", "RAM " * 2000]
)
def test_other_lines_are_none(line: str) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize("board", BOARDS)
def test_a_line_that_was_cut_off_says_nothing_new_but_in_its_last_word(board: str) -> None:
    whole, line = read(board), RECORDED[board]
    for end in range(len(line)):
        cut = parse_line(line[:end])
        if cut is None:
            continue
        assert cut.temperatures_c.items() <= whole.temperatures_c.items()
        wrong = [name for name, power in cut.power_mw.items() if power != whole.power_mw[name]]
        assert wrong in ([], list(cut.power_mw)[-1:])


@given(st.sampled_from(LINES) | st.text(), st.data())
def test_no_line_does_more_than_say_nothing(line: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(line)))
    end = data.draw(st.integers(start, len(line)))
    found = parse_line(line[:start] + data.draw(st.text(max_size=20)) + line[end:])
    assert found is None or found.ram_total_mb >= 0


def test_peaks_and_averages_of_jetpack_7_2_are_told_apart_from_what_is_now() -> None:
    line = (
        "RAM 8353/125749MB (lfb 31x4MB) CPU [90%@2601,off] EMC_FREQ 34%@4266 "
        "GR3D_FREQ 87%@[1574,1574,1574] cpu@58.25C/61.75C gpu@56.937C/66.625C "
        "VDD_GPU 37939mW/8660mW/37939mW VIN 124486mW/36487mW/124486mW"
    )
    found = parse_line(line)
    assert found is not None
    assert found.temperatures_c == {"cpu": 58.25, "gpu": 56.937}
    assert found.power_mw == {"VDD_GPU": Power(37939, 8660), "VIN": Power(124486, 36487)}
    shorter = parse_line(
        "RAM 20642/62817MB (lfb 1x2MB) CPU [23%@2201] EMC_FREQ 3%@3199 GR3D_FREQ 0%@[1300,1300] "
        "cpu@52.968C/52.968C gpu@49.5C/50.1C"
    )
    assert shorter is not None
    assert shorter.gpu == Unit(0, 1300)
    assert shorter.temperatures_c == {"cpu": 52.968, "gpu": 49.5}
