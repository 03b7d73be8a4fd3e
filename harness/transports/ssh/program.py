"""A program on a board, in a channel of a connection."""

import asyncio
import re
import shlex
from collections.abc import Sequence
from contextlib import suppress
from signal import Signals

import asyncssh

from harness.errors import TargetLost
from harness.transports.transport import Finished, Patience, check_output

# Servers before OpenSSH 7.9 pass no signals on. But each command leads a process group of its own:
# the first line tells which, so that it can be killed through another channel.
MARK = b"harness: process group "
MARKED = re.compile(MARK + rb"([2-9]|[1-9][0-9]{1,6})\n")  # 1 would mean all processes to `kill`
LONGEST_GREETING = 1 << 16  # bytes that are kept of it
# And each has its link's tag in its environment, to be found by when the link is lost.
TAG = "HARNESS_LINK"
WRAPPER = f'echo "{MARK.decode()}$$"; export {TAG}="$1"; shift; exec "$@"'
KILL_TIMEOUT_S = 5.0
LINGER_S = 1.0  # for the last output of a program that has ended
CHUNK = 1 << 16
STDOUT, STDERR = 1, 2
SIGNALLED = 128  # more is the status of a program that a signal ended, as in shells

Part = tuple[int, bytes]
"""Where to, and what."""


class Program(asyncssh.SSHClientSession[bytes]):
    """A running program; what it says waits in a queue."""

    def __init__(self, connection: asyncssh.SSHClientConnection, name: str) -> None:
        self.name = name
        self.status: int | None = None
        self._connection = connection
        self._channel: asyncssh.SSHClientChannel[bytes]
        self._parts: asyncio.Queue[Part | None] = asyncio.Queue()
        self._greeting = b""
        self._group: int | None = None
        self._begun, self._writable = asyncio.Event(), asyncio.Event()
        self._writable.set()
        self._ended = False
        self._lost: Exception | None = None

    # These are called by asyncssh.

    def connection_made(self, chan: "asyncssh.SSHClientChannel[bytes]") -> None:
        self._channel = chan

    def data_received(self, data: bytes, datatype: int | None) -> None:
        if datatype is None and self._group is None:
            data = self._without_greeting(data)
        if data:
            self._parts.put_nowait((STDOUT if datatype is None else STDERR, data))

    def eof_received(self) -> bool:
        return True  # it may still take input

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def exit_status_received(self, status: int) -> None:
        self.status = status
        self._parts.put_nowait((STDOUT, b""))  # wakes who listens
        self._writable.set()  # and who writes

    def exit_signal_received(self, signal: str, *_: object) -> None:
        self.exit_status_received(SIGNALLED + getattr(Signals, f"SIG{signal}", Signals.SIGKILL))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._group is None and self._greeting:  # of a shell that runs nothing
            self._parts.put_nowait((STDOUT, self._greeting))
        self._ended, self._lost = True, exc
        self._begun.set()
        self._writable.set()
        self._parts.put_nowait(None)

    def _without_greeting(self, data: bytes) -> bytes:
        """What comes after the line that tells the group; the user's shell may talk before."""
        self._greeting += data
        marked = MARKED.search(self._greeting)
        if marked is None:
            self._greeting = self._greeting[-LONGEST_GREETING:]
            return b""
        self._group = int(marked[1])
        self._begun.set()
        return self._greeting[marked.end() :]

    # And these by us.

    async def listen(self, timeout_s: float) -> Part | None:
        """What it says next; None when it has ended.

        Raises:
            TargetLost: the link broke.
            TimeoutError: it was silent.
        """
        try:
            async with asyncio.timeout(timeout_s if self.status is None else LINGER_S):
                part = await self._parts.get()
        except TimeoutError:
            if self.status is None:
                raise
            return None  # who it left behind may hold its output open for ever
        if part is None:
            self._parts.put_nowait(None)
            if self.status is None:
                raise TargetLost(f"the link broke while {self.name} ran: {self._lost or 'closed'}")
        return part

    async def write(self, data: bytes, idle_timeout_s: float | None = None) -> None:
        """Give it some input, as fast as it takes it.

        Raises:
            TargetLost: it has ended, or the link broke.
            TimeoutError: it took nothing for so long.
        """
        for start in range(0, len(data), CHUNK):
            async with asyncio.timeout(idle_timeout_s):
                await self._writable.wait()
            try:
                if self.status is not None:
                    raise BrokenPipeError
                self._channel.write(data[start : start + CHUNK])
            except OSError as error:
                raise TargetLost(f"{self.name} has ended, or the link broke") from error

    async def feed(self, stdin: bytes) -> None:
        """All of its input; one that does not read it may."""
        with suppress(TargetLost, OSError):
            for start in range(0, len(stdin), CHUNK):
                await self.write(stdin[start : start + CHUNK])
                self._parts.put_nowait((STDOUT, b""))  # for who listens: it is alive
            self._channel.write_eof()

    async def kill(self) -> None:
        """End it, and what it has started; harmless when it has ended."""
        with suppress(TimeoutError, asyncssh.Error, OSError):
            async with asyncio.timeout(KILL_TIMEOUT_S):
                await self._begun.wait()
                if self._group is not None and self.status is None and not self._ended:
                    await self._connection.run(f"kill -9 -{self._group}")
                    async with asyncio.timeout(LINGER_S):
                        while self.status is None and not self._ended:
                            await asyncio.sleep(0.01)  # until it has let go of what it held
        self._channel.abort()


async def begin(connection: asyncssh.SSHClientConnection, tag: str, argv: Sequence[str]) -> Program:
    """Start a program; no shell there sees what `argv` means.

    Raises:
        TargetLost: the link broke.
    """
    command = f"exec sh -c {shlex.quote(WRAPPER)} sh {shlex.join([tag, *argv])}"
    try:
        _, program = await connection.create_session(
            lambda: Program(connection, argv[0]), command, encoding=None
        )
    except (asyncssh.Error, OSError) as error:
        raise TargetLost(f"the link broke before {argv[0]} ran: {error}") from error
    assert isinstance(program, Program)
    return program


async def finish(
    connection: asyncssh.SSHClientConnection,
    tag: str,
    argv: Sequence[str],
    stdin: bytes,
    patience: Patience,
) -> Finished:
    """Run a program to its end; it is killed where that takes too long, or is cancelled.

    Raises:
        TargetLost, TargetStalled
    """
    with patience.waiting() as timeout_s:
        program = await asyncio.wait_for(begin(connection, tag, argv), timeout_s)
    feeder = asyncio.create_task(program.feed(stdin))
    outputs = {STDOUT: bytearray(), STDERR: bytearray()}
    try:
        while True:
            with patience.waiting() as timeout_s:
                part = await program.listen(timeout_s)
            if part is None:
                break
            outputs[part[0]] += part[1]
            check_output(outputs.values())
    except BaseException:
        await program.kill()
        raise
    finally:
        feeder.cancel()
    assert program.status is not None
    return Finished(program.status, bytes(outputs[STDOUT]), bytes(outputs[STDERR]))
