"""The machine we run on, as a device."""

import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath
from subprocess import PIPE

from harness.errors import TargetFailed, TargetLost, TargetStalled
from harness.transports.kind import TransportKind
from harness.transports.lines import Lines
from harness.transports.transport import Finished, Patience, check_output, ending

PIPE_BUFFER = 1 << 16
LINGER_S = 1.0  # for a program to end whose output has


class LocalProcess:
    """A child process spoken to in lines."""

    def __init__(self, argv: Sequence[str]) -> None:
        self._argv = list(argv)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        try:
            self._child = subprocess.Popen(
                self._argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                bufsize=0,
            )
        except OSError as error:
            self._stderr.close()
            raise TargetLost(f"cannot start {argv[0]}: {error.strerror}") from error
        self._lines = Lines(argv[0])
        assert self._child.stdout is not None
        self._output = self._child.stdout.fileno()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)

    def send(self, line: str) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(line.encode() + b"\n")
        except OSError as error:
            raise TargetLost(f"{self._argv[0]} {self.ending()}") from error

    def receive(self, idle_timeout_s: float) -> str | None:
        while (line := self._lines.take()) is None:
            if not self._selector.select(idle_timeout_s):
                raise TargetStalled(f"{self._argv[0]} said nothing for {idle_timeout_s:.0f} s")
            chunk = os.read(self._output, 1 << 16)
            if not chunk:
                return None  # an unfinished line is no answer
            self._lines.add(chunk)
        return line

    def ending(self) -> str:
        with suppress(subprocess.TimeoutExpired):  # its output may end before it does
            self._child.wait(LINGER_S)
        self._stderr.seek(0)
        return ending(self._child.returncode, self._stderr.read())

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()
        self._selector.close()
        for stream in (self._child.stdin, self._child.stdout, self._stderr):
            if stream is not None:
                stream.close()


class LocalTransport:
    """Programs as child processes, files where they are."""

    is_here = True
    python: Sequence[str] = (sys.executable,)

    def __init__(self, hardware: str = "local") -> None:
        self.hardware = hardware

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes = b"",
        *,
        idle_timeout_s: float,
        deadline_s: float,
    ) -> Finished:
        patience = Patience(argv[0], idle_timeout_s, deadline_s)
        try:
            child = subprocess.Popen(argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, process_group=0)
        except OSError as error:
            return Finished(127, b"", f"{argv[0]}: {error.strerror}".encode())
        try:
            return _talk(child, stdin, patience)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)  # and what it has started
            child.wait()

    def start(self, argv: Sequence[str]) -> LocalProcess:
        return LocalProcess(argv)

    def push(self, local: Path) -> PurePosixPath:
        return PurePosixPath(local.resolve())

    def push_with(self, local: Path, beside: Mapping[str, Path]) -> PurePosixPath:  # noqa: ARG002
        return PurePosixPath(local.absolute())  # where they are beside it already

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        try:
            shutil.copyfile(remote, local)
        except OSError as error:
            raise TargetFailed(f"cannot read {remote}: {error.strerror}") from error

    def close(self) -> None:
        pass


def _talk(child: "subprocess.Popen[bytes]", stdin: bytes, patience: Patience) -> Finished:
    """Give a program its input and collect what it says, until it ends."""
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stderr is not None
    output = {child.stdout: bytearray(), child.stderr: bytearray()}
    left = memoryview(stdin)
    with selectors.DefaultSelector() as selector, child.stdin, child.stdout, child.stderr:
        for stream in output:
            selector.register(stream, selectors.EVENT_READ)
        os.set_blocking(child.stdin.fileno(), False)
        selector.register(child.stdin, selectors.EVENT_WRITE)
        while selector.get_map():
            with patience.waiting() as timeout_s:
                ready = selector.select(timeout_s if child.poll() is None else 0)
                if not ready and child.returncode is not None:
                    break  # it has ended; who it left behind may hold its output open for ever
                if not ready:
                    raise TimeoutError
            for key, _ in ready:
                if key.fileobj is child.stdin:
                    with suppress(BrokenPipeError):
                        left = left[os.write(key.fd, left[:PIPE_BUFFER]) :] if left else left
                        if left:
                            continue
                    selector.unregister(child.stdin)
                    child.stdin.close()
                elif chunk := os.read(key.fd, PIPE_BUFFER):
                    output[key.fileobj] += chunk  # type: ignore[index]
                else:
                    selector.unregister(key.fileobj)
            check_output(output.values())
        with patience.waiting() as timeout_s:
            try:
                status = child.wait(timeout_s)
            except subprocess.TimeoutExpired as error:
                raise TimeoutError from error
    return Finished(status, bytes(output[child.stdout]), bytes(output[child.stderr]))


TRANSPORT = TransportKind(
    name="local",
    link="resident",
    open=lambda _way: LocalTransport(),
    hardware=lambda _way: "local",
    match=("model", "processor", "gpu", "power_mode"),
)
