"""Phones through the adb server, which shares USB with other tools and speaks TLS over Wi-Fi.

adbutils finds and starts the server. Its shell and file transfers are not used: they have no
exit status with a deadline, and cost 24 ms a call.
"""

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import Any

from harness.errors import (
    DeviceError,
    DeviceNotFound,
    DeviceOffline,
    DeviceUnauthorized,
    MissingExtra,
    TargetFailed,
    TargetLost,
)
from harness.transports.adb.direct import NO_DIALOG
from harness.transports.adb.link import Attached
from harness.transports.adb.sockets import receive_some, send_all

CONNECT_TIMEOUT_S, START_TIMEOUT_S = 10.0, 20.0
SETTLING, SETTLE_S = ("connecting", "authorizing", "offline"), 3.0  # while they shake hands
CHUNK = 1 << 16


def server_runs() -> bool:
    """Whether an adb server listens."""
    host = os.environ.get("ANDROID_ADB_SERVER_HOST", "127.0.0.1")
    try:
        port = int(os.environ.get("ANDROID_ADB_SERVER_PORT", "5037"))
        socket.create_connection((host, port), timeout=1).close()
    except (OSError, ValueError):
        return False
    return True


class ServerBackend:
    """The adb server; started where it does not run yet."""

    name = "the adb server"

    def __init__(self) -> None:
        """Raises MissingExtra where adbutils is not installed."""
        try:
            import adbutils
        except ImportError as error:
            raise MissingExtra("phones through the adb server: pip install '.[android]'") from error
        self._client: Any = adbutils.AdbClient()

    def attached(self) -> Sequence[Attached]:
        answer = self._ask("host:devices")
        rows = [line.split("\t", 1) for line in answer.splitlines() if "\t" in line]
        return [Attached(serial, state.strip()) for serial, state in rows]

    def link(self, serial: str) -> "ServerLink":
        state = self._state(serial)
        if state is None and ":" in serial:
            self._ask(f"host:connect:{serial}")
        end = time.monotonic() + SETTLE_S
        while (state := self._state(serial)) in SETTLING and time.monotonic() < end:
            time.sleep(0.05)
        if state is None:
            raise DeviceNotFound(f"no phone {serial} is attached: plug it in, or change the serial")
        if state == "unauthorized":
            raise DeviceUnauthorized(NO_DIALOG.format(serial))
        if state != "device":
            raise DeviceOffline(
                f"the phone {serial} is {state}: unplug it and plug it in again, or "
                "`adb reconnect offline`"
            )
        return ServerLink(self, serial)

    def _state(self, serial: str) -> str | None:
        return next((each.state for each in self.attached() if each.serial == serial), None)

    def _ask(self, request: str) -> str:
        import adbutils

        connection = self.connect(CONNECT_TIMEOUT_S)
        try:
            connection.send_command(request)
            connection.check_okay()
            return str(connection.read_string_block())
        except (adbutils.AdbError, OSError, ValueError) as error:
            raise DeviceError(f"the adb server could not answer {request!r}: {error}") from error
        finally:
            connection.conn.close()

    def connect(self, timeout_s: float) -> Any:
        """A new connection to the server.

        Raises:
            DeviceError: it neither runs nor can be started.
        """
        import adbutils

        try:
            if not server_runs():
                command = [adbutils.adb_path(), "start-server"]
                subprocess.run(command, capture_output=True, check=True, timeout=START_TIMEOUT_S)
            return self._client.make_connection(timeout=timeout_s)
        except (adbutils.AdbError, OSError, subprocess.SubprocessError) as error:
            raise DeviceError(f"no adb server runs, and none can be started: {error}") from error


class ServerLink:
    """A phone that the adb server is connected to; each service has a connection of its own."""

    def __init__(self, backend: ServerBackend, serial: str) -> None:
        self._backend = backend
        self._serial = serial

    def open(self, service: str, timeout_s: float) -> "ServerStream":
        import adbutils

        connection = self._backend.connect(timeout_s)
        try:
            for request in (f"host:transport:{self._serial}", service):
                connection.send_command(request)
                connection.check_okay()
        except adbutils.AdbTimeout as error:
            connection.conn.close()
            raise TimeoutError from error
        except (adbutils.AdbError, OSError, ValueError) as error:
            connection.conn.close()
            raise self._refused(service, str(error)) from error
        connection.conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return ServerStream(connection.conn, self._serial)

    def _refused(self, service: str, reason: str) -> DeviceError:
        if "unauthorized" in reason:
            return DeviceUnauthorized(NO_DIALOG.format(self._serial))
        if "not found" in reason or "offline" in reason or "closed" in reason or not reason:
            return TargetLost(f"the link to the phone {self._serial} broke: {reason}")
        name = service.partition(":")[0]
        return TargetFailed(f"the phone refuses the service {name!r}: {reason}")

    def close(self) -> None:
        """The server keeps its own connection."""


class ServerStream:
    """A socket to the adb server that has become one to a service."""

    def __init__(self, connection: socket.socket, serial: str) -> None:
        self._socket = connection
        self._serial = serial

    def write(self, data: bytes, timeout_s: float) -> None:
        send_all(self._socket, data, timeout_s, f"the phone {self._serial}")

    def read(self, timeout_s: float) -> bytes:
        return receive_some(self._socket, CHUNK, timeout_s, f"the phone {self._serial}")

    def close(self) -> None:
        self._socket.close()
