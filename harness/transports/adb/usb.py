"""Phones on USB, by adb-shell and libusb."""

from collections.abc import Sequence
from typing import Any

from harness.errors import DeviceBusy, DeviceNotFound, MissingExtra, TargetLost
from harness.hints import install

DRAIN_SIZE, DRAIN_TIMEOUT_S = 1 << 14, 0.05
PACKET = 512  # a transfer of a multiple of this is ended by an empty one


def _usb() -> tuple[Any, Any]:
    """adb-shell's USB transport and libusb.

    Raises:
        MissingExtra: one of them is not installed.
    """
    try:
        import usb1
        from adb_shell.transport.usb_transport import UsbTransport
    except (ImportError, OSError) as error:
        raise MissingExtra(
            f"phones on USB without an adb server: {error}; {install('android')} and your "
            "system's libusb-1.0, or start the adb server with `adb start-server`"
        ) from error
    return UsbTransport, usb1


def usb_serials() -> Sequence[str]:
    """Serial numbers of the phones on USB that we may open."""
    transport, usb1 = _usb()
    found: list[str] = []
    closed: Exception | None = None
    for each in transport.find_all_adb_devices():
        try:
            found.append(str(each.serial_number))
        except usb1.USBError as error:
            closed = error
    if closed is not None and not found:
        raise DeviceBusy(
            f"a phone on USB cannot be opened: {closed}; give yourself access to it (udev rules "
            "of your system for Android phones)"
        ) from closed
    return found


class UsbWire:
    """A phone on USB, held for us alone."""

    def __init__(self, serial: str) -> None:
        """Raises DeviceNotFound, DeviceBusy, MissingExtra."""
        from adb_shell.exceptions import UsbDeviceNotFoundError

        transport, usb1 = _usb()
        self._errors: Any = usb1
        try:
            self._transport = transport.find_adb(serial=serial)
            self._transport.connect(None)
        except UsbDeviceNotFoundError as error:
            raise DeviceNotFound(f"no phone {serial} on USB: plug it in, or change it") from error
        except usb1.USBError as error:
            raise DeviceBusy(
                f"another program holds the phone {serial} ({error}): an adb server? Then use "
                "backend = 'auto' under [adb], or `adb kill-server`"
            ) from error
        self._serial = serial
        self._drain()

    def _drain(self) -> None:
        """Throw away what an earlier session left: USB has no connections that would end."""
        try:
            while True:
                self._transport.bulk_read(DRAIN_SIZE, DRAIN_TIMEOUT_S)
        except Exception as error:
            if not isinstance(self._broken(error), TimeoutError):
                raise self._broken(error) from error

    def send(self, data: bytes, timeout_s: float) -> None:
        try:
            self._transport.bulk_write(data, timeout_s)
            if len(data) % PACKET == 0:
                self._transport.bulk_write(b"", timeout_s)
        except Exception as error:
            raise self._broken(error) from error

    def receive(self, count: int, timeout_s: float) -> bytes:
        try:
            return bytes(self._transport.bulk_read(count, timeout_s))
        except Exception as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> Exception:
        cause = error.args[1] if len(error.args) > 1 else error
        if isinstance(cause, self._errors.USBErrorTimeout):
            return TimeoutError(str(error))
        return TargetLost(f"the link to the phone {self._serial} broke: {cause}")

    def close(self) -> None:
        self._transport.close()
