"""The clocks of what does the work, over made trees of the kernel's files."""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from harness.devices.conditions import Fastest, Limits, doubts_between
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
        ({}, None),
    ],
)
def test_mains_power_is_told(
    tmp_path: Path, supplies: dict[str, tuple[str, str | None]], told: str | None
) -> None:
    for name, (kind, online) in supplies.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "type").write_text(f"{kind}\n")
        if online is not None:
            (tmp_path / name / "online").write_text(f"{online}\n")
    assert clocks.system.charging(str(tmp_path / "*")) == told
