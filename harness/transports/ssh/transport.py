"""A Linux board as a device: commands, resident programs, and files that are sent only once."""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from harness.hints import missing
from harness.transports.retries import Retries
from harness.transports.ssh.address import Address
from harness.transports.ssh.loop import EventLoop
from harness.transports.transport import Finished, Patience, Process

if TYPE_CHECKING:
    from harness.transports.ssh.link import Link


class SshTransport:
    """A board that answers at an address.

    All operations can be repeated, so a link that breaks is made anew, and what still runs of the
    old one is ended: whoever unplugs the board, or restarts it, has `wait_s` to put it right.
    """

    def __init__(self, address: Address) -> None:
        """Raises DeviceNotFound, DeviceOffline, DeviceUnauthorized, MissingExtra."""
        if find_spec("asyncssh") is None:
            raise missing("boards are reached by", "asyncssh", "ssh")
        self._address = address
        self._link: Link | None = None
        self._owner: str | None = None  # what we told when we took its lock
        self._former: list[str] = []  # tags of links whose programs may still run
        self._retries = Retries(self._connect, self._disconnect, address.wait_s)
        self._loop = EventLoop()
        self.is_here = False
        self.python: Sequence[str] = address.python
        try:
            self.hardware = f"ssh-{self._connect().machine}"
        except BaseException:
            self.close()
            raise

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes = b"",
        *,
        idle_timeout_s: float,
        deadline_s: float,
    ) -> Finished:
        def once(link: "Link") -> Finished:
            patience = Patience(f"{argv[0]} on {self._address}", idle_timeout_s, deadline_s)
            return link.run(argv, stdin, patience)

        return self._retries.do(once)

    def start(self, argv: Sequence[str]) -> Process:
        return self._retries.do(lambda link: link.start(argv))

    def push(self, local: Path) -> PurePosixPath:
        return self._retries.do(lambda link: link.folder.send(local), stalls_are_losses=True)

    def push_with(self, local: Path, beside: Mapping[str, Path]) -> PurePosixPath:
        return self._retries.do(
            lambda link: link.folder.send_with(local, beside), stalls_are_losses=True
        )

    def free_mb(self) -> float:
        """Room for our files."""
        return self._retries.do(lambda link: link.folder.free_mb(), stalls_are_losses=True)

    def check_room(self, files: Sequence[Path]) -> None:
        self._retries.do(lambda link: link.folder.check_room(files), stalls_are_losses=True)

    def forget(self) -> None:
        if self._link is not None:
            self._link.folder.forget()

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        self._retries.do(lambda link: link.pull(remote, local), stalls_are_losses=True)

    def hold(self, owner: str) -> None:
        self._retries.do(lambda link: link.hold(owner))
        self._owner = owner  # for links to come

    def close(self) -> None:
        if self._link is not None:
            self._link.let_go()
        self._disconnect()
        self._loop.close()

    def _connect(self) -> "Link":
        if self._link is None:
            from harness.transports.ssh.link import Link  # with asyncssh, which may be missing

            self._link = Link(self._loop, self._address)
        if self._former:
            self._link.end_all_of(self._former)
            self._former.clear()
            if self._owner is not None:
                self._link.hold(self._owner)
        return self._link

    def _disconnect(self) -> None:
        if self._link is not None:
            self._link.close()
            self._former.append(self._link.tag)
            self._link = None
