"""A Linux board as a device: commands, resident programs, and files that are sent only once."""

import logging
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, TypeVar

from harness.errors import (
    DeviceNotFound,
    DeviceOffline,
    MissingExtra,
    TargetLost,
    TargetStalled,
)
from harness.transports.ssh.address import Address
from harness.transports.ssh.loop import EventLoop
from harness.transports.transport import Finished, Patience, Process

if TYPE_CHECKING:
    from harness.transports.ssh.link import Link

AGAIN_EVERY_S = 2.0
MOST_LOSSES = 5  # of the link in one operation
GONE = (TargetLost, DeviceNotFound, DeviceOffline)

Result = TypeVar("Result")


class SshTransport:
    """A board that answers at an address.

    All operations can be repeated, so a link that breaks is made anew: whoever unplugs the board,
    or restarts it, has `wait_s` to put it right.
    """

    def __init__(self, address: Address) -> None:
        """Raises DeviceNotFound, DeviceOffline, DeviceUnauthorized, MissingExtra."""
        if find_spec("asyncssh") is None:
            raise MissingExtra("boards over SSH: pip install '.[ssh]'")
        self._address = address
        self._link: Link | None = None
        self._told = ""  # last, while the board was away
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

        return self._persist(once)

    def start(self, argv: Sequence[str]) -> Process:
        return self._persist(lambda link: link.start(argv))

    def push(self, local: Path) -> PurePosixPath:
        return self._persist(lambda link: link.folder.send(local), stalls_are_losses=True)

    def check_room(self, files: Sequence[Path]) -> None:
        self._persist(lambda link: link.folder.check_room(files), stalls_are_losses=True)

    def forget(self) -> None:
        if self._link is not None:
            self._link.folder.forget()

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        self._persist(lambda link: link.pull(remote, local), stalls_are_losses=True)

    def close(self) -> None:
        self._disconnect()
        self._loop.close()

    def _connect(self) -> "Link":
        if self._link is None:
            from harness.transports.ssh.link import Link  # with asyncssh, which may be missing

            self._link = Link(self._loop, self._address)
            self._told = ""
        return self._link

    def _disconnect(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None

    def _persist(self, once: Callable[["Link"], Result], stalls_are_losses: bool = False) -> Result:
        """An operation, begun again when the link breaks while it is under way.

        `stalls_are_losses`: where silence can only mean that the link, or the board, is gone.
        """
        patient_until: float | None = None
        losses = 0
        while True:
            try:
                return once(self._connect())
            except (TargetStalled, *GONE) as error:
                if isinstance(error, TargetStalled) and not stalls_are_losses:
                    raise
                self._disconnect()
                if patient_until is None:
                    patient_until = time.monotonic() + self._address.wait_s
                lost = isinstance(error, TargetLost | TargetStalled)
                losses += lost
                if time.monotonic() >= patient_until or losses > MOST_LOSSES:
                    raise
                if not lost:
                    self._tell_once(f"{error}; waiting up to {self._address.wait_s:.0f} s for it")
                    time.sleep(AGAIN_EVERY_S)

    def _tell_once(self, text: str) -> None:
        """On the terminal, above the progress bar: somebody has to do something."""
        if text != self._told:
            logging.getLogger(__name__).warning("harness: %s", text)
        self._told = text
