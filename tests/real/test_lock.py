"""Boards and phones that several computers reach: one of them measures at a time."""

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from harness.device import lock
from harness.device.device import Device
from harness.errors import DeviceBusy, TargetFailed
from harness.transports.adb.choice import Wanted
from harness.transports.adb.transport import AdbTransport
from harness.transports.holding import check_held, hold_command
from harness.transports.ssh import Address, SshTransport
from harness.transports.transport import KeepingTransport
from tests.real.conftest import write_board
from tests.real.real_sshd import RealSshd

Opening = Callable[[], KeepingTransport]


@pytest.fixture(params=["ssh", "adb-direct", "adb-server"])
def opening(request: pytest.FixtureRequest) -> Iterator[Opening]:
    """Makes transports to one device, as several computers would."""
    opened: list[KeepingTransport] = []
    name = request.param
    target = request.getfixturevalue("board" if name == "ssh" else "phone")

    def another() -> KeepingTransport:
        transport: KeepingTransport = (
            SshTransport(Address(target.name))
            if name == "ssh"
            else AdbTransport(Wanted({}, target.serial, name.removeprefix("adb-")))
        )
        opened.append(transport)
        return transport

    yield another
    for transport in opened:
        transport.close()


def said(transport: KeepingTransport, *argv: str) -> str:
    return transport.run(argv, idle_timeout_s=20, deadline_s=30).text.strip()


def test_a_device_that_one_computer_holds_is_refused_to_another_which_learns_whose_it_is(
    opening: Opening,
) -> None:
    one, other = opening(), opening()
    one.hold("process 7 of anna, which measures x")
    assert said(one, "echo", "works") == said(other, "echo", "works") == "works"
    with pytest.raises(DeviceBusy, match="in use by process 7 of anna, which measures x"):
        other.hold("process 8 of bert")
    one.close()
    other.hold("process 8 of bert")
    with pytest.raises(DeviceBusy, match="in use by process 8 of bert"):
        opening().hold("process 9 of carla")


def test_a_device_is_free_for_the_next_run_at_once(opening: Opening) -> None:
    for _ in range(3):
        transport = opening()
        transport.hold("one after the other")
        transport.close()


def test_a_link_that_breaks_and_comes_back_holds_the_board_again(own_board: RealSshd) -> None:
    with closing(SshTransport(Address(own_board.name, wait_s=10))) as one:
        one.hold("process 7 of anna")
        own_board.cut()
        assert said(one, "echo", "again") == "again"
        with (
            closing(SshTransport(Address(own_board.name))) as other,
            pytest.raises(DeviceBusy, match="process 7 of anna"),
        ):
            other.hold("process 8 of bert")


def test_a_board_that_is_measured_from_afar_is_in_use_on_the_board_itself(
    own_board: RealSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_LOCKS", str(own_board.locks))  # we are the board
    with closing(SshTransport(Address(own_board.name))) as afar:
        afar.hold("process 7 of anna")
        told = "this computer is in use by process 7 of anna"
        with pytest.raises(DeviceBusy, match=told), lock.held("local", "tests"):
            pass
    with (
        lock.held("local", "measures here"),
        closing(SshTransport(Address(own_board.name))) as afar,
        pytest.raises(DeviceBusy, match=f"process {os.getpid()} of .* measures here"),
    ):
        afar.hold("process 7 of anna")


def test_a_holder_that_falls_silent_holds_no_longer(tmp_path: Path) -> None:
    command = hold_command("process 7 of anna", str(tmp_path), silence_s=2)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        for _ in range(6):
            time.sleep(0.5)
            holder.stdin.write("\n")
            holder.stdin.flush()
        assert holder.poll() is None
        holder.wait(10)
        with suppress(BrokenPipeError):
            holder.stdin.close()
    again = subprocess.run(
        hold_command("process 8 of bert", str(tmp_path)),
        input="",
        stdout=pipe,
        text=True,
        check=False,
    )
    assert again.stdout == "held\n"


def test_a_device_is_held_on_the_board_while_it_is_open(tmp_path: Path, board: RealSshd) -> None:
    write_board(tmp_path, board)
    told = f"process {os.getpid()} of .*, which measures loopback-board since .*, on "
    with (
        Device.find("loopback-board", tmp_path).open(),
        closing(SshTransport(Address(board.name))) as other,
        pytest.raises(DeviceBusy, match=told),
    ):
        other.hold("process 8 of bert")


def test_a_device_that_cannot_keep_a_lock_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    command = hold_command("anna", str(tmp_path / "file"))
    ended = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    with pytest.raises(TargetFailed, match=r"the board cannot keep a lock.*cannot make .*/file/"):
        check_held(ended.stdout.strip(), "the board")


def test_a_board_without_flock_is_used_and_said_to_be_unguarded(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("sh", "mkdir", "sleep", "head"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    command = hold_command("anna", str(tmp_path / "locks"))
    ended = subprocess.run(
        command,
        env={"PATH": str(tmp_path)},
        input="",
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    check_held(ended.stdout.strip(), "the board")
    assert "the board has no flock" in caplog.text
