"""A fake phone: the adb daemon's side of the wire protocol over TCP, told to misbehave at will.

A real adbd on Linux has no authentication, never loses its link at a chosen message and never fills
its disk. Shell commands run for real, in a scratch folder that stands for the phone's files.
"""

import asyncio
import base64
import contextlib
import errno
import itertools
import os
import posixpath
import signal
import socket
import struct
import subprocess
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, NoReturn, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA1

TMP = "/data/local/tmp"
FEATURES = ("shell_v2", "cmd", "stat_v2", "ls_v2", "fixed_push_mkdir")
LEGACY_VERSION, VERSION = 0x01000000, 0x01000001
LEGACY_MAXDATA, MAXDATA = 4096, 1 << 20
TOKEN, SIGNATURE, RSAPUBLICKEY = 1, 2, 3
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)
FILE_BLOCK_V1, FILE_BLOCK_V2 = struct.Struct("<3I"), struct.Struct("<IQQ4IQ3q")
ALL_ONES = 0xFFFFFFFF
CHUNK = 1 << 16

LinkFault = Literal["close", "reset", "stall"]
AnswerFault = Literal["garbage", "absurd_length", "bad_magic", "bad_checksum"]


@dataclass(frozen=True)
class Fault:
    """What goes wrong at the `at`-th message (from 1) of those that match, counted per connection.

    Faults of the link count the host's messages and strike before the message is acted on; faults
    of an answer count the phone's messages. `command` ("WRTE") and the beginning of the stream's
    `service` ("sync:", "shell") narrow what is counted.
    """

    kind: LinkFault | AnswerFault
    at: int = 1
    command: str = ""
    service: str = ""
    every_connection: bool = False

    @property
    def in_answers(self) -> bool:
        return self.kind not in ("close", "reset", "stall")


@dataclass(frozen=True)
class Behaviour:
    """What kind of phone it is; the default one is recent and healthy."""

    # "accepted": the user presses OK when the dialog has been shown for accept_after_s.
    authentication: Literal["none", "accepted", "dialog"] = "none"
    accept_after_s: float = 0
    accepted_keys: tuple[bytes, ...] = ()  # as in adb's .pub files; they need no dialog
    version: int = VERSION
    maxdata: int = MAXDATA
    features: tuple[str, ...] = FEATURES
    model: str = "Fake_1"
    fault: Fault | None = None
    disk_space: int | None = None  # bytes for all files under TMP
    # adbd 34 says at once that a push fails, while the host is still sending.
    failure_said: Literal["at_once", "after_done"] = "after_done"
    # adbd 34 kills only the shell itself where a shell v2 stream is cut; its children live on.
    cut_shell_kills: Literal["group", "shell"] = "group"
    refuse_services: bool = False

    @property
    def banner(self) -> bytes:
        names = (f"ro.product.{name}={self.model};" for name in ("name", "model", "device"))
        return f"device::{''.join(names)}features={','.join(self.features)}".encode()


RECENT = Behaviour()


@dataclass(frozen=True)
class Message:
    """One message, as tests count them; `service` is that of its stream, if it has one."""

    connection: int
    command: str
    service: str
    size: int


def public_key(text: bytes) -> RSAPublicKey:
    """Read adb's own format: little-endian, with Montgomery numbers that nobody here needs."""
    blob = base64.b64decode(text.rstrip(b"\0").split(maxsplit=1)[0], validate=True)
    _, _, modulus, _, exponent = struct.unpack("<II256s256sI", blob)
    return RSAPublicNumbers(exponent, int.from_bytes(modulus, "little")).public_key()


def signed(key: RSAPublicKey, signature: bytes, token: bytes) -> bool:
    """Whether the key signed the token, which by the protocol already is the SHA-1 digest."""
    try:
        key.verify(signature, token, PKCS1v15(), Prehashed(SHA1()))
    except InvalidSignature:
        return False
    return True


def packed(
    command: str, arg0: int, arg1: int, data: bytes, checked: bool, fault: str | None
) -> bytes:
    """One message as it goes over the wire, spoiled where a fault says so."""
    if fault == "garbage":
        return b"\xa5" * (24 + len(data))
    code = int.from_bytes(command.encode(), "little")
    length = ALL_ONES - 15 if fault == "absurd_length" else len(data)
    magic = code if fault == "bad_magic" else code ^ ALL_ONES
    checksum = sum(data) & ALL_ONES if checked else 0
    if fault == "bad_checksum":
        checksum ^= 1
    return struct.pack("<6I", code, arg0, arg1, length, checksum, magic) + data


def file_fields(status: os.stat_result, block: struct.Struct) -> bytes:
    """What the sync service tells of a file, in the first or second version of its format."""
    mode, size, modified = status.st_mode, status.st_size, int(status.st_mtime)
    if block is FILE_BLOCK_V1:
        return block.pack(mode, size & ALL_ONES, modified)
    owner = status.st_nlink, status.st_uid, status.st_gid
    times = int(status.st_atime), modified, int(status.st_ctime)
    return block.pack(0, status.st_dev, status.st_ino, mode, *owner, size, *times)


def failure(reason: str) -> bytes:
    return struct.pack("<4sI", b"FAIL", len(reason)) + reason.encode()


async def for_ever() -> None:
    await asyncio.get_running_loop().create_future()


class Stream:
    """One service's two-way byte stream; a side sends its next WRTE only after the OKAY."""

    def __init__(self, link: "Link", local: int, remote: int, service: str) -> None:
        self.link, self.local, self.remote, self.service = link, local, remote, service
        self.chunks: asyncio.Queue[bytes] = asyncio.Queue()
        self.owes_okay = False
        self.acknowledged = asyncio.Event()
        self._writing = asyncio.Lock()
        self._buffer = bytearray()

    async def read_chunk(self) -> bytes:
        """The next WRTE's data; its OKAY goes out only now: a slow reader slows the host."""
        chunk = await self.chunks.get()
        self.owes_okay = False
        await self.link.send("OKAY", self.local, self.remote)
        return chunk

    async def read(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._buffer += await self.read_chunk()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    async def post(self, data: bytes) -> None:
        """Send at most one WRTE without waiting for its OKAY."""
        self.acknowledged.clear()
        await self.link.send("WRTE", self.local, self.remote, data)

    async def write(self, data: bytes) -> None:
        async with self._writing:
            for start in range(0, len(data), self.link.maxdata):
                await self.post(data[start : start + self.link.maxdata])
                await self.acknowledged.wait()


class Link:
    """One host's connection to the phone."""

    def __init__(
        self, phone: "FakePhone", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.phone, self.behaviour = phone, phone.behaviour
        self.maxdata = phone.behaviour.maxdata
        phone.connections += 1
        self._number = phone.connections
        self._reader, self._writer = reader, writer
        self._streams: dict[int, tuple[Stream, asyncio.Task[None]]] = {}
        self._services: dict[int, str] = {}
        self._numbers = itertools.count(1)
        self._checked = True
        self._online = self._stalled = False
        self._token = b""
        self._matched = 0

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as services:
                with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                    while True:
                        await self._handle(*await self._receive(), services)
                for _, task in self._streams.values():
                    task.cancel()
        finally:
            self._writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await self._writer.wait_closed()

    async def send(self, command: str, arg0: int, arg1: int, data: bytes = b"") -> None:
        message = Message(self._number, command, self._services.get(arg0, ""), len(data))
        if self._stalled:
            await for_ever()
        self.phone.answers.append(message)
        fault = self._fault_at(message, in_answers=True)
        checked = self._checked or command in ("CNXN", "AUTH")
        spoiled = fault.kind if fault else None
        self._writer.write(packed(command, arg0, arg1, data, checked, spoiled))
        await self._writer.drain()

    async def _receive(self) -> tuple[str, int, int, bytes]:
        head = await self._reader.readexactly(24)
        code, arg0, arg1, length, checksum, magic = struct.unpack("<6I", head)
        command = head[:4].decode("latin-1")
        if magic != code ^ ALL_ONES:
            self._host_is_wrong(f"bad magic in {head!r}")
        if length > self.behaviour.maxdata:
            self._host_is_wrong(f"{command} of {length} bytes")
        data = await self._reader.readexactly(length)
        if (self._checked or command == "CNXN") and checksum != sum(data) & ALL_ONES:
            self._host_is_wrong(f"bad checksum in {command}")
        await self._note(command, arg1, data)
        return command, arg0, arg1, data

    async def _note(self, command: str, local: int, data: bytes) -> None:
        """Record the host's message; the link may go wrong here, before the message is acted on."""
        service = self._services.get(local, "")
        if command == "OPEN":
            service = data.rstrip(b"\0").decode()
        message = Message(self._number, command, service, len(data))
        self.phone.messages.append(message)
        fault = self._fault_at(message, in_answers=False)
        if fault is None:
            return
        if fault.kind == "stall":
            self._stalled = True
            await for_ever()
        if fault.kind == "reset":
            linger = struct.pack("ii", 1, 0)
            sock = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        raise ConnectionAbortedError(fault.kind)

    def _fault_at(self, message: Message, in_answers: bool) -> Fault | None:
        fault = self.behaviour.fault
        if fault is None or fault.in_answers != in_answers:
            return None
        if self.phone.fault_happened.is_set() and not fault.every_connection:
            return None
        if fault.command not in ("", message.command):
            return None
        if not message.service.startswith(fault.service):
            return None
        self._matched += 1
        if self._matched != fault.at:
            return None
        self.phone.fault_happened.set()
        return fault

    def _host_is_wrong(self, how: str) -> NoReturn:
        self.phone.violations.append(how)
        raise ConnectionAbortedError(how)

    async def _handle(
        self, command: str, arg0: int, arg1: int, data: bytes, services: asyncio.TaskGroup
    ) -> None:
        if command == "CNXN":
            await self._meet(arg0, arg1)
        elif command == "AUTH" and self._token:
            await self._authenticate(arg0, data)
        elif command == "OPEN" and self._online:
            await self._open(arg0, data.rstrip(b"\0").decode(), services)
        elif command == "CLSE":
            await self._close(arg1, arg0)
        elif arg1 in self._streams:
            stream, _ = self._streams[arg1]
            if command == "OKAY":
                stream.acknowledged.set()
            elif command == "WRTE":
                if stream.owes_okay:
                    self._host_is_wrong("WRTE before the OKAY to the one before")
                stream.owes_okay = True
                stream.chunks.put_nowait(data)

    async def _meet(self, version: int, maxdata: int) -> None:
        self._checked = min(version, self.behaviour.version) < VERSION
        self.maxdata = min(maxdata, self.behaviour.maxdata)
        if self.behaviour.authentication == "none":
            await self._welcome()
        else:
            await self._ask_for_signature()

    async def _welcome(self) -> None:
        self._online, self._token = True, b""
        behaviour = self.behaviour
        await self.send("CNXN", behaviour.version, behaviour.maxdata, behaviour.banner)

    async def _ask_for_signature(self) -> None:
        self._token = os.urandom(20)
        await self.send("AUTH", TOKEN, 0, self._token)

    async def _authenticate(self, kind: int, data: bytes) -> None:
        if kind == SIGNATURE:
            if any(signed(key, data, self._token) for key in self.phone.accepted_keys):
                await self._welcome()
            else:
                await self._ask_for_signature()
        elif kind == RSAPUBLICKEY:
            await self._show_dialog(data)

    async def _show_dialog(self, data: bytes) -> None:
        try:
            key = public_key(data)
        except (ValueError, IndexError, struct.error):
            self._host_is_wrong(f"no public key: {data!r}")
        self.phone.dialog_shown.set()
        if self.behaviour.authentication == "accepted":
            await asyncio.sleep(self.behaviour.accept_after_s)
            self.phone.accepted_keys.append(key)
            await self._welcome()

    async def _open(self, remote: int, service: str, services: asyncio.TaskGroup) -> None:
        local = next(self._numbers)
        stream = Stream(self, local, remote, service)
        work = self._work(stream)
        if work is None:
            await self.send("CLSE", 0, remote)
            return
        self._services[local] = service
        await self.send("OKAY", local, remote)
        self._streams[local] = stream, services.create_task(self._serve(stream, work))

    def _work(self, stream: Stream) -> Callable[[], Awaitable[None]] | None:
        """What the daemon does for a service, or None for one that it does not know."""
        kind, colon, argument = stream.service.partition(":")
        name, *options = kind.split(",")
        if self.behaviour.refuse_services or not colon:
            return None
        if name == "sync":
            return Sync(stream, self.phone).serve
        if name == "shell" and "v2" in options:
            if "shell_v2" in self.behaviour.features:
                return partial(Shell(stream, self.phone, framed=True).serve, argument)
        elif name in ("shell", "exec"):
            return partial(Shell(stream, self.phone, framed=False).serve, argument)
        return None

    async def _serve(self, stream: Stream, work: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(ConnectionError):  # which the link itself notices as well
            await work()
            del self._streams[stream.local]
            await self.send("CLSE", stream.local, stream.remote)

    async def _close(self, local: int, remote: int) -> None:
        """Answer CLSE with CLSE, also where the phone closed first, as adbd does."""
        if local in self._streams:
            _, task = self._streams.pop(local)
            task.cancel()
            await asyncio.wait([task])
        if self._services.pop(local, None) is not None:
            await self.send("CLSE", local, remote)


class Shell:
    """A command in a real shell; framed (shell v2) it tells its exit status and stderr apart."""

    def __init__(self, stream: Stream, phone: "FakePhone", framed: bool) -> None:
        self._stream, self._phone, self._framed = stream, phone, framed
        self._loop = asyncio.get_running_loop()
        self._kills_group = not framed or phone.behaviour.cut_shell_kills == "group"

    async def serve(self, command: str) -> None:
        with contextlib.ExitStack() as ends:
            # Not pipes, since the loop can await sockets; adbd has sockets here too.
            pairs = [socket.socketpair() for _ in range(3)]
            for end in itertools.chain(*pairs):
                ends.enter_context(end)
            (stdin, _), (stdout, _), (stderr, _) = pairs
            process = self._start(command, [theirs for _, theirs in pairs])
            work = (self._pump(stdout, STDOUT), self._pump(stderr, STDERR), self._feed(stdin))
            *pumps, feeding = (asyncio.create_task(part) for part in work)
            ended = False
            try:
                await asyncio.gather(*pumps)
                while (status := process.poll()) is None:
                    await asyncio.sleep(0.002)
                ended = True
                if self._framed:
                    status = status if status >= 0 else 128 - status
                    await self._stream.write(struct.pack("<BIB", EXIT, 1, status))
            finally:
                self._kill(process, ended)
                for task in (*pumps, feeding):
                    task.cancel()
                await asyncio.gather(*pumps, feeding, return_exceptions=True)

    def _start(self, command: str, ends: list[socket.socket]) -> subprocess.Popen[bytes]:
        stdin, stdout, stderr = (end.fileno() for end in ends)
        process = subprocess.Popen(
            ["sh", "-c", command.replace(TMP, str(self._phone.tmp))],
            stdin=stdin,
            stdout=stdout,
            stderr=stderr if self._framed else stdout,
            cwd=self._phone.root,
            env=self._phone.environment,
            start_new_session=True,
        )
        self._phone.processes.append(process)
        for end in ends:
            end.close()
        return process

    async def _feed(self, stdin: socket.socket) -> None:
        stdin.setblocking(False)
        while True:
            kind, data = STDIN, b""
            if self._framed:
                kind, size = struct.unpack("<BI", await self._stream.read(5))
                data = await self._stream.read(size)
            else:
                data = await self._stream.read_chunk()
            with contextlib.suppress(ConnectionError):  # a command need not read its input
                if kind == STDIN:
                    await self._loop.sock_sendall(stdin, data)
                elif kind == CLOSE_STDIN:
                    stdin.shutdown(socket.SHUT_WR)

    async def _pump(self, source: socket.socket, kind: int) -> None:
        source.setblocking(False)
        while data := await self._loop.sock_recv(source, CHUNK):
            head = struct.pack("<BI", kind, len(data)) if self._framed else b""
            await self._stream.write(head + data)

    def _kill(self, process: subprocess.Popen[bytes], ended: bool) -> None:
        """Without framing nothing outlives the shell; with it only a stream that is cut kills."""
        if self._kills_group and not (self._framed and ended):
            kill_group(process)
        elif not ended:
            process.send_signal(signal.SIGHUP)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)


def kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class Sync:
    """File transfer: requests and data in one byte stream, whatever the packets' borders are."""

    def __init__(self, stream: Stream, phone: "FakePhone") -> None:
        self._stream, self._phone = stream, phone

    async def serve(self) -> None:
        """Answer requests until the host is done or one fails, as adbd does."""
        going_on = True
        while going_on:
            request, size = await self._header()
            argument = (await self._stream.read(size)).decode()
            if request in ("STAT", "STA2", "LST2"):
                going_on = await self._stat(request, argument)
            elif request in ("LIST", "LIS2"):
                going_on = await self._list(request, argument)
            elif request == "RECV":
                going_on = await self._give(argument)
            elif request == "SEND":
                going_on = await self._take(argument)
            elif request == "QUIT":
                going_on = False
            else:
                going_on = await self._fail(f"unknown command {request}")

    async def _header(self) -> tuple[str, int]:
        name, size = struct.unpack("<4sI", await self._stream.read(8))
        return name.decode("latin-1"), size

    async def _fail(self, reason: str) -> bool:
        await self._stream.write(failure(reason))
        return False

    async def _stat(self, request: str, path: str) -> bool:
        block = FILE_BLOCK_V1 if request == "STAT" else FILE_BLOCK_V2
        try:
            status = self._phone.path(path).stat(follow_symlinks=request == "STA2")
            fields = file_fields(status, block)
        except OSError as error:
            fields = struct.pack("<I", error.errno or 0).ljust(block.size, b"\0")
            if block is FILE_BLOCK_V1:  # which has no place for an error
                fields = bytes(block.size)
        await self._stream.write(request.encode() + fields)
        return True

    async def _list(self, request: str, path: str) -> bool:
        block, kind = (FILE_BLOCK_V1, b"DENT") if request == "LIST" else (FILE_BLOCK_V2, b"DNT2")
        try:
            entries = sorted(self._phone.path(path).iterdir())
        except OSError:
            entries = []
        for entry in entries:
            name = entry.name.encode()
            fields = file_fields(entry.lstat(), block) + struct.pack("<I", len(name))
            await self._stream.write(kind + fields + name)
        await self._stream.write(b"DONE" + bytes(block.size + 4))
        return True

    async def _give(self, path: str) -> bool:
        try:
            file = self._phone.path(path).open("rb")
        except OSError as error:
            return await self._fail(f"open failed: {error.strerror}")
        with file:
            while data := file.read(CHUNK):
                await self._stream.write(struct.pack("<4sI", b"DATA", len(data)) + data)
        await self._stream.write(struct.pack("<4sI", b"DONE", 0))
        return True

    async def _take(self, spec: str) -> bool:
        name, _, mode = spec.rpartition(",")
        try:
            path = self._phone.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.touch()
        except OSError as error:
            return await self._drain(f"couldn't create file: {error.strerror}")
        try:
            modified = await self._fill(path)
        except BaseException:
            path.unlink(missing_ok=True)  # adbd leaves no part of a file when the link is lost
            raise
        if modified is None:
            path.unlink()
            return await self._drain(f"write failed: {os.strerror(errno.ENOSPC)}")
        user = int(mode) >> 6 & 7
        path.chmod(int(mode) & 0o777 | user << 3 | user)
        os.utime(path, (modified, modified))
        await self._stream.write(struct.pack("<4sI", b"OKAY", 0))
        return True

    async def _fill(self, path: Path) -> int | None:
        """Write what the host sends; its modification time, or None where the disk is full."""
        free = self._phone.free_space()
        with path.open("wb") as file:
            while True:
                kind, size = await self._header()
                if kind == "DONE":
                    return size
                data = await self._stream.read(size)
                free -= size
                if free < 0:
                    return None
                file.write(data)

    async def _drain(self, reason: str) -> bool:
        """Fail a push, but read all that the host is still sending.

        Said at once, it cannot wait for the OKAY: a host that is still sending may not listen.
        """
        at_once = self._phone.behaviour.failure_said == "at_once"
        if at_once:
            await self._stream.post(failure(reason))
        kind, size = await self._header()
        while kind != "DONE":
            await self._stream.read(size)
            kind, size = await self._header()
        return False if at_once else await self._fail(reason)


class FakePhone:
    """A phone on a port of this machine, while the context lasts; `root` holds its files."""

    def __init__(
        self,
        root: Path,
        behaviour: Behaviour = RECENT,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        path_first: Path | None = None,
    ) -> None:
        self.root, self.behaviour, self.host, self.port = root.resolve(), behaviour, host, port
        self.tmp = self.path(TMP)
        self.tmp.mkdir(parents=True, exist_ok=True)
        paths = [os.environ["PATH"]] if path_first is None else [path_first, os.environ["PATH"]]
        self.environment = {**os.environ, "PATH": os.pathsep.join(map(str, paths))}
        self.accepted_keys = [public_key(text) for text in behaviour.accepted_keys]
        self.connections = 0
        self.messages: list[Message] = []  # from the host
        self.answers: list[Message] = []
        self.violations: list[str] = []  # what a host did against the protocol
        self.fault_happened = threading.Event()
        self.dialog_shown = threading.Event()
        self.processes: list[subprocess.Popen[bytes]] = []  # what ran for shell services

    def __enter__(self) -> Self:
        self._socket = socket.create_server((self.host, self.port))
        self.port = self._socket.getsockname()[1]
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._stop = asyncio.Event()
        self._executor = ThreadPoolExecutor(1, "fake-phone")
        self._ended = self._executor.submit(self._run)
        return self

    def __exit__(self, *_: object) -> None:
        """Cut all links, and raise what went wrong in the phone itself."""
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self._stop.set)
        self._executor.shutdown()
        for process in self.processes:
            kill_group(process)
        self._ended.result()

    def path(self, remote: str) -> Path:
        """Where a file of the phone really is; like adbd's user it has no business elsewhere."""
        normal = posixpath.normpath(remote)
        if normal != TMP and not normal.startswith(TMP + "/"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), remote)
        return self.root / normal.lstrip("/")

    def free_space(self) -> float:
        if self.behaviour.disk_space is None:
            return float("inf")
        used = sum(path.lstat().st_size for path in self.tmp.rglob("*") if path.is_file())
        return self.behaviour.disk_space - used

    def _run(self) -> None:
        with self._runner:
            self._runner.run(self._serve())

    async def _serve(self) -> None:
        tasks: list[asyncio.Task[None]] = []
        async with asyncio.TaskGroup() as links:

            def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                tasks.append(links.create_task(Link(self, reader, writer).run()))

            server = await asyncio.start_server(connected, sock=self._socket)
            try:
                await self._stop.wait()
            finally:
                server.close()
            for task in tasks:
                task.cancel()
