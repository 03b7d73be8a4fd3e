"""A phone as a device: commands, and files that are sent only once."""

import hashlib
import logging
import re
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
    DeviceUnauthorized,
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
SPARE_MB = 50  # that a phone should keep
NOT_FOUND = 127  # the shell's status for a command that is not there
ASK_TIMEOUT_S = 60.0
FILE_IDLE_S, FILE_DEADLINE_S = 30.0, 1800.0
AGAIN_EVERY_S = 2.0
MOST_LOSSES = 5  # of the link in one operation
GONE = (TargetLost, DeviceNotFound, DeviceOffline, DeviceUnauthorized, DeviceBusy)

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
        self._there: dict[str, int] | None = None  # names and sizes of our files on the phone
        self._told = ""  # last, while the phone was away
        self._digests: dict[tuple[Path, int, int], str] = {}
        first = self._connect()
        self._wanted = replace(wanted, serial=first.serial)  # no other one, once it was found
        self.serial = first.serial
        self.properties = first.properties
        self.hardware = f"adb-{first.properties['serialno'] or first.serial}"

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
        remote = self._remote(local)

        def once(phone: Phone) -> None:
            if not self._is_there(phone, local):
                self._send(phone, local, remote)

        self._persist(once, stalls_are_losses=True)
        return remote

    def check_room(self, files: Sequence[Path]) -> None:
        def once(phone: Phone) -> None:
            missing = [file for file in set(files) if not self._is_there(phone, file)]
            needed_mb = sum(file.stat().st_size for file in missing) / 2**20
            free_mb = self._free_mb(phone)
            if free_mb < needed_mb + SPARE_MB:
                raise DeviceFull(
                    f"{needed_mb:.0f} MB have to be sent to {phone}, and only {free_mb:.0f} MB are "
                    f"free there: free some space, or delete {FOLDER}"
                )

        self._persist(once, stalls_are_losses=True)

    def free_mb(self) -> float:
        """Room for our files."""
        return self._persist(self._free_mb, stalls_are_losses=True)

    def forget(self) -> None:
        self._there = None

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        def once(phone: Phone) -> None:
            pull(phone.link, str(remote), local, _file_patience(f"reading {remote} of {phone}"))

        self._persist(once, stalls_are_losses=True)

    def close(self) -> None:
        if self._phone is not None:
            self._phone.link.close()
            self._phone = None

    def _connect(self) -> Phone:
        if self._phone is None:
            self._phone = find_phone(backend_named(self._wanted.backend), self._wanted)
            self._there = None  # who knows what happened meanwhile
            self._told = ""
        return self._phone

    def _persist(self, once: Callable[[Phone], Result], stalls_are_losses: bool = False) -> Result:
        """An operation, begun again when the link breaks while it is under way.

        `stalls_are_losses`: where silence can only mean that the link, or the phone, is gone.
        """
        patient_until: float | None = None
        losses = 0
        while True:
            try:
                return once(self._connect())
            except (TargetStalled, *GONE) as error:
                self.close()  # adbd ends what still runs there
                if isinstance(error, TargetStalled) and not stalls_are_losses:
                    raise
                if patient_until is None:
                    patient_until = time.monotonic() + self._wait_s
                lost = isinstance(error, TargetLost | TargetStalled)
                losses += lost
                if time.monotonic() >= patient_until or losses > MOST_LOSSES:
                    raise
                if not lost:
                    self._tell_once(f"{error}; waiting up to {self._wait_s:.0f} s for it")
                    time.sleep(AGAIN_EVERY_S)

    def _tell_once(self, text: str) -> None:
        """On the terminal, above the progress bar: somebody has to do something."""
        if text != self._told:
            logging.getLogger(__name__).warning("harness: %s", text)
        self._told = text

    def _digest(self, local: Path) -> str:
        """The file's SHA-256; read again only where the file has changed."""
        state = local.stat()
        key = (local, state.st_mtime_ns, state.st_size)
        if key not in self._digests:
            self._digests[key] = hashlib.sha256(local.read_bytes()).hexdigest()
        return self._digests[key]

    def _remote(self, local: Path) -> PurePosixPath:
        suffix = local.suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", local.suffix) else ""
        return FOLDER / f"{self._digest(local)[:16]}{suffix.replace('.tmp', '')}"

    def _is_there(self, phone: Phone, local: Path) -> bool:
        """By name, which has the content in it, and size: only verified files have such a name."""
        if self._there is None:
            script = (
                f"mkdir -p {FOLDER} && cd {FOLDER} && rm -f *.tmp && "
                'for f in *; do [ -f "$f" ] && stat -c \'%s %n\' "$f"; done; true'
            )
            rows = [line.split(maxsplit=1) for line in self._ask(phone, script).text.splitlines()]
            self._there = {row[1]: int(row[0]) for row in rows if len(row) == 2}
        return self._there.get(self._remote(local).name) == local.stat().st_size

    def _send(self, phone: Phone, local: Path, remote: PurePosixPath) -> None:
        temporary = f"{remote}.tmp"
        try:
            push(phone.link, local, temporary, _file_patience(f"sending {local.name} to {phone}"))
            arrived = self._ask(phone, f"sha256sum {temporary}").text.split()
        except DeviceFull:
            self._ask(phone, f"rm -f {temporary}")
            raise
        if not arrived or arrived[0] != self._digest(local):
            raise TargetLost(f"{local.name} arrived damaged on {phone}")
        self._ask(phone, f"chmod 755 {temporary} && mv {temporary} {remote}")
        if self._there is not None:
            self._there[remote.name] = local.stat().st_size

    def _free_mb(self, phone: Phone) -> float:
        answer = self._ask(phone, f"mkdir -p {FOLDER} && df -k {FOLDER}").text
        columns = re.search(r"^\S+\s+\d+\s+\d+\s+(\d+)\s", answer, re.MULTILINE)
        if columns is None:
            raise TargetFailed(f"{phone} does not say how much room it has: {answer:.200}")
        return int(columns[1]) / 1024

    def _ask(self, phone: Phone, script: str) -> Finished:
        patience = Patience(f"a command on {phone}", ASK_TIMEOUT_S, ASK_TIMEOUT_S)
        finished = run_shell(phone.link, ["sh", "-c", script], b"", patience)
        if finished.status == NOT_FOUND:
            raise TargetFailed(
                f"{phone} lacks a command, Android 8 or newer is needed: {finished.complaint()}"
            )
        if finished.status:
            raise TargetFailed(f"{phone} cannot keep our files: {finished.complaint()}")
        return finished


def _file_patience(what: str) -> Patience:
    return Patience(what, FILE_IDLE_S, FILE_DEADLINE_S)
