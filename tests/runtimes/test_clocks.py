"""The clocks of what does the work, over made trees of the kernel's files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from harness.device.conditions import Fastest, Limits, doubts_between
from harness.runtimes import board
from harness.runtimes.agent import meters

AGENT = Path(board.__file__).parent / "agent"
sys.path.insert(0, str(AGENT))  # as on the target
clocks: Any = import_module("clocks")
sys.path.remove(str(AGENT))


@pytest.fixture
def two_cpus() -> Iterator[tuple[int, int]]:
    """Another processor, and the one that we are pinned to."""
    allowed = os.sched_getaffinity(0)
    if len(allowed) < 2:
        pytest.skip("needs two processors")
    os.sched_setaffinity(0, {max(allowed)})
    yield min(allowed), max(allowed)
    os.sched_setaffinity(0, allowed)


def says(folder: Path, cpu: int, now_mhz: float, limit_mhz: float = 2304, top: float = 2304) -> str:
    """Write what the kernel says of a processor; the pattern of its files."""
    policy = folder / f"cpu{cpu}"
    policy.mkdir(exist_ok=True)
    values = {
        "scaling_cur_freq": now_mhz,
        "scaling_max_freq": limit_mhz,
        "cpuinfo_max_freq": top,
    }
    for name, mhz in values.items():
        (policy / name).write_text(f"{round(mhz * 1000)}\n")
    (policy / "scaling_governor").write_text("schedutil\n")
    return str(folder / "cpu%d" / "%s")


def worked(found: Any) -> dict[str, Any]:
    found.note()
    told: dict[str, Any] = found.conditions()
    found._due_s = 0.0  # a later visit
    return told


@pytest.mark.parametrize(
    ("other_mhz", "own_mhz", "doubted"),
    [((1800, 1800), (2304, 1200), True), ((1800, 408), (2304, 2304), False)],
)
def test_the_clock_is_that_of_the_processor_that_works(
    tmp_path: Path,
    two_cpus: tuple[int, int],
    other_mhz: tuple[float, float],
    own_mhz: tuple[float, float],
    doubted: bool,
) -> None:
    """As on RK3588: an A76 that is slowed down, and an A55 that only rests."""
    other, own = two_cpus
    readings = []
    found = clocks.WorkClocks(cpu_file=says(tmp_path, own, own_mhz[0]))
    for moment in (0, 1):
        says(tmp_path, other, other_mhz[moment], 1800, 1800)
        says(tmp_path, own, own_mhz[moment])
        readings.append(worked(found))
    doubts = doubts_between(readings, Fastest.of(readings), Limits())
    assert doubts == (("processor slowed down below 90% of its frequency",) if doubted else ())


def test_the_kernels_limit_tells_what_momentary_clocks_do_not(
    tmp_path: Path, two_cpus: tuple[int, int]
) -> None:
    own = two_cpus[1]
    found = clocks.WorkClocks(cpu_file=says(tmp_path, own, 1100))
    free = worked(found)
    says(tmp_path, own, 1100, limit_mhz=1152)
    held = worked(found)
    assert (free["frequency_share"], held["frequency_share"]) == (1, 0.5)
    assert doubts_between([held], Fastest.of([free, held]), Limits())


def test_among_cores_of_several_kinds_nobody_knows_which_clock_is_that_of_the_work(
    tmp_path: Path, two_cpus: tuple[int, int]
) -> None:
    os.sched_setaffinity(0, two_cpus)
    says(tmp_path, two_cpus[0], 1800, 1800, 1800)
    told = worked(clocks.WorkClocks(cpu_file=says(tmp_path, two_cpus[1], 408)))
    assert told["frequency_mhz"] is None
    assert told["frequency_share"] == 1


def test_a_resting_clock_is_not_told(tmp_path: Path, two_cpus: tuple[int, int]) -> None:
    found = clocks.WorkClocks(cpu_file=says(tmp_path, two_cpus[1], 2304))
    assert found.conditions()["frequency_mhz"] is None
    assert worked(found)["frequency_mhz"] == 2304
    says(tmp_path, two_cpus[1], 408)
    assert found.conditions()["frequency_mhz"] is None


def test_a_jetsons_clock_is_read_when_its_gpu_has_worked(tmp_path: Path) -> None:
    clock = tmp_path / "sys/class/devfreq/17000000.gpu/cur_freq"
    clock.parent.mkdir(parents=True)
    found = clocks.WorkClocks(meters.JetsonGpu("nvidia,tegra234", str(tmp_path)))
    readings = []
    for hertz in (1800_000_000, 400_000_000):
        clock.write_text(f"{hertz}\n")
        readings.append(worked(found))
    assert [reading["gpu_clock_mhz"] for reading in readings] == [1800, 400]
    fastest = Fastest.of(readings)
    assert doubts_between(readings[:1], fastest, Limits()) == ()
    slow = "GPU slowed down below 90% of its clock"
    assert doubts_between(readings[1:], fastest, Limits()) == (slow,)


VISIT = """
import sys
sys.path.insert(0, sys.argv[1])
from clocks import WorkClocks
from operations import Agent
from timing import CpuRuntime
agent, clock = Agent(), sys.argv[3]
agent.runtime = CpuRuntime({"threads": 1})
agent.clocks = WorkClocks(cpu_file=sys.argv[2])
agent.loaded[1] = None, lambda: open(clock, "w").write("1200000"), {}  # slows down when it works
agent.visit({"id": 1, "warmup": 1, "runs": 2})
open(clock, "w").write("2304000")
print(agent.conditions({})["frequency_mhz"], agent.conditions({})["frequency_mhz"])
"""


def test_the_agent_reads_clocks_right_after_visits(
    tmp_path: Path, two_cpus: tuple[int, int]
) -> None:
    pattern = says(tmp_path, two_cpus[1], 2304)
    clock = tmp_path / f"cpu{two_cpus[1]}" / "scaling_cur_freq"
    argv = [sys.executable, "-c", VISIT, str(AGENT), pattern, str(clock)]
    assert subprocess.check_output(argv, text=True).split() == ["1200.0", "None"]


@pytest.mark.parametrize(
    ("supplies", "told"),
    [
        ({"AC": ("Mains", "1"), "BAT0": ("Battery", None)}, "yes"),
        ({"AC": ("Mains", "0"), "BAT0": ("Battery", None)}, "no"),
        ({"AC": ("Mains", "0"), "ucsi": ("USB", "1")}, "yes"),
        ({"BAT0": ("Battery", None), "ucsi": ("USB", "0")}, "no"),
        ({"ucsi-source-psy-1": ("USB", "0"), "ucsi-source-psy-2": ("USB", "0")}, None),  # a board
        ({"ucsi": ("USB", "0"), "hidpp_battery_0 of a Device": ("Battery", "1")}, None),  # a mouse
        ({}, None),
    ],
)
def test_mains_power_is_told(
    tmp_path: Path, supplies: dict[str, tuple[str, str | None]], told: str | None
) -> None:
    for name, (kind, online) in supplies.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(f"{kind}\n")
        (tmp_path / name / "scope").write_text("Device\n" if "Device" in name else "System\n")
        if online is not None:
            (tmp_path / name / "online").write_text(f"{online}\n")
    assert clocks.system.charging(str(tmp_path / "*")) == told


ARM = """processor\t: {number}
BogoMIPS\t: 166.66
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x{variant}
CPU part\t: 0x{part}
CPU revision\t: {revision}
"""
A72 = ARM.format(number=0, variant=0, part="d08", revision=3)
NUMBERS = "implementer 0x41 part 0xd08 variant 0x0 revision 3"


@pytest.mark.parametrize(
    ("cpuinfo", "board", "name"),
    [
        (A72, "", NUMBERS),
        (
            A72.replace("0x41", "0x51").replace("0xd08", "0xc00"),
            "",
            "implementer 0x51 part 0xc00 variant 0x0 revision 3",
        ),
        (A72 + "\n" + A72.replace("processor\t: 0", "processor\t: 1"), "", NUMBERS),  # once
        (  # an RK3588 has two kinds
            f"{A72}\n{ARM.format(number=1, variant=2, part='d05', revision=0)}",
            "",
            f"implementer 0x41 part 0xd05 variant 0x2 revision 0 + {NUMBERS}",
        ),
        (  # all of an architecture are called so
            "processor\t: 0\nmodel name\t: ARMv8 Processor rev 3 (v8l)\n" + A72[13:],
            "NVIDIA Jetson TX2\0",
            f"NVIDIA Jetson TX2, {NUMBERS}",
        ),
        (
            A72 + "\nModel\t\t: Raspberry Pi 4 Model B Rev 1.2\n",
            "x",
            "Raspberry Pi 4 Model B Rev 1.2",
        ),
        ("processor : 0\nisa : rv64imafdc\nuarch : sifive,u74-mc\n", "", "uarch sifive,u74-mc"),
        ("processor\t: 0\nmodel\t\t: 79\nmodel name\t: Intel(R) Xeon(R)\n", "", "Intel(R) Xeon(R)"),
    ],
)
def test_processors_without_names_are_told_apart(
    tmp_path: Path, cpuinfo: str, board: str, name: str
) -> None:
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    (tmp_path / "model").write_text(board)
    found = clocks.system.processor(str(tmp_path / "cpuinfo"), str(tmp_path / "model"))
    processors = f"{os.uname().machine}, {os.cpu_count()} processors"
    assert found == f"{name}, {processors}"


def test_the_agents_temperature_is_no_zones_that_happens_to_be_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a laptop, whose fan's zone stays cool; and on one where nothing else is told."""
    sys.path.insert(0, str(AGENT))
    operations: Any = import_module("operations")
    sys.path.remove(str(AGENT))
    asked = partial(operations.meters.conditions, root=str(tmp_path))
    read = operations.system.read_number
    monkeypatch.setattr(operations.meters, "conditions", asked)
    monkeypatch.setattr(  # as the agent did
        operations.system, "read_number", lambda path, *how: read(f"{tmp_path}{path}", *how)
    )
    zones = {0: ("acpitz", 27_800), 6: ("x86_pkg_temp", 97_000)}
    for number, (kind, millidegrees) in zones.items():
        folder = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        folder.mkdir(parents=True)
        (folder / "type").write_text(f"{kind}\n")
        (folder / "temp").write_text(f"{millidegrees}\n")
    agent = operations.Agent()
    assert agent.conditions({})["temperature_c"] == 97
    assert Limits(max_temperature_c=70).too_hot(agent.conditions({}))
    (tmp_path / "sys/class/thermal/thermal_zone6/type").write_text("iwlwifi_1\n")
    assert agent.conditions({})["temperature_c"] is None
    assert Limits(max_temperature_c=70).unheld(agent.conditions({}))


def test_what_is_done_for_us_between_two_readings_is_no_other_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a Jetson, whose programs are asked for the power mode: here for 3 s, on two cores."""
    seconds = iter(  # the time; busy: in all, on our processor, by us
        [(0, 0, 0, 0), (1, 1, 1, 1), (4, 7, 4, 1), (5, 8.5, 5, 2), (5.1, 8.6, 5.1, 2.1)]
    )
    monkeypatch.setattr(clocks.system, "processor_seconds", lambda: next(seconds))
    others = clocks.system.OtherPrograms()
    assert others.conditions()["other_cpus"] == 0
    others.leave_out()
    assert others.conditions()["other_cpus"] == 0.5
    assert others.conditions()["other_cpus"] == pytest.approx(0.5 / 1.1, abs=0.001)  # since longer


BUSY = "import time; end = time.process_time() + 1\nwhile time.process_time() < end: pass"


def test_what_others_do_on_our_processor_is_told_apart(two_cpus: tuple[int, int]) -> None:
    others = clocks.system.OtherPrograms()
    pinned = f"import os; os.sched_setaffinity(0, {{{two_cpus[1]}}})\n{BUSY}"
    subprocess.run([sys.executable, "-c", pinned], check=True)
    told = others.conditions()
    assert told["other_share_here"] > 0.5
    assert told["other_cpus"] / os.cpu_count() == pytest.approx(told["other_share"], abs=0.001)
