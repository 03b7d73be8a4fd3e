"""What every transport offers; a new one is one file, or one folder, with these methods."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from signal import Signals
from typing import Protocol, runtime_checkable

from harness.errors import TargetFailed, TargetStalled
from harness.transports.plausible import one_line

MOST_OUTPUT = 1 << 29  # bytes: what trtexec exports of two million runs
LONGEST_COMPLAINT = 2000  # characters, of which those of the last lines are kept


@dataclass(frozen=True)
class Finished:
    """A program on the device that has ended by itself."""

    status: int
    stdout: bytes
    stderr: bytes

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")

    def complaint(self) -> str:
        """The last lines it wrote to standard error, else to standard output."""
        text = self.stderr.decode(errors="replace").strip() or self.text.strip()
        return _last_lines(text)


def check_output(outputs: Iterable[bytes | bytearray]) -> None:
    """Raises TargetFailed where it is more than a program of ours says."""
    if sum(map(len, outputs)) > MOST_OUTPUT:
        raise TargetFailed(
            f"a program there does not stop talking: more than {MOST_OUTPUT >> 20} MB; it is none "
            "of ours, or has lost its way"
        )


def _last_lines(text: str) -> str:
    return one_line(" | ".join(text[-LONGEST_COMPLAINT:].splitlines()[-3:])) or "no message"


def ending(status: int | None, stderr: bytes) -> str:
    """How a program ended, in words; a status below zero is that of a signal."""
    last_lines = _last_lines(stderr.decode(errors="replace").strip())
    if status is None or status >= 0:
        return f"ended: {last_lines}"
    try:
        name = Signals(-status).name
    except ValueError:
        name = "unknown"
    why = ", perhaps for lack of memory" if name == "SIGKILL" else ""
    return f"was ended by signal {-status} ({name}{why}): {last_lines}"


class Patience:
    """How long something may be silent, and how long it may take in all."""

    def __init__(self, what: str, idle_timeout_s: float, deadline_s: float) -> None:
        self._what = what
        self._idle_timeout_s = idle_timeout_s
        self._deadline_s = deadline_s
        self._end = time.monotonic() + deadline_s

    @contextmanager
    def waiting(self) -> Iterator[float]:
        """The longest that the next step may wait, seconds; its TimeoutError is made our own.

        Raises:
            TargetStalled: it was silent for too long, or the deadline has come.
        """
        left_s = self._end - time.monotonic()
        if left_s <= 0:
            raise TargetStalled(f"{self._what} was not done within {self._deadline_s:g} s")
        try:
            yield min(self._idle_timeout_s, left_s)
        except TimeoutError as error:
            if left_s < self._idle_timeout_s:
                raise TargetStalled(
                    f"{self._what} was not done within {self._deadline_s:g} s"
                ) from error
            raise TargetStalled(
                f"{self._what} said nothing for {self._idle_timeout_s:g} s"
            ) from error


class Process(Protocol):
    """A running program on the device, spoken to in lines."""

    def send(self, line: str) -> None:
        """Write one line to its standard input.

        Raises:
            TargetLost: it has ended or the link broke.
        """

    def receive(self, idle_timeout_s: float) -> str | None:
        """The next line of its standard output, without the line end; None at the end.

        Raises:
            TargetStalled: no line within `idle_timeout_s`.
        """

    def ending(self) -> str:
        """How it ended, where that is known, and the last lines it wrote to standard error."""

    def kill(self) -> None:
        """End it now; harmless when it has ended."""


class Transport(Protocol):
    """A link to a device: programs run there to their end, files go there and back."""

    hardware: str
    """The physical device at the other end: one measurement at a time."""

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes = b"",
        *,
        idle_timeout_s: float,
        deadline_s: float,
    ) -> Finished:
        """Run a program to its end; arguments reach it as they are.

        One that is not there ends with status 127.

        Raises:
            TargetLost: the link broke.
            TargetStalled: it was silent, or ran, for too long; it is killed.
        """

    def push(self, local: Path) -> PurePosixPath:
        """Make a local file available on the device and return its path there.

        Raises:
            DeviceFull: there is no room for it.
        """

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        """Copy a file of the device.

        Raises:
            TargetFailed: it cannot be read there.
        """

    def close(self) -> None: ...


@runtime_checkable
class KeepingTransport(Transport, Protocol):
    """A transport whose device keeps what is pushed."""

    def free_mb(self) -> float:
        """Room for our files there."""

    def check_room(self, files: Sequence[Path]) -> None:
        """Whether those of the files that are not there yet can be pushed.

        Raises:
            DeviceFull: there is no room for them.
        """

    def forget(self) -> None:
        """Look again which files are there, before the next is pushed."""

    def hold(self, owner: str) -> None:
        """Be the only one, of all computers, to use the device until the transport is closed.

        Raises:
            DeviceBusy: another holds it.
        """


class ResidentTransport(Transport, Protocol):
    """A transport over which a program can be kept running and spoken to."""

    is_here: bool
    """Whether that is this computer."""

    python: Sequence[str]
    """The command of the Python interpreter there."""

    def push_with(self, local: Path, beside: Mapping[str, Path]) -> PurePosixPath:
        """As `push`, with other files beside it there: by their paths from its folder.

        Raises:
            DeviceFull: there is no room for them.
        """

    def start(self, argv: Sequence[str]) -> Process:
        """Start a program and keep it; no shell sees `argv`.

        Raises:
            TargetLost: it cannot be started.
        """
