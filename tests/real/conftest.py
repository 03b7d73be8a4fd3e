"""Daemons that several tests share, and the profiles by which harness reaches them."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.words.check import describe_step
from harness.device.device import Device
from harness.pipeline.check import check
from tests.real.real_adbd import RealAdbd
from tests.real.real_sshd import RealSshd

STAND_IN = Path(__file__).with_name("benchmark_model")
BACKENDS = ("direct", "server")


@pytest.fixture(scope="session")
def phone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealAdbd]:
    """This computer behind a real adbd."""
    adbd = RealAdbd(tmp_path_factory.mktemp("phone"))
    adbd.start()
    yield adbd
    adbd.stop()


@pytest.fixture(scope="session")
def _sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealSshd]:
    folder = tmp_path_factory.mktemp("board")
    sshd = RealSshd(folder / "server", folder / "client")
    sshd.start()
    yield sshd
    sshd.stop()


@pytest.fixture
def board(_sshd: RealSshd, monkeypatch: pytest.MonkeyPatch) -> RealSshd:
    """This computer behind a real sshd, which all tests share."""
    be_client(_sshd, monkeypatch)
    return _sshd


@pytest.fixture
def own_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealSshd]:
    """One that a test may mistreat."""
    sshd = RealSshd(tmp_path / "server", tmp_path / "client")
    be_client(sshd, monkeypatch)
    sshd.start()
    yield sshd
    sshd.stop()


def be_client(sshd: RealSshd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Use the configuration and keys that know this server, and no others."""
    monkeypatch.setenv("HOME", str(sshd.client))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


@pytest.fixture(scope="session", autouse=True)
def _hanging_up_ends_programs() -> Iterator[None]:
    """Also where the tests themselves were started by nohup, which daemons would inherit."""
    before = signal.signal(signal.SIGHUP, lambda *_: None)  # unlike ignoring, it is not inherited
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.fixture(scope="session", autouse=True)
def _own_adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """An adb server on a port and with keys of its own; it is started by whoever needs it.

    By the adb that adbutils brings, where it brings one: constraints.txt has its version, and not
    that of an adb installed beside it.
    """
    import adbutils

    home = tmp_path_factory.mktemp("android")
    brought = Path(adbutils.__file__).with_name("binaries") / "adb"
    with pytest.MonkeyPatch.context() as patch:
        if brought.exists():
            patch.setenv("ADBUTILS_ADB_PATH", str(brought))
        patch.setenv("ANDROID_ADB_SERVER_PORT", str(20_000 + os.getpid() % 10_000))
        patch.setenv("ANDROID_USER_HOME", str(home))
        patch.setenv("XDG_CONFIG_HOME", str(home))
        patch.setenv("ADB_USB", "0")  # with them it takes 3 s to start
        patch.setenv("ADB_MDNS", "0")
        patch.delenv("ANDROID_SERIAL", raising=False)
        yield
        subprocess.run([adbutils.adb_path(), "kill-server"], capture_output=True, check=False)


def told(device: Device) -> dict[str, str]:
    """What is said of each step on the way to a device."""
    return {step.name: describe_step(step) for step in check(device)}


def write_profile(
    root: Path,
    phone: RealAdbd,
    backend: str,
    wait_s: float = 60,
    delegate: str = "default",
    second: RealAdbd | None = None,
) -> None:
    """The device `loopback-phone`: one thread on the last processor, short invocations."""
    serials = [phone.serial] if second is None else [phone.serial, second.serial]
    folder = root / "devices"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "loopback-phone.toml").write_text(
        f"""
title = "This computer behind a real adbd"
transport = "adb"
runtime = "benchmark_model"

[match]
model = "Loopback"

[adb]
serial = {serials}
backend = "{backend}"
wait_s = {wait_s}

[benchmark_model]
path = "{STAND_IN}"
warmup_s = 0.01
seconds = 0.01
delegate = "{delegate}"

[runtime_options]
cpus = "{1 << max(os.sched_getaffinity(0)):#x}"
"""
    )


def write_board(
    root: Path, board: RealSshd, wait_s: float = 60, python: str = sys.executable
) -> None:
    """The device `loopback-board`: torch in this very interpreter, on the last processor."""
    folder = root / "devices"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "loopback-board.toml").write_text(
        f"""
title = "This computer behind a real sshd"
transport = "ssh"
runtime = "torch"

[ssh]
host = "{board.name}"
python = "{python}"
wait_s = {wait_s}

[runtime_options]
cpus = "one"
"""
    )
