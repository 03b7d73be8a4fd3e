"""Bad days of a link to a board: each ends in time, in its own error, or is put right."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch as torch_library

from harness.device.device import Device
from harness.errors import (
    DeviceError,
    DeviceFull,
    DeviceNotFound,
    DeviceOffline,
    DeviceUnauthorized,
    MissingExtra,
    TargetFailed,
    TargetLost,
    TargetStalled,
)
from harness.runtimes import onnxruntime, torch
from harness.runtimes.agent_file import AGENT, agent_file
from harness.runtimes.agent_replies import OBJECT
from harness.runtimes.asking import AgentEnded, ask
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import ResidentSession
from harness.spaces.digits import DIGITS
from harness.transports.ssh import Address, SshTransport, process
from harness.transports.ssh import connection as connecting
from tests.real.conftest import be_client, write_board
from tests.real.real_sshd import RealSshd, make_key
from tests.real.test_transports_phone_board import gone

FROZEN_S = 15.0  # within which a frozen board is noticed
LONG = "x" * (20 << 20)  # more than is on the way at a time
BLOCKS = [(block,) for block in DIGITS.distinct_blocks()[:4]]


def opened(board: RealSshd, wait_s: float = 0.0, python: tuple[str, ...] = ()) -> SshTransport:
    return SshTransport(Address(board.name, python=python or (sys.executable,), wait_s=wait_s))


def echo(link: SshTransport) -> bytes:
    return link.run(["echo", "on"], idle_timeout_s=60, deadline_s=60).stdout


def session(link: SshTransport) -> ResidentSession:
    """In onnxruntime, which starts in a quarter of torch's time."""
    opened_session = onnxruntime.open_session(link, RuntimeOptions())
    assert isinstance(opened_session, ResidentSession)
    return opened_session


def after(seconds: float, action: Callable[[], object]) -> None:
    threading.Timer(seconds, action).start()


def freeze_connections(board: RealSshd) -> None:
    """The server notices nothing of what happens to them; new ones are welcome."""
    board.freeze()
    assert board._child is not None
    os.kill(board._child.pid, signal.SIGCONT)


def test_a_missing_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncssh", None)
    with pytest.raises(MissingExtra, match=r"pip install -c constraints\.txt '\.\[ssh\]'"):
        SshTransport(Address("board"))


def test_an_unknown_host_key_is_shown_with_what_accepts_it(own_board: RealSshd) -> None:
    (own_board.client / ".ssh/known_hosts").unlink()
    with pytest.raises(DeviceUnauthorized, match=r"not known yet: SHA256:\S+; .*: ssh board$"):
        opened(own_board)
    assert not (own_board.client / ".ssh/known_hosts").exists()


def test_host_keys_are_checked_whatever_the_configuration_says(own_board: RealSshd) -> None:
    config = own_board.client / ".ssh/config"
    loose = "  UserKnownHostsFile none\n  StrictHostKeyChecking no\n"
    config.write_text(config.read_text() + loose)
    (own_board.client / ".ssh/known_hosts").unlink()
    with pytest.raises(DeviceUnauthorized, match="not known yet"):
        opened(own_board)


def test_a_changed_host_key_is_never_accepted(own_board: RealSshd, tmp_path: Path) -> None:
    own_board.be_known(make_key(tmp_path / "older"))
    with pytest.raises(DeviceUnauthorized, match=r"shows another host key .*ssh-keygen -R '\["):
        opened(own_board, wait_s=60)


def test_a_key_that_the_board_does_not_take_says_how_to_give_it_one(
    own_board: RealSshd, tmp_path: Path
) -> None:
    config = own_board.client / ".ssh/config"
    stranger = make_key(tmp_path / "stranger")
    config.write_text(config.read_text().replace(str(own_board.user_key), str(stranger)))
    with pytest.raises(DeviceUnauthorized, match=r"none of our keys.*: ssh-copy-id board$"):
        opened(own_board)


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        (Address("127.0.0.1", port=9), DeviceOffline, r"127\.0\.0\.1 \(port 9\) does not answer"),
        (Address("no-such-host.invalid"), DeviceNotFound, r"no computer is called no-such-host"),
    ],
)
def test_nobody_there_is_said_in_time(
    board: RealSshd, address: Address, error: type[Exception], said: str
) -> None:
    assert board.client.exists()
    started = time.monotonic()
    with pytest.raises(error, match=said):
        SshTransport(address)
    assert time.monotonic() - started < 20


def test_a_server_that_does_not_even_greet_is_given_up(
    own_board: RealSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "CONNECT_TIMEOUT_S", 1.0)
    own_board.freeze()
    started = time.monotonic()
    with pytest.raises(DeviceOffline, match="nothing within 1 s"):
        opened(own_board)
    assert time.monotonic() - started < 5


def test_a_link_that_is_cut_in_the_middle_is_an_error_at_once(own_board: RealSshd) -> None:
    link = opened(own_board)
    after(0.5, own_board.cut)
    started = time.monotonic()
    with pytest.raises(TargetLost, match="the link broke while sleep ran"):
        link.run(["sleep", "20"], idle_timeout_s=60, deadline_s=60)
    assert time.monotonic() - started < 5
    link.close()


def test_a_link_that_is_cut_in_the_middle_is_made_anew(own_board: RealSshd, tmp_path: Path) -> None:
    link = opened(own_board, wait_s=30)
    (tmp_path / "file").write_bytes(os.urandom(100 << 20))
    for delay_s in (0.1, 0.4, 1.0):
        after(delay_s, own_board.cut)
    remote = link.push(tmp_path / "file")
    assert Path(remote).read_bytes() == (tmp_path / "file").read_bytes()
    assert echo(link) == b"on\n"
    time.sleep(1.0)  # all cuts have been made
    link.close()


def test_a_board_that_comes_back_is_waited_for_and_the_user_told_once(
    own_board: RealSshd, caplog: pytest.LogCaptureFixture
) -> None:
    link = opened(own_board, wait_s=30)
    own_board.stop()
    after(3, own_board.start)
    assert echo(link) == b"on\n"
    (told,) = {record.message for record in caplog.records}
    assert told.startswith("harness: board does not answer")
    assert told.endswith("waiting up to 30 s for it")
    link.close()


def test_a_frozen_board_is_noticed_in_seconds(own_board: RealSshd) -> None:
    link = opened(own_board)
    after(0.5, own_board.freeze)
    started = time.monotonic()
    with pytest.raises(TargetLost):
        link.run(["sleep", "60"], idle_timeout_s=100, deadline_s=100)
    assert time.monotonic() - started < FROZEN_S
    link.close()


def test_a_board_without_room_says_so_and_nothing_half_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = ("-t", "tmpfs", "-o", "size=60m", "scratch", "{home}")
    small = RealSshd(tmp_path / "server", tmp_path / "client", mount=disk)
    be_client(small, monkeypatch)
    small.start()
    try:
        link = opened(small, wait_s=30)
        file = tmp_path / "file"
        file.write_bytes(os.urandom(70 << 20))
        with pytest.raises(DeviceFull, match="70 MB have to be sent to board, and only"):
            link.check_room([file])
        with pytest.raises(DeviceFull, match="free some space"):
            link.push(file)
        folder = str(link.push(_small(tmp_path)).parent)
        left = link.run(["ls", "-A", folder], idle_timeout_s=9, deadline_s=9).text.split()
        assert len(left) == 1
        link.check_room([tmp_path / "fits"])
        link.close()
    finally:
        small.stop()


def _small(folder: Path) -> Path:
    (folder / "fits").write_bytes(b"fits")
    return folder / "fits"


def test_files_that_somebody_deleted_are_sent_again(board: RealSshd, tmp_path: Path) -> None:
    link = opened(board)
    remote = Path(link.push(_small(tmp_path)))
    remote.unlink()
    link.forget()
    link.push(_small(tmp_path))
    assert remote.read_bytes() == b"fits"
    link.close()


def test_a_board_without_python_says_which_is_missing(board: RealSshd) -> None:
    link = opened(board, python=("no-such-python",))
    with pytest.raises(TargetFailed, match=r"no Python on the device.*no-such-python.*\[ssh\]"):
        session(link)
    link.close()


def test_a_board_without_torch_says_so(board: RealSshd) -> None:
    link = opened(board, python=(sys.executable, "-I", "-S"))  # without site-packages
    with pytest.raises(TargetFailed, match=r"No module named 'torch'; install it .*\[ssh\]"):
        torch.open_session(link, RuntimeOptions())
    link.close()


def test_a_board_behind_another_is_reached_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = RealSshd(tmp_path / "gate", tmp_path / "client", "gate")
    inner = RealSshd(tmp_path / "inner", tmp_path / "client", "inner")
    with (tmp_path / "client/.ssh/config").open("a") as config:
        config.write("  ProxyJump gate\n")
    be_client(inner, monkeypatch)
    inner.start()
    try:
        with pytest.raises(DeviceOffline):
            opened(inner)  # the gate is shut
        gate.start()
        link = opened(inner)
        assert echo(link) == b"on\n"
        gate.cut()
        with pytest.raises(TargetLost):
            echo(link)
        link.close()
    finally:
        gate.stop()
        inner.stop()


def test_the_agent_ends_with_its_link_even_in_the_middle_of_a_visit(own_board: RealSshd) -> None:
    link = opened(own_board)
    running = session(link)
    running.load(BLOCKS[0])
    agent = str(link.push(agent_file(AGENT / "with_onnxruntime.py")))
    after(1.0, own_board.stop)
    with pytest.raises((TargetLost, DeviceOffline)):
        running.visit(BLOCKS[0], runs=10**9)
    running.close()
    link.close()
    assert gone(f"{sys.executable} -u {agent}")


def test_an_agent_that_hears_no_more_signs_of_life_ends(tmp_path: Path) -> None:
    """As of a computer that was switched off: the server there may not notice for hours."""
    agent = shutil.copytree(AGENT, tmp_path / "agent") / "__main__.py"
    text = agent.read_text()
    agent.write_text(text.replace("SILENCE_S = 180", "SILENCE_S = 1"))
    assert agent.read_text() != text
    with subprocess.Popen([sys.executable, str(agent)], stdin=subprocess.PIPE) as child:
        assert child.stdin is not None
        time.sleep(2)
        assert child.poll() is None  # nobody has given any
        child.stdin.write(b"\n")
        child.stdin.flush()
        assert child.wait(10) == 1


def test_signs_of_life_are_given(board: RealSshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "BEAT_S", 0.2)
    link = opened(board)
    running = link.start(["cat"])
    assert [running.receive(5) for _ in "12"] == ["", ""]
    running.kill()
    link.close()


def test_signs_of_life_are_no_answer(board: RealSshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "BEAT_S", 0.1)
    link = opened(board)
    hung = link.start(["sleep", "5"])
    with pytest.raises(TargetStalled, match=r"sleep said nothing for 0\.5 s"):
        hung.receive(0.5)
    hung.kill()
    link.close()


def test_signs_of_life_do_not_cut_a_line(board: RealSshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "BEAT_S", 0.0001)
    link = opened(board)
    echoing = link.start(["cat"])
    echoing.send("x" * 8_000_000)
    while not (line := echoing.receive(5)):
        pass
    assert len(line) == 8_000_000
    echoing.kill()
    link.close()


def test_a_program_that_takes_no_input_is_stalled(
    board: RealSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SEND_IDLE_S", 0.5)
    link = opened(board)
    stopped = link.start(["sleep", "5"])
    with pytest.raises(TargetStalled, match=r"sleep took no input for 0\.5 s"):
        stopped.send(LONG)
    stopped.kill()
    link.close()


def test_input_that_is_taken_slowly_is_fine(
    board: RealSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SEND_IDLE_S", 1.1)
    link = opened(board)
    script = "for _ in 1 2 3 4 5 6 7; do sleep 0.3; head -c 2000000 >/dev/null; done; head -n 1"
    slow = link.start(["sh", "-c", script])
    started = time.monotonic()
    slow.send("x" * 14_000_000 + "the end")
    assert time.monotonic() - started > 1.2  # longer than the longest silence
    assert slow.receive(5) == "the end"
    slow.kill()
    link.close()


@pytest.mark.parametrize("what", ["program", "link"])
def test_who_ends_while_it_is_sent_something_is_lost_at_once(
    own_board: RealSshd, what: str
) -> None:
    link = opened(own_board)
    running = link.start(["sleep", "0.5" if what == "program" else "30"])
    if what == "link":
        after(0.5, own_board.cut)
    started = time.monotonic()
    with pytest.raises(TargetLost, match="sleep has ended, or the link broke"):
        running.send(LONG)
    assert time.monotonic() - started < 5
    running.kill()
    link.close()


# Tells which copies of itself run; the first one goes on for long.
COPIES = """
echo $$ >> "$1"
for copy in $(cat "$1"); do grep -qs . "/proc/$copy/cmdline" && echo "$copy"; done
[ "$(wc -l < "$1")" -gt 1 ] || sleep 30
"""


@pytest.mark.parametrize("unnoticed", [False, True])
def test_a_program_whose_link_broke_is_dead_before_it_is_run_again(
    own_board: RealSshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unnoticed: bool
) -> None:
    """`unnoticed`: by the server, as when a cable is pulled."""
    monkeypatch.setattr(connecting, "KEEPALIVE_S", 0.5)
    link = opened(own_board, wait_s=30)
    after(1.0, partial(freeze_connections, own_board) if unnoticed else own_board.cut)
    copies = tmp_path / "copies"
    done = link.run(["sh", "-c", COPIES, "sh", str(copies)], idle_timeout_s=20, deadline_s=20)
    _, again = copies.read_text().split()
    assert done.text.split() == [again]
    link.close()


def test_a_program_whose_link_broke_ends_even_if_nobody_comes_back(own_board: RealSshd) -> None:
    link = opened(own_board)
    after(0.5, own_board.cut)
    with pytest.raises(TargetLost):
        link.run(["sleep", "4716"], idle_timeout_s=60, deadline_s=60)
    assert gone("sleep 4716")
    link.close()


def test_an_agent_goes_on_where_another_was_lost(own_board: RealSshd) -> None:
    link = opened(own_board, wait_s=30)
    running = session(link)
    for number, block in enumerate(BLOCKS):
        if number == 1:
            own_board.cut()
        if number == 2:
            own_board.stop()
            after(1.0, own_board.start)
        if number == 3:
            own_board.freeze()
            after(1.0, own_board.stop)
            after(2.0, own_board.start)
        assert len(running.visit(block, runs=3).values["wall"]) == 3
    assert running.visit(BLOCKS[0], runs=3).values["wall"]  # loaded before the losses
    running.close()
    link.close()


def test_a_workload_that_always_ends_the_agent_is_an_error(own_board: RealSshd) -> None:
    link = opened(own_board, wait_s=30)
    running = session(link)
    stop = threading.Event()

    def cut_often() -> None:
        while not stop.wait(0.5):
            own_board.cut()

    cutter = threading.Thread(target=cut_often)
    cutter.start()
    try:
        with pytest.raises(TargetLost):
            running.visit(BLOCKS[0], runs=10**9)
    finally:
        stop.set()
        cutter.join()
    running.close()
    link.close()


def test_a_login_shell_that_talks_does_no_harm(own_board: RealSshd) -> None:
    (own_board.home / ".bashrc").write_text("echo welcome\nprintf 'to your board'\n")
    (own_board.home / ".zshenv").write_text("echo welcome\n")
    link = opened(own_board)
    assert echo(link) == b"on\n"
    link.close()


def test_another_board_than_the_profile_says_is_refused(
    tmp_path: Path, own_board: RealSshd
) -> None:
    write_board(tmp_path, own_board)
    path = tmp_path / "devices/loopback-board.toml"
    path.write_text(path.read_text() + '\n[match]\npower_mode = "MAXN"\n')
    with (
        pytest.raises(DeviceNotFound, match="wants power_mode = MAXN, and what is there has none"),
        Device.find("loopback-board", tmp_path).open(),
    ):
        pass


def test_a_gpu_that_is_not_there_is_said_in_a_line(tmp_path: Path, own_board: RealSshd) -> None:
    write_board(tmp_path, own_board)
    path = tmp_path / "devices/loopback-board.toml"
    path.write_text(path.read_text() + '\n[torch]\ndevice = "cuda"\n')
    if torch_library.cuda.is_available():
        pytest.skip("there is a GPU here")
    with (
        pytest.raises(TargetFailed, match="finds no CUDA GPU"),
        Device.find("loopback-board", tmp_path).open(),
    ):
        pass


def test_energies_are_not_guessed(tmp_path: Path, own_board: RealSshd) -> None:
    if Path("/sys/class/powercap").exists():
        pytest.skip("this machine may have a counter")
    write_board(tmp_path, own_board)
    with (
        pytest.raises(DeviceError, match="no energy counter"),
        Device.find("loopback-board", tmp_path).open("energy"),
    ):
        pass


def test_what_a_wrapper_says_before_our_program_does_no_harm(
    tmp_path: Path, own_board: RealSshd
) -> None:
    wrapper = tmp_path / "activated"
    wrapper.write_text(f'#!/bin/sh\necho "Activating"\necho 3\nexec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    write_board(tmp_path, own_board, python=str(wrapper))
    with Device.find("loopback-board", tmp_path).open() as running:
        assert running.visit(BLOCKS[0], 3).values["wall"]


@pytest.mark.parametrize("python", ["/bin/cat", "/usr/bin/yes"])
def test_what_is_no_python_is_said_to_be_none(
    tmp_path: Path, own_board: RealSshd, python: str
) -> None:
    write_board(tmp_path, own_board, python=python)
    with (
        pytest.raises(TargetFailed, match="no Python on the device that runs our agent"),
        Device.find("loopback-board", tmp_path).open(),
    ):
        pass


def test_an_agent_that_ended_before_it_was_asked_is_told_as_ended(board: RealSshd) -> None:
    link = opened(board)
    running = link.start(["sh", "-c", "echo its last words >&2; exit 3"])
    time.sleep(0.5)
    with pytest.raises(AgentEnded, match="the agent ended: its last words"):
        ask(running, {"op": "open"}, OBJECT, 5)
    running.kill()
    link.close()


def test_an_agent_whose_link_broke_before_it_was_asked_is_not_told_as_ended(
    own_board: RealSshd,
) -> None:
    link = opened(own_board)
    running = link.start(["sleep", "30"])
    own_board.cut()
    time.sleep(0.5)
    with pytest.raises(TargetLost, match="the link broke") as raised:
        ask(running, {"op": "open"}, OBJECT, 5)
    assert not isinstance(raised.value, AgentEnded)
    running.kill()
    link.close()
