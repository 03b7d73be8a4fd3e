"""`harness devices check` and `add` on a phone, and where they stop."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.device.device import Device
from harness.errors import DeviceFull, DeviceNotFound, HarnessError, MissingExtra, UsageError
from harness.pipeline.add import add_phone
from harness.pipeline.check import check
from harness.runtimes.conversion.cache import keep
from harness.runtimes.conversion.faithful import SAMPLE, Comparison
from harness.transports.adb import AdbSection
from harness.transports.adb.choice import Wanted
from harness.transports.adb.transport import AdbTransport
from tests.real.conftest import BACKENDS, STAND_IN, told, write_profile
from tests.real.real_adbd import RealAdbd


@pytest.fixture
def nearly_full(tmp_path: Path) -> Iterator[RealAdbd]:
    adbd = RealAdbd(tmp_path / "phone", room_mb=3)
    adbd.start()
    yield adbd
    adbd.stop()


def edited(root: Path, old: str, new: str) -> Device:
    path = root / "devices" / "loopback-phone.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    return Device.find("loopback-phone", root)


def stops_at(device: Device, error: type[HarnessError], match: str) -> list[str]:
    """The steps that were made before."""
    steps: list[str] = []
    with pytest.raises(error, match=match):
        steps.extend(step.name for step in check(device))
    return steps


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_whole_way_is_walked(tmp_path: Path, phone: RealAdbd, backend: str) -> None:
    large, _ = SAMPLE  # is compared in tests/runtimes/test_lowering.py, which takes as long again
    keep(Comparison().path(large), b"")
    write_profile(tmp_path, phone, backend)
    found = told(Device.find("loopback-phone", tmp_path))
    assert found["reached"] == "adb-LOOPBACK1"
    assert "MB free" in found["space"]
    assert found["precision"] == "float32"
    assert " in 0." in found["a model runs"]
    assert found["battery_percent"] == "83.0"


def test_another_model_stops_at_the_phone(tmp_path: Path, phone: RealAdbd) -> None:
    write_profile(tmp_path, phone, "direct")
    device = edited(tmp_path, '"Loopback"', '"Pixel 9"')
    steps = stops_at(device, DeviceNotFound, r"'reach it': no attached phone is model Pixel 9")
    assert steps == ["adb"]


def test_no_runner_says_what_to_download_and_where_to_put_it(
    tmp_path: Path, phone: RealAdbd
) -> None:
    write_profile(tmp_path, phone, "direct")
    device = edited(tmp_path, str(STAND_IN), str(tmp_path / "nowhere"))
    pattern = r"'benchmark_model': there is no benchmark_model at .*nowhere: download https://"
    assert stops_at(device, MissingExtra, pattern) == ["adb", "reached", "space"]


def test_a_runner_for_other_hardware_says_so(tmp_path: Path, phone: RealAdbd) -> None:
    runner = tmp_path / "runner"
    runner.write_bytes(b"\x7fELF\x02\x01\x01" + bytes(57))
    write_profile(tmp_path, phone, "direct")
    device = edited(tmp_path, str(STAND_IN), str(runner))
    assert "reached" in stops_at(device, HarnessError, r"'a model that runs': .*benchmark_model")


def test_a_full_phone_stops_at_space_and_keeps_no_part_of_a_file(
    tmp_path: Path, nearly_full: RealAdbd
) -> None:
    write_profile(tmp_path, nearly_full, "direct")
    device = Device.find("loopback-phone", tmp_path)
    assert stops_at(device, DeviceFull, r"'space': only 3 MB are free") == ["adb", "reached"]
    large = tmp_path / "large"
    large.write_bytes(os.urandom(5 << 20))
    transport = AdbTransport(Wanted({}, nearly_full.serial, "direct"))
    for _ in range(2):
        with pytest.raises(DeviceFull, match="free some space"):
            transport.push(large)
    left = transport.run(["ls", "/data/local/tmp/harness"], idle_timeout_s=5, deadline_s=5)
    assert left.stdout == b"harness.local.lock\n"  # which is empty
    transport.close()


def test_a_profile_is_written_from_the_phone_at_hand(tmp_path: Path, phone: RealAdbd) -> None:
    path = add_phone("my-phone", phone.serial, tmp_path)
    assert tomllib.loads(path.read_text())["match"] == {"model": ["Loopback"]}
    device = Device.find("my-phone", tmp_path)
    assert device.profile.title == "harness tests Loopback"
    assert device.way.settings == AdbSection(serial=(phone.serial,))
    with pytest.raises(UsageError, match="is there already"):
        add_phone("my-phone", phone.serial, tmp_path)
    with pytest.raises(UsageError, match="no name of a device"):
        add_phone("../x", phone.serial, tmp_path)


@pytest.mark.parametrize("model", ['"]; x = "', "a*[b]?", "\\ \x7f ü", "'''"])
def test_what_a_phone_calls_itself_cannot_break_its_profile(
    tmp_path: Path, phone: RealAdbd, model: str
) -> None:
    properties = phone.scripts / "properties"
    before = properties.read_text()
    properties.write_text(before.replace("=Loopback\n", f"={model}\n"))
    try:
        add_phone("mine", phone.serial, tmp_path)
        device = Device.find("mine", tmp_path)
        with device.reach():  # it still matches
            pass
    finally:
        properties.write_text(before)


def test_a_stop_is_one_line_on_the_terminal(tmp_path: Path, phone: RealAdbd) -> None:
    write_profile(tmp_path, phone, "direct")
    edited(tmp_path, '"Loopback"', '"Pixel 9"')
    command = [sys.executable, "-m", "harness", "devices", "check", "loopback-phone"]
    ended = subprocess.run(
        [*command, "--root", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 4
    (line,) = ended.stderr.splitlines()
    assert line.startswith("harness: stopped at 'reach it'")
