"""A phone as a device: commands, and files that are sent only once."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath

from harness.errors import (
    DeviceBusy,
    DeviceFull,
    DeviceUnauthorized,
    TargetFailed,
    TargetLost,
    TargetStalled,
)
from harness.transports.adb.backends import backend_named
from harness.transports.adb.choice import Phone, Wanted, find_phone
from harness.transports.adb.link import Backend, Stream
from harness.transports.adb.shell import run_shell, start_shell
from harness.transports.adb.sync import pull, push
from harness.transports.content import digest, name_by_content
from harness.transports.holding import ANSWER_S, check_held, hold_command
from harness.transports.listings import free_mb_of, sizes_of
from harness.transports.retries import Retries
from harness.transports.transport import Finished, Patience

FOLDER = PurePosixPath("/data/local/tmp/harness")
SPARE_MB = 50  # that a phone should keep
NOT_FOUND = 127  # the shell's status for a command that is not there
ASK_TIMEOUT_S = 60.0
FILE_IDLE_S, FILE_DEADLINE_S = 30.0, 1800.0
SLOWEST_LINK, SLOWEST_DISK = 100e3, 10e6  # bytes a second, for what a large file takes besides


class AdbTransport:
    """A phone that answers to a profile.

    All operations can be repeated, so a link that breaks is made anew: whoever unplugs the phone,
    restarts it or the adb server has `wait_s` to put it right.
    """

    def __init__(self, wanted: Wanted, wait_s: float = 0.0) -> None:
        """Raises DeviceNotFound, DeviceUnauthorized, DeviceOffline, DeviceBusy, MissingExtra."""
        self._wanted = wanted
        away = (DeviceUnauthorized, DeviceBusy)
        self._retries = Retries(self._connect, self.close, wait_s, away)
        self._phone: Phone | None = None
        self._owner: str | None = None  # what we told when we took its lock
        self._holder: Stream | None = None
        self._there: dict[str, int] | None = None  # names and sizes of our files on the phone
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
            try:
                return run_shell(phone.link, argv, stdin, patience)
            except TargetStalled:
                self.close()  # adbd ends what still runs there
                raise

        return self._retries.do(once)

    def push(self, local: Path) -> PurePosixPath:
        """Send a file under a temporary name, compare its SHA-256 there, then rename it.

        Its name there has its content in it: what is there already is not sent again.
        """
        remote = self._remote(local)

        def once(phone: Phone) -> None:
            if not self._is_there(phone, local):
                self._send(phone, local, remote)

        self._retries.do(once, stalls_are_losses=True)
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

        self._retries.do(once, stalls_are_losses=True)

    def free_mb(self) -> float:
        """Room for our files."""
        return self._retries.do(self._free_mb, stalls_are_losses=True)

    def forget(self) -> None:
        self._there = None

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        def once(phone: Phone) -> None:
            pull(phone.link, str(remote), local, _file_patience(f"reading {remote} of {phone}"))

        self._retries.do(once, stalls_are_losses=True)

    def hold(self, owner: str) -> None:
        self._hold(self._retries.do(lambda phone: phone), owner)  # who is busy is not away
        self._owner = owner  # for links to come

    def _hold(self, phone: Phone, owner: str) -> None:
        patience = Patience(f"taking the lock of {phone}", ANSWER_S, ANSWER_S)
        command = hold_command(owner, str(FOLDER))
        holder, answer = start_shell(phone.link, command, patience)
        try:
            check_held(answer, str(phone))
        except BaseException:
            holder.close()
            raise
        self._holder = holder

    def close(self) -> None:
        if self._holder is not None:
            with suppress(TargetLost, TimeoutError):
                self._holder.close()
            self._holder = None
        if self._phone is not None:
            self._phone.link.close()
            self._phone = None

    def _connect(self) -> Phone:
        if self._phone is None:
            self._phone = find_phone(self._backend(), self._wanted)
            self._there = None  # who knows what happened meanwhile
            if self._owner is not None:
                self._hold(self._phone, self._owner)
        return self._phone

    def _backend(self) -> Backend:
        return backend_named(self._wanted.backend, self._wanted.server)

    def _remote(self, local: Path) -> PurePosixPath:
        return FOLDER / name_by_content(local)

    def _is_there(self, phone: Phone, local: Path) -> bool:
        """By name, which has the content in it, and size: only verified files have such a name."""
        if self._there is None:
            script = (
                f"mkdir -p {FOLDER} && cd {FOLDER} && rm -f *.tmp && "
                'for f in *; do [ -f "$f" ] && stat -c \'%s %n\' "$f"; done; true'
            )
            self._there = sizes_of(self._ask(phone, script).text.splitlines())
        return self._there.get(self._remote(local).name) == local.stat().st_size

    def _send(self, phone: Phone, local: Path, remote: PurePosixPath) -> None:
        temporary = f"{remote}.tmp"
        try:
            size = local.stat().st_size
            patience = _file_patience(f"sending {local.name} to {phone}", size)
            push(phone.link, local, temporary, patience)
            more_s = size / SLOWEST_DISK
            arrived = self._ask(phone, f"sha256sum {temporary}", more_s).text.split()
        except DeviceFull:
            self._ask(phone, f"rm -f {temporary}")
            raise
        if not arrived or arrived[0] != digest(local):
            raise TargetLost(f"{local.name} arrived damaged on {phone}")
        self._ask(phone, f"chmod 755 {temporary} && mv {temporary} {remote}")
        if self._there is not None:
            self._there[remote.name] = local.stat().st_size

    def _free_mb(self, phone: Phone) -> float:
        answer = self._ask(phone, f"mkdir -p {FOLDER} && df -k {FOLDER}").text
        free_mb = free_mb_of(answer)
        if free_mb is None:
            raise TargetFailed(f"{phone} does not say how much room it has: {answer[:200]!r}")
        return free_mb

    def _ask(self, phone: Phone, script: str, more_s: float = 0.0) -> Finished:
        timeout_s = ASK_TIMEOUT_S + more_s
        patience = Patience(f"a command on {phone}", timeout_s, timeout_s)
        finished = run_shell(phone.link, ["sh", "-c", script], b"", patience)
        if finished.status == NOT_FOUND:
            raise TargetFailed(
                f"{phone} lacks a command, Android 8 or newer is needed: {finished.complaint()}"
            )
        if finished.status:
            raise TargetFailed(f"{phone} cannot keep our files: {finished.complaint()}")
        return finished


def _file_patience(what: str, size: int = 0) -> Patience:
    return Patience(what, FILE_IDLE_S, FILE_DEADLINE_S + size / SLOWEST_LINK)
