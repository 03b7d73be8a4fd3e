"""Debian's adbd on loopback, with scripts by which it answers like a phone; and Debian's adb."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

SERVICE = Path("/data/local/tmp")  # where every phone keeps what a computer sends
SCRIPTS = Path(__file__).with_name("phone")


def unpacked_adbd() -> Path:
    """The folder that `fetch-adbd` made; skips the test where there is none."""
    folder = os.environ.get("HARNESS_ADBD")
    if not folder:
        pytest.skip("no adbd: run tests/real/fetch-adbd FOLDER and set HARNESS_ADBD=FOLDER")
    path = Path(folder).resolve()
    assert (path / "loopback_only.so").exists(), f"{path} was not made by fetch-adbd"
    return path


def unpacked(program: str) -> list[str]:
    """The command of `adbd` or `adb` from that folder, with the libraries that it was made for."""
    root = unpacked_adbd() / "root/usr/lib"
    file = root / "android-sdk/platform-tools" / program
    assert file.exists(), f"{file} is missing: run tests/real/fetch-adbd again"
    (libraries,) = root.glob("*-linux-gnu")
    (loader,) = libraries.glob("ld-linux-*.so.*")
    return [str(loader), "--library-path", f"{libraries}/android:{libraries}", str(file)]


class RealAdbd:
    """A running adbd whose /data/local/tmp is a scratch folder; `stop` and `start` unplug it."""

    def __init__(self, scratch: Path, room_mb: int | None = None) -> None:
        """`room_mb`: a disk of that size instead of the folder."""
        self._room_mb = room_mb
        self._adbd = unpacked_adbd()
        self.files = scratch / "files"
        self.files.mkdir(parents=True)
        self.scripts = scratch / "bin"
        shutil.copytree(SCRIPTS, self.scripts)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._child: subprocess.Popen[bytes] | None = None
        self._log = scratch / "adbd.log"

    @property
    def serial(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        SERVICE.mkdir(parents=True, exist_ok=True)
        what = f'--bind "{self.files}"'
        if self._room_mb is not None:
            what = f"-t tmpfs -o size={self._room_mb}m scratch"
        bind = f'mount {what} {SERVICE} && exec "$@"'
        environment = os.environ | {
            "ADBD_PORT": str(self.port),
            "LD_PRELOAD": str(self._adbd / "loopback_only.so"),
            "PATH": f"{self.scripts}:{os.environ['PATH']}",
            "PHONE_PYTHON": sys.executable,
        }
        own = ["--mount"] if os.geteuid() == 0 else ["--mount", "--user", "--map-root-user"]
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                ["unshare", *own, "--", "sh", "-c", bind, "sh", *unpacked("adbd")],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"adbd does not listen: {self._log.read_text()}")

    def stop(self) -> None:
        """End it at once, as pulling the cable does, and all that it runs."""
        if self._child is not None:
            os.killpg(self._child.pid, signal.SIGKILL)  # unshare ignores SIGTERM
            self._child.wait()
            self._child = None
