"""What every transport promises: on this computer, through a real adbd and a real sshd."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import pytest

from harness.errors import TargetFailed, TargetStalled
from harness.transports.adb.choice import Wanted
from harness.transports.adb.transport import AdbTransport
from harness.transports.local import LocalTransport
from harness.transports.ssh import Address, SshTransport
from harness.transports.transport import Finished, Transport

WAYS = ("local", "adb-direct", "adb-server", "ssh")
NASTY = "a b'c\"d$(id)`id`;&|<>*?\\ünï\n\t✓"


@pytest.fixture(params=WAYS)
def transport(request: pytest.FixtureRequest) -> Iterator[Transport]:
    if request.param == "local":
        yield LocalTransport()
        return
    opened: Transport
    if request.param == "ssh":
        opened = SshTransport(Address(request.getfixturevalue("board").name))
    else:
        phone = request.getfixturevalue("phone")
        opened = AdbTransport(Wanted({}, phone.serial, request.param.removeprefix("adb-")))
    yield opened
    opened.close()


def run(transport: Transport, *argv: str, stdin: bytes = b"") -> Finished:
    return transport.run(argv, stdin, idle_timeout_s=20, deadline_s=30)


def test_exit_status_and_both_outputs_come_back_apart(transport: Transport) -> None:
    finished = run(transport, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert finished == Finished(7, b"out\n", b"err\n")


def test_arguments_reach_the_program_as_they_are(transport: Transport) -> None:
    finished = run(transport, "printf", "%s|", NASTY, "", "-n")
    assert finished.stdout == f"{NASTY}||-n|".encode()


def test_input_and_output_are_bytes(transport: Transport) -> None:
    every = bytes(range(256)) * 4000  # more than pipes and packets hold
    assert run(transport, "cat", stdin=every).stdout == every


def test_input_that_nobody_reads_does_no_harm(transport: Transport) -> None:
    assert run(transport, "true", stdin=b"x" * 3_000_000).status == 0


def test_a_program_that_is_not_there_has_status_127(transport: Transport) -> None:
    finished = run(transport, "no-such-program")
    assert finished.status == 127
    assert "no-such-program" in finished.complaint()


def test_a_silent_program_is_stalled_after_the_idle_time_out_and_killed(
    transport: Transport,
) -> None:
    started = time.monotonic()
    with pytest.raises(TargetStalled, match=r"said nothing for 0\.5 s"):
        transport.run(["sleep", "4711"], idle_timeout_s=0.5, deadline_s=20)
    assert time.monotonic() - started < 5
    assert gone("sleep 4711")


def test_a_talking_program_is_stalled_at_the_deadline(transport: Transport) -> None:
    started = time.monotonic()
    with pytest.raises(TargetStalled, match="not done within 1 s"):
        transport.run(
            ["sh", "-c", "while true; do echo x; sleep 0.05; done"],
            idle_timeout_s=0.9,
            deadline_s=1,
        )
    assert time.monotonic() - started < 5


def test_a_stalled_program_does_not_harm_the_next(transport: Transport) -> None:
    for _ in range(3):
        with pytest.raises(TargetStalled):
            transport.run(["sleep", "60"], idle_timeout_s=0.1, deadline_s=10)
        assert run(transport, "echo", "on").stdout == b"on\n"


@pytest.mark.parametrize("size", [0, 1, 65_536, 20 << 20])
def test_files_of_any_size_go_there_and_back(
    transport: Transport, tmp_path: Path, size: int
) -> None:
    content = os.urandom(size)
    (tmp_path / "there").write_bytes(content)
    remote = transport.push(tmp_path / "there")
    transport.pull(remote, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content


def test_names_of_files_may_be_anything(transport: Transport, tmp_path: Path) -> None:
    local = tmp_path / (NASTY.replace("\n", "") + ".txt")
    local.write_text("content")
    assert run(transport, "cat", str(transport.push(local))).stdout == b"content"


def test_a_file_that_is_not_there_cannot_be_pulled(transport: Transport, tmp_path: Path) -> None:
    with pytest.raises(TargetFailed, match="no-such-file"):
        transport.pull(PurePosixPath("/tmp/no-such-file"), tmp_path / "back")


def test_what_is_there_already_is_not_sent_again(transport: Transport, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(1000))
    remote = transport.push(tmp_path / "file")
    before = run(transport, "stat", "-c", "%i %Z", str(remote)).stdout
    assert transport.push(tmp_path / "file") == remote
    assert run(transport, "stat", "-c", "%i %Z", str(remote)).stdout == before


def test_a_program_that_is_cancelled_in_the_middle_is_killed(transport: Transport) -> None:
    with pytest.raises(KeyboardInterrupt), interrupted_after(0.5):
        transport.run(["sleep", "4712"], idle_timeout_s=20, deadline_s=20)
    transport.close()
    assert gone("sleep 4712")


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Ctrl-C in a while."""

    def interrupt(_signum: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def gone(command: str) -> bool:
    """Whether no process with that command line is left, within 3 s."""
    wanted = command.replace(" ", "\0").encode() + b"\0"
    for _ in range(60):
        lines = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                lines.append(path.read_bytes())
            except OSError:
                continue
        if wanted not in lines:
            return True
        time.sleep(0.05)
    return False
