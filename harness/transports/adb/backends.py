"""The two ways to phones, and which of them is taken."""

from collections.abc import Sequence
from importlib.util import find_spec

from harness.errors import DeviceNotFound, MissingExtra, UsageError
from harness.hints import install
from harness.transports.adb.direct import DirectLink, TcpWire
from harness.transports.adb.keys import signers
from harness.transports.adb.link import Attached, Backend
from harness.transports.adb.server import Server, ServerBackend
from harness.transports.adb.usb import UsbWire, usb_serials

DIALOG_S = 30.0  # for the user to find and accept the phone's dialog


class DirectBackend:
    """Phones on USB, and at addresses that are named."""

    name = "USB, without an adb server"

    def __init__(self) -> None:
        """Raises MissingExtra where adb-shell is not installed."""
        if find_spec("adb_shell") is None:
            raise MissingExtra(
                "no adb server runs, and phones without one are reached by the package adb-shell, "
                f"which is not installed: {install('android')}, or start one: `adb start-server`"
            )

    def attached(self) -> Sequence[Attached]:
        return [Attached(serial) for serial in usb_serials()]

    def link(self, serial: str) -> DirectLink:
        keys = signers()
        wire = TcpWire(serial) if ":" in serial else UsbWire(serial)
        return DirectLink(wire, keys, serial, DIALOG_S)


def backend_named(name: str, server: str = "") -> Backend:
    """`server` (at HOST:PORT, or this computer's), `direct`, or `auto`: the server where one runs.

    Raises:
        MissingExtra: its library is not installed.
    """
    asked = Server.at(server)
    if name == "auto":
        name = "server" if server or asked.runs() else "direct"
    if name not in ("server", "direct"):
        raise UsageError(f"no adb backend {name!r}; there are auto, server, direct")
    return ServerBackend(asked) if name == "server" else DirectBackend()


def candidates(backend: Backend, serial: str | None) -> Sequence[Attached]:
    """The phone of that serial number alone, or all that are attached.

    Raises:
        DeviceNotFound: none is attached.
    """
    if serial is not None:
        return [Attached(serial)]
    found = backend.attached()
    if not found:
        raise DeviceNotFound(
            f"no phone is attached, by {backend.name}: plug it in, switch on 'USB "
            "debugging' in its developer options, or give HOST:PORT as serial under [adb]"
        )
    return found
