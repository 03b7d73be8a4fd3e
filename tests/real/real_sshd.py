"""OpenSSH's server on loopback, with keys and a home folder of its own."""

import getpass
import os
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest


def installed_sshd() -> str:
    """Its path; skips the test where there is none."""
    found = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if found is None:
        pytest.skip("no sshd: install openssh-server")
    return found


class RealSshd:
    """A running sshd; `client` becomes a home folder whose .ssh/config knows it as `name`."""

    def __init__(
        self, scratch: Path, client: Path, name: str = "board", mount: Sequence[str] = ()
    ) -> None:
        """`mount`: arguments of a mount that only the server sees; {home} is its home folder."""
        self._sshd = installed_sshd()
        if mount and os.geteuid():
            pytest.skip("nothing can be mounted without root rights")
        self._mount = mount
        self.name = name
        self.client = client
        self.home = scratch / "home"
        self.locks = scratch / "locks"  # else it would share the real ones of this computer
        self.home.mkdir(parents=True)
        (client / ".ssh").mkdir(parents=True, exist_ok=True)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._folder = scratch
        self.host_key = make_key(scratch / "host_key")
        self.user_key = make_key(scratch / "user_key")
        self._child: subprocess.Popen[bytes] | None = None
        self._log = scratch / "sshd.log"
        self._introduce()

    def _introduce(self) -> None:
        """To the client, as a user would have done by hand."""
        with (self.client / ".ssh/config").open("a") as config:
            config.write(
                f"Host {self.name}\n  HostName 127.0.0.1\n  Port {self.port}\n"
                f"  User {getpass.getuser()}\n  IdentityFile {self.user_key}\n"
                "  IdentitiesOnly yes\n"
            )
        self.be_known(self.host_key)

    def be_known(self, key: Path) -> None:
        """Make the client expect this host key, and no other."""
        place = f"[127.0.0.1]:{self.port} "
        known = self.client / ".ssh/known_hosts"
        lines = known.read_text().splitlines(keepends=True) if known.exists() else []
        public = key.with_suffix(".pub").read_text()
        known.write_text("".join(each for each in lines if not each.startswith(place)))
        with known.open("a") as file:
            file.write(place + public)

    def start(self) -> None:
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # it insists
        config = self._folder / "sshd_config"
        config.write_text(
            f"""
Port {self.port}
ListenAddress 127.0.0.1
HostKey {self.host_key}
AuthorizedKeysFile {self.user_key}.pub
SetEnv HOME="{self.home}" HARNESS_LOCKS="{self.locks}"
PermitRootLogin yes
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
PidFile none
"""
        )
        command = [self._sshd, "-D", "-e", "-f", str(config)]
        if self._mount:
            mount = shlex.join(["mount", *(each.format(home=self.home) for each in self._mount)])
            script = f'{mount} && exec "$@"'
            command = ["unshare", "--mount", "--", "sh", "-c", script, "sh", *command]
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"sshd does not listen: {self._log.read_text()}")

    def stop(self) -> None:
        """End it at once with all its connections, as pulling the cable does."""
        if self._child is not None:
            self._signal(signal.SIGKILL, *self._servers())
            self._child.wait()
            self._child = None

    def cut(self) -> None:
        """Kill the connections; new ones are welcome."""
        assert self._child is not None
        self._signal(signal.SIGKILL, *(pid for pid in self._servers() if pid != self._child.pid))

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP, *self._servers())

    def thaw(self) -> None:
        self._signal(signal.SIGCONT, *self._servers())

    def _servers(self) -> Iterator[int]:
        """The server and those of its descendants that serve connections."""
        assert self._child is not None
        parents = dict(_processes())
        for pid in (self._child.pid, *parents):
            ancestor = pid
            while ancestor in parents and ancestor != self._child.pid:
                ancestor = parents[ancestor]
            if ancestor == self._child.pid and _name(pid).startswith("sshd"):
                yield pid

    @staticmethod
    def _signal(number: signal.Signals, *pids: int) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def make_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def _processes() -> Iterator[tuple[int, int]]:
    """Every process and its parent."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            yield int(path.parent.name), int(path.read_text().rpartition(")")[2].split()[1])


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return ""
