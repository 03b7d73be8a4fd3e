"""A program on a board that is kept running and spoken to in lines."""

import asyncio
from contextlib import suppress

from harness.errors import TargetLost, TargetStalled
from harness.transports.lines import Lines
from harness.transports.ssh.loop import EventLoop
from harness.transports.ssh.program import SIGNALLED, STDERR, Program
from harness.transports.transport import ending

BEAT_S = 20.0  # between the empty lines by which our agent knows that we are still here
SEND_IDLE_S = 30.0  # in which it has to take some of what it is sent
KEPT_BYTES = 1 << 16  # of its standard error


class SshProcess:
    """A program in a channel."""

    def __init__(self, loop: EventLoop, program: Program) -> None:
        self._loop = loop
        self._program = program
        self._lines = Lines(program.name)
        self._errors = b""
        self._turn = asyncio.Lock()  # to write a whole line
        self._heart = loop.begin(self._beat())

    def send(self, line: str) -> None:
        try:
            self._loop.run(self._write(line.encode() + b"\n"))
        except TimeoutError as error:
            raise TargetStalled(
                f"{self._program.name} took no input for {SEND_IDLE_S:g} s"
            ) from error

    def receive(self, idle_timeout_s: float) -> str | None:
        while (line := self._lines.take()) is None:
            try:
                part = self._loop.run(self._program.listen(idle_timeout_s))
            except TimeoutError as error:
                raise TargetStalled(
                    f"{self._program.name} said nothing for {idle_timeout_s:g} s"
                ) from error
            if part is None:
                return None  # an unfinished line is no answer
            stream, data = part
            if stream == STDERR:
                self._errors = (self._errors + data)[-KEPT_BYTES:]
            else:
                self._lines.add(data)
        return line

    def ending(self) -> str:
        status = self._program.status
        if status is not None and status > SIGNALLED:
            status = SIGNALLED - status
        return ending(status, self._errors)

    def kill(self) -> None:
        self._heart.cancel()
        self._loop.run(self._program.kill())

    async def _write(self, line: bytes) -> None:
        async with self._turn:
            await self._program.write(line, SEND_IDLE_S)

    async def _beat(self) -> None:
        with suppress(TargetLost, TimeoutError):
            while True:
                await asyncio.sleep(BEAT_S)
                await self._write(b"\n")
