"""The adb protocol spoken to a phone directly, without an adb server.

Message format, RSA signatures and USB come from adb-shell. Its own connection is not used: it
loses bytes on real links, waits 40 ms a call, verifies sums byte by byte, and cannot be told to
stop (AOSP, packages/modules/adb/protocol.txt).
"""

import itertools
import socket
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness import __version__
from harness.errors import DeviceOffline, DeviceUnauthorized, TargetFailed, TargetLost
from harness.transports.adb.sockets import receive_some, send_all

MESSAGE = struct.Struct("<4s5I")  # command, two arguments, length, checksum, magic
VERSION = 0x01000001  # checksums are left out where both sides have at least this
MAX_DATA = 1 << 20
TOKEN, SIGNATURE, PUBLIC_KEY = 1, 2, 3
TOKEN_SIZE = 20  # bytes; it is signed as if it were a SHA-1
SLOWEST_LINK = 1 << 16  # bytes a second
KNOWN = (b"AUTH", b"CLSE", b"CNXN", b"OKAY", b"OPEN", b"STLS", b"SYNC", b"WRTE")
FEATURES = "shell_v2,cmd,stat_v2,ls_v2,fixed_push_mkdir"
CONNECT_TIMEOUT_S = 10.0
NO_DIALOG = (
    "the phone {} does not trust this computer: unlock it, accept the dialog 'Allow USB debugging' "
    "(tick 'Always allow'), then start again"
)


class Wire(Protocol):
    """Bytes to a phone and back, over TCP or USB."""

    def send(self, data: bytes, timeout_s: float) -> None: ...

    def receive(self, count: int, timeout_s: float) -> bytes:
        """At most `count` bytes and at least one.

        Raises:
            TimeoutError, TargetLost
        """

    def close(self) -> None: ...


@dataclass
class Message:
    command: bytes
    arg0: int
    arg1: int
    data: bytes = b""


@dataclass
class DirectStream:
    """One service. A packet may be under way each way; the next waits for its OKAY."""

    link: "DirectLink"
    local_id: int
    remote_id: int = 0
    refused: bool = False
    ended: bool = False
    unacknowledged: int = 0
    arrived: list[bytes] = field(default_factory=list)

    def write(self, data: bytes, timeout_s: float) -> None:
        size = self.link.max_data
        for start in range(0, len(data), size):
            if self.ended:
                raise TargetLost("the phone ended the service")
            part = data[start : start + size]
            self.link.send(Message(b"WRTE", self.local_id, self.remote_id, part), timeout_s)
            self.unacknowledged += 1
            self.link.receive_until(lambda: not self.unacknowledged or self.ended, timeout_s)

    def read(self, timeout_s: float) -> bytes:
        self.link.receive_until(lambda: bool(self.arrived) or self.ended, timeout_s)
        return self.arrived.pop(0) if self.arrived else b""

    def close(self) -> None:
        if not self.ended:
            self.ended = True
            self.link.forget(self)


class DirectLink:
    """A connection to a phone; after a time-out or garbage on it, it is closed for good."""

    def __init__(self, wire: Wire, signers: Sequence[Any], serial: str, dialog_s: float) -> None:
        """`dialog_s`: how long the user has for the dialog on the phone.

        Raises:
            DeviceUnauthorized, DeviceOffline, TargetLost
        """
        self._wire = wire
        self._ids = itertools.count(1)
        self._streams: dict[int, DirectStream] = {}
        self._checked = True
        self.max_data = 4096
        self.features: frozenset[str] = frozenset()
        try:
            self._greet(signers, serial, dialog_s)
        except TimeoutError as error:
            self.close()
            raise DeviceOffline(
                f"the phone {serial} does not answer; unplug it, plug it in again"
            ) from error
        except BaseException:
            self.close()
            raise

    def _greet(self, signers: Sequence[Any], serial: str, dialog_s: float) -> None:
        banner = f"host::harness={__version__};features={FEATURES}".encode()
        self.send(Message(b"CNXN", VERSION, MAX_DATA, banner), CONNECT_TIMEOUT_S)
        answer = self._greeting(CONNECT_TIMEOUT_S)
        untried = list(signers)
        while answer.command == b"AUTH" and answer.arg0 == TOKEN and untried:
            if len(answer.data) != TOKEN_SIZE:
                raise TargetLost(f"{serial} speaks no ADB that we know")
            signature = untried.pop(0).Sign(answer.data)
            self.send(Message(b"AUTH", SIGNATURE, 0, signature), CONNECT_TIMEOUT_S)
            answer = self._greeting(CONNECT_TIMEOUT_S)
        if answer.command == b"AUTH":
            answer = self._ask_for_trust(signers, serial, dialog_s)
        if answer.command == b"STLS":
            raise TargetFailed(
                f"{serial} wants an encrypted link (wireless debugging): pair with `adb pair`, "
                "then use the adb server: backend = 'server' under [adb]"
            )
        if answer.command != b"CNXN":
            raise TargetLost(f"{serial} speaks no ADB that we know")
        self._checked = answer.arg0 < VERSION
        self.max_data = max(1, min(answer.arg1, MAX_DATA))
        _, _, features = answer.data.decode(errors="replace").partition("features=")
        self.features = frozenset(features.strip("\0").split(";")[0].split(","))
        if "shell_v2" not in self.features:
            raise TargetFailed(f"the phone {serial} has no shell_v2: Android 8 or newer is needed")

    def _greeting(self, timeout_s: float) -> Message:
        """The next message of the handshake; on USB those of an earlier session may come first."""
        end = time.monotonic() + timeout_s
        while True:
            message = self._next(max(0.001, end - time.monotonic()))
            if message.command in (b"CNXN", b"AUTH", b"STLS"):
                return message

    def _ask_for_trust(self, signers: Sequence[Any], serial: str, dialog_s: float) -> Message:
        if not signers:
            raise DeviceUnauthorized(NO_DIALOG.format(serial))
        public_key = bytes(signers[0].GetPublicKey()).strip() + b"\0"
        self.send(Message(b"AUTH", PUBLIC_KEY, 0, public_key), CONNECT_TIMEOUT_S)
        try:
            answer = self._greeting(dialog_s)
        except TimeoutError as error:
            raise DeviceUnauthorized(NO_DIALOG.format(serial)) from error
        if answer.command == b"AUTH":
            raise DeviceUnauthorized(NO_DIALOG.format(serial))
        return answer

    def open(self, service: str, timeout_s: float) -> DirectStream:
        stream = DirectStream(self, next(self._ids))
        self._streams[stream.local_id] = stream
        self.send(Message(b"OPEN", stream.local_id, 0, service.encode() + b"\0"), timeout_s)
        self.receive_until(lambda: bool(stream.remote_id) or stream.ended, timeout_s)
        if not stream.remote_id:
            raise TargetFailed(f"the phone refuses the service {service.partition(':')[0]!r}")
        return stream

    def receive_until(self, done: Callable[[], bool], timeout_s: float) -> None:
        """Take messages until there is what a stream waits for; others are no progress to it.

        Raises:
            TimeoutError, TargetLost
        """
        end = time.monotonic() + timeout_s
        while not done():
            self._receive(max(0.001, end - time.monotonic()))

    def _receive(self, timeout_s: float) -> None:
        """Take one message and hand it to its stream."""
        message = self._next(timeout_s)
        stream = self._streams.get(message.arg1)
        if stream is None:
            return  # of a stream that we have closed
        if message.command == b"OKAY":
            stream.remote_id = message.arg0
            stream.unacknowledged = max(0, stream.unacknowledged - 1)
        elif message.command == b"WRTE":
            self.send(Message(b"OKAY", stream.local_id, stream.remote_id), timeout_s)
            if message.data:
                stream.arrived.append(message.data)
        elif message.command == b"CLSE":
            stream.ended = True
            self._say_close(stream)

    def forget(self, stream: DirectStream) -> None:
        self._say_close(stream)

    def _say_close(self, stream: DirectStream) -> None:
        self._streams.pop(stream.local_id, None)
        try:
            self.send(Message(b"CLSE", stream.local_id, stream.remote_id), CONNECT_TIMEOUT_S)
        except (TimeoutError, TargetLost):
            self.close()

    def send(self, message: Message, timeout_s: float) -> None:
        (number,) = struct.unpack("<I", message.command)
        total = sum(message.data) & 0xFFFFFFFF if self._checked else 0
        header = MESSAGE.pack(
            message.command,
            message.arg0,
            message.arg1,
            len(message.data),
            total,
            number ^ 0xFFFFFFFF,
        )
        try:
            self._wire.send(header, timeout_s)
            if message.data:
                self._wire.send(message.data, timeout_s)
        except TimeoutError:
            self.close()  # what was sent in part cannot be gone on with
            raise

    def _next(self, timeout_s: float) -> Message:
        try:
            header = self._exactly(MESSAGE.size, timeout_s)
            command, arg0, arg1, length, total, magic = MESSAGE.unpack(header)
            (number,) = struct.unpack("<I", command)
            if command not in KNOWN or number ^ 0xFFFFFFFF != magic or length > MAX_DATA:
                raise TargetLost("what is at the other end speaks no ADB")
            data = self._exactly(length, timeout_s)
            if self._checked and data and total not in (0, sum(data) & 0xFFFFFFFF):
                raise TargetLost("a message of the phone arrived damaged")
        except (TimeoutError, TargetLost):
            self.close()
            raise
        return Message(command, arg0, arg1, data)

    def _exactly(self, count: int, timeout_s: float) -> bytes:
        end = time.monotonic() + timeout_s + count / SLOWEST_LINK
        data = bytearray()
        while len(data) < count:
            left_s = end - time.monotonic()
            if left_s <= 0:
                raise TimeoutError("a message does not end")
            data += self._wire.receive(count - len(data), min(timeout_s, left_s))
        return bytes(data)

    def close(self) -> None:
        self._wire.close()


class TcpWire:
    """A TCP connection; a time-out counts from the last byte that moved."""

    def __init__(self, address: str) -> None:
        """Raises DeviceOffline where nobody listens at HOST:PORT."""
        host, _, port = address.rpartition(":")
        try:
            self._socket = socket.create_connection(
                (host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S
            )
        except (OSError, ValueError) as error:
            raise DeviceOffline(f"no phone answers at {address}: {error}") from error
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._at = address

    def send(self, data: bytes, timeout_s: float) -> None:
        send_all(self._socket, data, timeout_s, self._at)

    def receive(self, count: int, timeout_s: float) -> bytes:
        data = receive_some(self._socket, count, timeout_s, self._at)
        if not data:
            raise TargetLost(f"{self._at} has closed the link")
        return data

    def close(self) -> None:
        self._socket.close()
