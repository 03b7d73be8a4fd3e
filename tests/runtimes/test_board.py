"""What boards said of themselves, recorded (board_recordings/README.md names the sources)."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from harness.runtimes.board import (
    CLOCKS,
    CONDITIONS,
    FACTS,
    describe_conditions,
    describe_facts,
    read_conditions,
    read_facts,
)
from harness.transports.local import LocalTransport

RECORDINGS = Path(__file__).with_name("board_recordings")


def recorded(name: str) -> str:
    """As `ask` hands it on."""
    return (RECORDINGS / f"{name}.txt").read_text().strip()


def facts(**answers: str) -> dict[str, str]:
    return describe_facts(dict.fromkeys(FACTS, "") | answers)


@pytest.mark.parametrize(
    ("name", "mode"), [("nano", "5W"), ("xavier", "MAXN"), ("thor", "MAXN"), ("orin-nano", "25W")]
)
def test_power_mode(name: str, mode: str) -> None:
    assert facts(power_mode=recorded(f"nvpmodel-{name}")) == {"power_mode": mode}


@pytest.mark.parametrize(
    ("name", "locked"), [("nano", "on"), ("orin", "off"), ("orin-nano", "off")]
)
def test_locked_clocks(name: str, locked: str) -> None:
    assert facts(jetson_clocks=recorded(f"jetson_clocks-{name}")) == {"jetson_clocks": locked}


def test_a_gpu_that_may_slow_down_is_not_locked() -> None:
    answer = recorded("jetson_clocks-nano").replace("GPU MinFreq=614400000", "GPU MinFreq=76800000")
    assert facts(jetson_clocks=answer) == {"jetson_clocks": "off"}


@pytest.mark.parametrize("unseen", ["GPU", "cpu"])
def test_clocks_are_not_locked_where_only_some_of_them_were_seen(unseen: str) -> None:
    lines = recorded("jetson_clocks-nano").splitlines()
    answer = "\n".join(line for line in lines if not line.startswith(unseen))
    assert facts(jetson_clocks=answer) == {"jetson_clocks": "unknown"}
    unlocked = answer.replace("MinFreq=921600", "MinFreq=102000").replace(
        "MinFreq=6144", "MinFreq=1"
    )
    assert facts(jetson_clocks=unlocked) == {"jetson_clocks": "off"}


@pytest.mark.parametrize("gpu", ["17000000.gp10b", "57000000.gpu", "gpu-gpc-0"])
def test_clocks_are_read_from_the_kernels_files_where_jetson_clocks_may_not_be_asked(
    gpu: str, tmp_path: Path
) -> None:
    (tmp_path / "jetson_clocks").write_text("#!/bin/sh\n")
    (tmp_path / "jetson_clocks").chmod(0o755)
    for folder, lowest, highest in (
        ("devices/system/cpu/cpu0/cpufreq", "scaling_min_freq", "scaling_max_freq"),
        (f"class/devfreq/{gpu}", "min_freq", "max_freq"),
    ):
        (tmp_path / "sys" / folder).mkdir(parents=True)
        for name in (lowest, highest):
            (tmp_path / "sys" / folder / name).write_text("1300500\n")
    script = CLOCKS.replace("/sys/", f"{tmp_path}/sys/").replace("$(id -u)", "1000")
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["sh", "-c", script]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert facts(jetson_clocks=told.stdout) == {"jetson_clocks": "on"}


def test_a_processor_that_is_off_does_not_unlock_the_clocks() -> None:
    line = "cpu3: Online=0 Governor=schedutil MinFreq="
    answer = recorded("jetson_clocks-nano").replace(f"{line}921600", f"{line}102000")
    assert facts(jetson_clocks=answer) == {"jetson_clocks": "on"}


@pytest.mark.parametrize(("name", "release"), [("r32", "R32.5.1"), ("r39", "R39.2.1")])
def test_release(name: str, release: str) -> None:
    assert facts(l4t=recorded(f"nv_tegra_release-{name}")) == {"l4t": release}


def test_packages() -> None:
    answer = recorded("packages-orin-nano").replace("\t", " ")  # the form that we ask for
    assert facts(packages=answer) == {"jetpack": "7.2.1-b49", "tensorrt": "10.16.2.10-1+cuda13.2"}


def test_what_is_not_understood_is_left_out() -> None:
    assert (
        facts(
            l4t="# something else",
            power_mode="NVPM ERROR: no power mode is set",
            jetson_clocks="Error! unsupported SOC",
            packages="dpkg-query: no packages found",
        )
        == {}
    )


@pytest.mark.parametrize(
    ("answer", "now", "since_start"),
    [
        ("throttled=0x0", "no", "no"),
        ("throttled=0x50000", "no", "under-voltage, throttled"),
        ("throttled=0x50005", "under-voltage, throttled", "under-voltage, throttled"),
        ("throttled=0x80008", "temperature limit", "temperature limit"),
    ],
)
def test_throttling_of_a_raspberry_pi(answer: str, now: str, since_start: str) -> None:
    expected = {"throttled": now, "throttled_since_start": since_start}
    assert describe_conditions({"throttled": answer}) == expected


def test_no_vcgencmd_no_conditions() -> None:
    assert describe_conditions(dict.fromkeys(CONDITIONS, "")) == {}


def test_what_somebody_may_change_while_we_measure_is_told_each_time() -> None:
    answers = dict.fromkeys(CONDITIONS, "") | {
        "power_mode": recorded("nvpmodel-nano"),
        "jetson_clocks": recorded("jetson_clocks-nano"),
    }
    assert describe_conditions(answers) == {"power_mode": "5W", "jetson_clocks": "on"}


def test_programs_of_boards_are_really_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With stand-ins that print what boards printed; what belongs to this machine may be there."""
    says = {
        "nvpmodel": recorded("nvpmodel-nano"),
        "jetson_clocks": recorded("jetson_clocks-nano"),
        "vcgencmd": "throttled=0x50005",
        "id": "0",
    }
    for name, text in says.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = read_facts(LocalTransport())
    assert (found["power_mode"], found["jetson_clocks"]) == ("5W", "on")
    assert read_conditions(LocalTransport())["throttled"] == "under-voltage, throttled"


def test_a_computer_that_is_no_board_answers_quickly() -> None:
    if Path("/proc/device-tree/model").exists():
        pytest.skip("this machine is a board")
    start = time.perf_counter()
    assert read_facts(LocalTransport()) == {}
    assert read_conditions(LocalTransport()) == {}
    assert time.perf_counter() - start < 5
