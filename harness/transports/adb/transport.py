"""A phone as a device: commands, and files that are sent only once."""

import hashlib
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TypeVar

from harness.errors import (
    DeviceBusy,
    DeviceFull,
    DeviceNotFound,
    DeviceOffline,
    TargetFailed,
    TargetLost,
    TargetStalled,
)
from harness.transports.adb.backends import backend_named
from harness.transports.adb.choice import Phone, Wanted, find_phone
from harness.transports.adb.shell import run_shell
from harness.transports.adb.sync import pull, push
from harness.transports.transport import Finished, Patience

FOLDER = PurePosixPath("/data/local/tmp/harness")
ASK_TIMEOUT_S = 60.0
FILE_IDLE_S, FILE_DEADLINE_S = 30.0, 1800.0
AGAIN_EVERY_S = 2.0
MOST_LOSSES = 5  # of the link in one operation
GONE = (TargetLost, DeviceNotFound, DeviceOffline, DeviceBusy)

Result = TypeVar("Result")


class AdbTransport:
    """A phone that answers to a profile.

    All operations can be repeated, so a link that breaks is made anew: whoever unplugs the phone,
    restarts it or the adb server has `wait_s` to put it right.
    """

    def __init__(self, wanted: Wanted, wait_s: float = 0.0) -> None:
        """Raises DeviceNotFound, DeviceUnauthorized, DeviceOffline, DeviceBusy, MissingExtra."""
        self._wanted = wanted
        self._wait_s = wait_s
        self._phone: Phone | None = None
        self._there: dict[str, str] | None = None  # names and SHA-256 of our files on the phone
        self._digests: dict[tuple[Path, int, int], str] = {}
        first = self._connect()
        self._wanted = replace(wanted, serial=first.serial)  # no other one, once it was found
        self.serial = first.serial
        self.properties = first.properties
        self.hardware = f"adb-{self.serial}"

    def run(
        self,
        argv: Sequence[str],
        stdin: bytes = b"",
        *,
        idle_timeout_s: float,
        deadline_s: float,
    ) -> Finished:
        def once(phone: Phone) -> Finished:
            patience = Patience(f"{argv[0]} on {phone}", idle_timeout_s, deadline_s)
            return run_shell(phone.link, argv, stdin, patience)

        return self._persist(once)

    def push(self, local: Path) -> PurePosixPath:
        """Send a file under a temporary name, compare its SHA-256 there, then rename it.

        Its name there has its content in it: what is there already is not sent again.
        """
        digest = self._digest(local)
        remote = FOLDER / f"{digest[:16]}{local.suffix}"

        def once(phone: Phone) -> None:
            if self._files(phone).get(remote.name) != digest:
                self._send(phone, local, remote, digest)

        self._persist(once)
        return remote

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        def once(phone: Phone) -> None:
            pull(phone.link, str(remote), local, _file_patience(f"reading {remote} of {phone}"))

        self._persist(once)

    def close(self) -> None:
        if self._phone is not None:
            self._phone.link.close()
            self._phone = None

    def _connect(self) -> Phone:
        if self._phone is None:
            self._phone = find_phone(backend_named(self._wanted.backend), self._wanted)
            self._there = None  # who knows what happened meanwhile
        return self._phone

    def _persist(self, once: Callable[[Phone], Result]) -> Result:
        """An operation, begun again when the link breaks while it is under way."""
        patient_until: float | None = None
        losses = 0
        while True:
            try:
                return once(self._connect())
            except TargetStalled:
                self.close()  # adbd ends what still runs there
                raise
            except GONE as error:
                self.close()
                patient_until = patient_until or time.monotonic() + self._wait_s
                losses += isinstance(error, TargetLost)
                if time.monotonic() >= patient_until or losses > MOST_LOSSES:
                    raise
                if not isinstance(error, TargetLost):
                    time.sleep(AGAIN_EVERY_S)

    def _digest(self, local: Path) -> str:
        """The file's SHA-256; read again only where the file has changed."""
        state = local.stat()
        key = (local, state.st_mtime_ns, state.st_size)
        if key not in self._digests:
            self._digests[key] = hashlib.sha256(local.read_bytes()).hexdigest()
        return self._digests[key]

    def _files(self, phone: Phone) -> dict[str, str]:
        """Our files on the phone, whole or not, with their SHA-256."""
        if self._there is None:
            folder = shlex.quote(str(FOLDER))
            script = f"mkdir -p {folder} && cd {folder} && rm -f *.tmp && sha256sum * 2>/dev/null"
            lines = self._ask(phone, script, allowed=(0, 1)).text.splitlines()
            pairs = [line.split(maxsplit=1) for line in lines]
            self._there = {name: digest for digest, name in (p for p in pairs if len(p) == 2)}
        return self._there

    def _send(self, phone: Phone, local: Path, remote: PurePosixPath, digest: str) -> None:
        temporary = f"{remote}.tmp"
        try:
            push(phone.link, local, temporary, _file_patience(f"sending {local.name} to {phone}"))
            arrived = self._ask(phone, f"sha256sum {shlex.quote(temporary)}").text.split()
        except DeviceFull:
            self._ask(phone, f"rm -f {shlex.quote(temporary)}", allowed=(0, 1))
            raise
        if not arrived or arrived[0] != digest:
            raise TargetLost(f"{local.name} arrived damaged on {phone}")
        self._ask(
            phone,
            f"chmod 755 {shlex.quote(temporary)} && mv {shlex.quote(temporary)} "
            f"{shlex.quote(str(remote))}",
        )
        self._files(phone)[remote.name] = digest

    def _ask(self, phone: Phone, script: str, allowed: Sequence[int] = (0,)) -> Finished:
        patience = Patience(f"a command on {phone}", ASK_TIMEOUT_S, ASK_TIMEOUT_S)
        finished = run_shell(phone.link, ["sh", "-c", script], b"", patience)
        if finished.status not in allowed:
            raise TargetFailed(f"{phone} cannot keep our files: {finished.complaint()}")
        return finished


def _file_patience(what: str) -> Patience:
    return Patience(what, FILE_IDLE_S, FILE_DEADLINE_S)
