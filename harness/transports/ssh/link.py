"""An open connection to a board, and our files there."""

import secrets
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from harness.errors import TargetFailed
from harness.transports.holding import ANSWER_S, SILENCE_S, check_held, hold_command
from harness.transports.plausible import one_line
from harness.transports.ssh.address import Address
from harness.transports.ssh.connection import connect
from harness.transports.ssh.folder import Folder
from harness.transports.ssh.loop import EventLoop
from harness.transports.ssh.process import SshProcess
from harness.transports.ssh.program import TAG, begin, finish
from harness.transports.transport import Finished, Patience

FILE_IDLE_S, FILE_DEADLINE_S = 30.0, 1800.0  # and what a large file takes besides:
SLOWEST_LINK, SLOWEST_DISK = 100e3, 10e6  # bytes a second
END_S = 30.0
LONGEST_NAME = 64  # characters, of a computer (HOST_NAME_MAX)

# Programs outlive their link. These end all that have one of the tags, and wait until they are
# gone; the second does so when its own link breaks, if the server there notices.
END = f"""
for tag in "$@"; do
    while left=$(grep -ls "{TAG}=$tag" /proc/[0-9]*/environ); [ "$left" ]; do
        for each in $left; do
            each=${{each#/proc/}}
            kill -9 "${{each%/environ}}" 2>/dev/null
        done
        sleep 1
    done
done
"""
LIFELINE = f"read -r _\n{END}"


class Link:
    """Everything that can be done over one connection; once it is lost, it stays so."""

    def __init__(self, loop: EventLoop, address: Address) -> None:
        """Raises DeviceNotFound, DeviceOffline, DeviceUnauthorized."""
        self._loop = loop
        self._address = address
        self._connection = loop.run(connect(address))
        self.tag = secrets.token_hex(8)
        loop.run(begin(self._connection, "", ["sh", "-c", LIFELINE, "sh", self.tag]))
        self.folder = Folder(self._ask, str(address), address.folder)
        answer = self._ask("cat /etc/machine-id 2>/dev/null || uname -n")
        self.machine = one_line(answer.text, LONGEST_NAME) or address.host
        self._holder: SshProcess | None = None

    def hold(self, owner: str) -> None:
        """Keep all others from the board.

        Raises:
            DeviceBusy: another has it.
            TargetLost, TargetStalled: the link broke.
        """
        self._holder = self.start(hold_command(owner, silence_s=SILENCE_S))
        try:
            check_held(self._holder.receive(ANSWER_S), str(self._address))
        except BaseException:
            self.let_go()
            raise

    def let_go(self) -> None:
        """At once, and not only when the server there notices that the link is closed."""
        if self._holder is not None:
            self._holder.kill()
            self._holder = None

    def run(self, argv: Sequence[str], stdin: bytes, patience: Patience) -> Finished:
        return self._loop.run(finish(self._connection, self.tag, argv, stdin, patience))

    def start(self, argv: Sequence[str]) -> SshProcess:
        return SshProcess(self._loop, self._loop.run(begin(self._connection, self.tag, argv)))

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        read = self._ask('cat -- "$1"', str(remote))
        if read.status:
            raise TargetFailed(f"cannot read {remote} of {self._address}: {read.complaint()}")
        local.write_bytes(read.stdout)

    def end_all_of(self, tags: Sequence[str]) -> None:
        """End the programs of other links.

        Raises:
            TargetLost: this link broke, too.
            TargetStalled: they cannot be ended.
        """
        what = f"ending what ran on {self._address} when its link broke"
        self.run(["sh", "-c", END, "sh", *tags], b"", Patience(what, END_S, END_S))

    def close(self) -> None:
        async def abort() -> None:
            self._connection.abort()

        self._loop.run(abort())

    def _ask(self, script: str, *arguments: str, stdin: bytes = b"") -> Finished:
        what = f"reading or writing on {self._address}"
        idle_s = FILE_IDLE_S + len(stdin) / SLOWEST_DISK  # it sums up all of a file in silence
        patience = Patience(what, idle_s, FILE_DEADLINE_S + len(stdin) / SLOWEST_LINK)
        return self.run(["sh", "-c", script, "sh", *arguments], stdin, patience)
