"""What a kind of transport says of itself: the house knows of it only this.

A new one is one file or folder here that defines `TRANSPORT`, or a package of somebody else's with
an entry point `harness.transports`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from harness.registry import Registry
from harness.schema import Section
from harness.transports.transport import Transport


@dataclass(frozen=True)
class Way:
    """How a profile says that its device is reached."""

    device: str  # its name
    settings: Section  # the transport's own, as under its name in a profile
    match: Mapping[str, Sequence[str]] = field(default_factory=dict)  # patterns, any of them
    serial: str | None = None  # of several devices of a kind


def _nothing(_way: Way) -> str:
    return ""


@dataclass(frozen=True, kw_only=True)
class TransportKind:
    """One way of reaching devices."""

    name: str
    link: str
    """What runtimes get: "resident" (a ResidentTransport: programs that stay and are spoken to),
    "android" (a KeepingTransport with a phone's shell), "none"; or a word of one's own."""
    open: Callable[[Way], Transport]
    hardware: Callable[[Way], str]
    """What is measured, as far as the profile tells: equal names have to wait for each other."""
    options: type[Section] = Section
    """What a profile may say under the transport's name."""
    match: tuple[str, ...] = ()
    """Keys of `[match]` that can be told of its devices; none: nothing is reached."""
    checks_match: bool = False
    """Whether opening looks for a device that matches; else the open session is looked at."""
    lacks: Callable[[Way], str] = _nothing
    """What a profile has to say besides; "" where it is whole."""
    is_edge: Callable[[Way], bool] = lambda _way: False
    """Whether that is a phone, a board or an FPGA: no computer at hand, no server."""
    serials: Callable[[Section], tuple[str, ...]] = lambda _settings: ()
    """Of devices that share the work of one profile."""
    through: Callable[[Way], str] = _nothing
    """What it goes through, where there are several ways."""


TRANSPORTS = Registry("harness.transports", "TRANSPORT", TransportKind)
