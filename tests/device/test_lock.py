"""One measurement at a time on a device, whoever starts it and wherever their caches are."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.device import lock
from harness.errors import DeviceBusy, WorkspaceError

HOLD = """
import sys
from pathlib import Path
from harness.device.device import Device
with Device.find("cpu-onnxruntime", Path(sys.argv[1])).open():
    print("held", flush=True)
    sys.stdin.readline()
"""
CHECK = [sys.executable, "-m", "harness", "devices", "check", "cpu", "--root"]


@contextmanager
def holder(root: Path, cache: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another user's process that measures here; it ends with its input."""
    command = [sys.executable, "-c", HOLD, str(root)]
    environment = os.environ | {"HARNESS_CACHE": str(cache)}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_with_another_cache_the_device_is_still_in_use_and_the_holder_named(
    tmp_path: Path,
) -> None:
    environment = os.environ | {"HARNESS_CACHE": str(tmp_path / "mine")}
    with holder(tmp_path, tmp_path / "theirs") as other:
        told = subprocess.run(
            [*CHECK, str(tmp_path)], env=environment, capture_output=True, text=True, check=False
        )
    assert told.returncode == 4, told.stdout
    (line,) = told.stderr.strip().splitlines()
    assert f"cannot use cpu: this computer is in use by process {other.pid} of " in line
    assert "which measures cpu-onnxruntime since 2" in line
    assert line.endswith("--wait waits for it")


def test_with_wait_it_is_used_as_soon_as_it_is_free(tmp_path: Path) -> None:
    environment = os.environ | {"HARNESS_CACHE": str(tmp_path / "mine")}
    with (
        holder(tmp_path, tmp_path / "theirs") as other,
        subprocess.Popen(
            [*CHECK, str(tmp_path), "--wait"],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as waiting,
    ):
        assert waiting.stderr is not None
        line = waiting.stderr.readline()
        assert line.startswith("harness: waiting for cpu: this computer is in use by process")
        assert waiting.poll() is None
        other.communicate("\n")
        said, _ = waiting.communicate(timeout=120)
    assert waiting.returncode == 0
    assert "a model runs" in said


def test_the_lock_of_a_killed_run_is_free(tmp_path: Path) -> None:
    with holder(tmp_path, tmp_path) as other:
        with pytest.raises(DeviceBusy), lock.held("local", "tests"):
            pass
        other.kill()
        other.wait()
        with lock.held("local", "tests"):
            pass


def test_all_users_of_a_machine_have_their_locks_in_one_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HARNESS_LOCKS")
    usual = lock.folder()
    assert usual in (Path("/run/lock"), Path("/tmp"))
    for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_CACHE_HOME", "HARNESS_CACHE"):
        monkeypatch.setenv(name, str(tmp_path))
    assert lock.folder() == usual
    monkeypatch.setattr(lock, "SHARED", tmp_path)  # not for all users
    assert lock.folder() == Path("/tmp")


def test_a_lock_that_cannot_be_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HARNESS_LOCKS", str(tmp_path / "file"))
    told = "HARNESS_LOCKS names another folder"
    with pytest.raises(WorkspaceError, match=told), lock.held("local", "tests"):
        pass
