"""An open connection to a board, and our files there."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from harness.errors import TargetFailed
from harness.transports.ssh.address import Address
from harness.transports.ssh.connection import connect
from harness.transports.ssh.folder import Folder
from harness.transports.ssh.loop import EventLoop
from harness.transports.ssh.process import SshProcess
from harness.transports.ssh.program import begin, finish
from harness.transports.transport import Finished, Patience

FILE_IDLE_S, FILE_DEADLINE_S = 30.0, 1800.0


class Link:
    """Everything that can be done over one connection; once it is lost, it stays so."""

    def __init__(self, loop: EventLoop, address: Address) -> None:
        """Raises DeviceNotFound, DeviceOffline, DeviceUnauthorized."""
        self._loop = loop
        self._address = address
        self._connection = loop.run(connect(address))
        self.folder = Folder(self._ask, str(address), address.folder)
        said = self._ask("cat /etc/machine-id 2>/dev/null || uname -n")
        self.machine = said.text.strip() or address.host

    def run(self, argv: Sequence[str], stdin: bytes, patience: Patience) -> Finished:
        return self._loop.run(finish(self._connection, argv, stdin, patience))

    def start(self, argv: Sequence[str]) -> SshProcess:
        return SshProcess(self._loop, self._loop.run(begin(self._connection, argv)))

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        read = self._ask('cat -- "$1"', str(remote))
        if read.status:
            raise TargetFailed(f"cannot read {remote} of {self._address}: {read.complaint()}")
        local.write_bytes(read.stdout)

    def close(self) -> None:
        async def abort() -> None:
            self._connection.abort()

        self._loop.run(abort())

    def _ask(self, script: str, *arguments: str, stdin: bytes = b"") -> Finished:
        what = f"reading or writing on {self._address}"
        patience = Patience(what, FILE_IDLE_S, FILE_DEADLINE_S)
        return self.run(["sh", "-c", script, "sh", *arguments], stdin, patience)
