"""What both ways to a phone offer: byte streams to services of its adb daemon."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class Stream(Protocol):
    """A two-way byte stream to one service."""

    def write(self, data: bytes, timeout_s: float) -> None:
        """Send all of it.

        Raises:
            TimeoutError: nothing could be sent for `timeout_s`.
            TargetLost: the link broke, or the service ended.
        """

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, at least one byte; nothing at the end.

        Raises:
            TimeoutError: nothing came for `timeout_s`.
            TargetLost: the link broke.
        """

    def close(self) -> None:
        """End the service, and what runs there; harmless when it has ended."""


class Link(Protocol):
    """A phone that services can be opened on."""

    def open(self, service: str, timeout_s: float) -> Stream:
        """Start a service, such as `sync:`.

        Raises:
            TimeoutError: no answer for `timeout_s`.
            TargetLost: the link broke.
            TargetFailed: the phone refuses the service.
        """

    def close(self) -> None: ...


@dataclass(frozen=True)
class Attached:
    """A phone that could be linked to."""

    serial: str  # of its USB, or HOST:PORT
    state: str = "device"  # or "unauthorized", "offline", ...


class Backend(Protocol):
    """A way to phones."""

    name: str

    def attached(self) -> Sequence[Attached]:
        """The phones at hand."""

    def link(self, serial: str) -> Link:
        """Connect to a phone.

        Raises:
            DeviceNotFound, DeviceUnauthorized, DeviceOffline, DeviceBusy, TargetStalled
        """
