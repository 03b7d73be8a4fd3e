"""Phones through the adb server, which shares USB with other tools and speaks TLS over Wi-Fi.

adbutils brings adb itself, which starts the server. Its shell and file transfers are not used: they
have no exit status with a deadline, and cost 24 ms a call (AOSP, modules/adb/SERVICES.TXT).
"""

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

from harness.errors import (
    DeviceError,
    DeviceNotFound,
    DeviceOffline,
    DeviceUnauthorized,
    TargetFailed,
    TargetLost,
    UsageError,
)
from harness.hints import missing
from harness.transports.adb.direct import NO_DIALOG
from harness.transports.adb.link import Attached
from harness.transports.adb.sockets import receive_exactly, receive_some, send_all
from harness.transports.plausible import Range, whole

CONNECT_TIMEOUT_S, START_TIMEOUT_S = 10.0, 20.0
SETTLING, SETTLE_S = ("connecting", "authorizing", "offline"), 3.0  # while they shake hands
CHUNK = 1 << 16
SERVER = "the adb server"
PORT = Range(1, 65_535)
OTHER_LANGUAGE = "what listens at the adb server's port speaks another language"


class Refused(Exception):
    """The server's answer FAIL, with its reason."""


@dataclass(frozen=True)
class Server:
    """Where an adb server listens."""

    host: str
    port: int
    elsewhere: bool = False  # it was named: whoever it belongs to starts it

    @classmethod
    def at(cls, address: str = "") -> "Server":
        """The server at `HOST:PORT`; "": this computer's, or what adb's own variables name.

        Raises:
            UsageError: that is no address.
        """
        if address:
            host, _, port = address.rpartition(":")
            number = whole(port, PORT)
            if not host or number is None:
                raise UsageError(f"{address!r} is no address of an adb server: write HOST:PORT")
            return cls(host.removeprefix("[").removesuffix("]"), number, elsewhere=True)
        host = os.environ.get("ANDROID_ADB_SERVER_HOST", "127.0.0.1")
        port = os.environ.get("ANDROID_ADB_SERVER_PORT", "5037")
        return cls(host, whole(port, PORT) or 5037)

    def __str__(self) -> str:
        return f"{SERVER} at {self.host}:{self.port}" if self.elsewhere else SERVER

    def runs(self) -> bool:
        """Whether it listens."""
        try:
            self._connect(1.0).close()
        except OSError:
            return False
        return True

    def start(self) -> None:
        """Start it where none runs.

        Raises:
            DeviceOffline: it cannot be started, or is not ours to start.
        """
        if self.runs():
            return
        if self.elsewhere:
            raise DeviceOffline(
                f"{self} does not answer: start it there (`adb start-server`), and lead its port "
                "here by `ssh -N -L 5038:127.0.0.1:5037 HOST` with server = '127.0.0.1:5038'"
            )
        import adbutils

        try:
            command = [adbutils.adb_path(), "start-server"]
            ended = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=START_TIMEOUT_S
            )
        except (adbutils.AdbError, OSError, subprocess.SubprocessError) as error:
            raise DeviceOffline(f"no adb server runs, and none can be started: {error}") from error
        if ended.returncode:
            said = f"{ended.stdout}{ended.stderr}"  # versions differ in where they complain
            raise DeviceOffline(
                f"no adb server runs, and `{' '.join(command)}` ended with {ended.returncode}: "
                f"{said}"
            )

    def ask(self, *requests: str, timeout_s: float) -> socket.socket:
        """A connection on which the server has accepted each request.

        Raises:
            Refused: it did not accept one, and says why.
            TimeoutError: it does not answer.
            TargetLost, DeviceOffline: it is gone.
        """
        self.start()
        try:
            connection = self._connect(CONNECT_TIMEOUT_S)
        except OSError as error:
            raise TargetLost(f"{self} is gone: {error}") from error
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for request in requests:
                text = request.encode()
                send_all(connection, b"%04x" % len(text) + text, timeout_s, str(self))
                answer = receive_exactly(connection, 4, timeout_s, str(self))
                if answer == b"FAIL":
                    raise Refused(read_text(connection, timeout_s))
                if answer != b"OKAY":
                    raise TargetLost(OTHER_LANGUAGE)
        except BaseException:
            connection.close()
            raise
        return connection

    def answer(self, request: str) -> str:
        """What the server has to say.

        Raises:
            DeviceOffline: it does not say it.
        """
        try:
            with self.ask(request, timeout_s=CONNECT_TIMEOUT_S) as connection:
                return read_text(connection, CONNECT_TIMEOUT_S)
        except (Refused, TimeoutError, TargetLost) as error:
            raise DeviceOffline(f"{self} does not answer {request!r}: {error}") from error

    def _connect(self, timeout_s: float) -> socket.socket:
        return socket.create_connection((self.host, self.port), timeout=timeout_s)


def read_text(connection: socket.socket, timeout_s: float) -> str:
    """A text with its length in front, as the server gives them."""
    try:
        length = int(receive_exactly(connection, 4, timeout_s, SERVER), 16)
    except ValueError as error:
        raise TargetLost(OTHER_LANGUAGE) from error
    return receive_exactly(connection, length, timeout_s, SERVER).decode(errors="replace")


class ServerBackend:
    """An adb server; this computer's is started where it does not run yet."""

    def __init__(self, server: Server) -> None:
        """Raises MissingExtra where adbutils, which brings adb, is needed and not installed."""
        self._server = server
        self.name = str(server)
        if not server.elsewhere and find_spec("adbutils") is None:
            raise missing("phones at an adb server are reached by", "adbutils", "android")

    def attached(self) -> Sequence[Attached]:
        rows = [line.split("\t", 1) for line in self._server.answer("host:devices").splitlines()]
        return [Attached(row[0], row[1].strip()) for row in rows if len(row) == 2]

    def link(self, serial: str) -> "ServerLink":
        state = self._state(serial)
        if state is None and ":" in serial:
            self._server.answer(f"host:connect:{serial}")
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
        return ServerLink(self._server, serial)

    def _state(self, serial: str) -> str | None:
        return next((each.state for each in self.attached() if each.serial == serial), None)


class ServerLink:
    """A phone that an adb server is connected to; each service has a connection of its own."""

    def __init__(self, server: Server, serial: str) -> None:
        self._server = server
        self._serial = serial

    def open(self, service: str, timeout_s: float) -> "ServerStream":
        try:
            transport = f"host:transport:{self._serial}"
            return ServerStream(
                self._server.ask(transport, service, timeout_s=timeout_s), self._serial
            )
        except Refused as error:
            raise self._refused(service, str(error)) from error

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
