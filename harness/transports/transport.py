"""What every transport offers; a new one is one file with these methods."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol


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

    def stderr_tail(self) -> str:
        """The last lines it wrote to standard error."""

    def kill(self) -> None:
        """End it now; harmless when it has ended."""


class Transport(Protocol):
    """A link to a device."""

    python: str
    """The Python interpreter there."""

    def start(self, argv: Sequence[str]) -> Process:
        """Start a program and keep it; no shell sees `argv`.

        Raises:
            TargetLost: it cannot be started.
        """

    def push(self, local: Path) -> PurePosixPath:
        """Make a local file available on the device and return its path there."""

    def close(self) -> None: ...
