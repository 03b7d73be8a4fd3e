"""The machine we run on, as a device."""

import os
import selectors
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from harness.errors import TargetLost, TargetStalled


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
        self._buffer = b""
        assert self._child.stdout is not None
        self._output = self._child.stdout.fileno()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._output, selectors.EVENT_READ)

    def send(self, line: str) -> None:
        assert self._child.stdin is not None
        try:
            self._child.stdin.write(line.encode() + b"\n")
        except OSError as error:
            raise TargetLost(f"{self._argv[0]} has ended: {self.stderr_tail()}") from error

    def receive(self, idle_timeout_s: float) -> str | None:
        while b"\n" not in self._buffer:
            if not self._selector.select(idle_timeout_s):
                raise TargetStalled(f"{self._argv[0]} said nothing for {idle_timeout_s:.0f} s")
            chunk = os.read(self._output, 1 << 16)
            if not chunk:
                return None  # an unfinished line is no answer
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace")

    def stderr_tail(self) -> str:
        self._stderr.seek(0)
        lines = self._stderr.read().decode(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "no message"

    def kill(self) -> None:
        self._child.kill()
        self._child.wait()
        self._selector.close()
        for stream in (self._child.stdin, self._child.stdout, self._stderr):
            if stream is not None:
                stream.close()


class LocalTransport:
    """Programs as child processes, files where they are."""

    python = sys.executable

    def start(self, argv: Sequence[str]) -> LocalProcess:
        return LocalProcess(argv)

    def push(self, local: Path) -> PurePosixPath:
        return PurePosixPath(local.resolve())

    def close(self) -> None:
        pass
