"""Files that several runs change at once, and runs that are killed while they do."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import files, locks

HOLD = """
import sys, time
from pathlib import Path
from harness import files
with files.changing(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
ADD = """
import sys, time
from pathlib import Path
from harness import files
path = Path(sys.argv[1])
for _ in range(20):
    with files.changing(path):
        number = int(path.read_text())
        time.sleep(0.002)
        files.write_text(path, str(number + 1))
"""
SCRATCH = """
import time
from harness import files
with files.scratch() as folder:
    (folder / "model").write_text("x")
    print(folder, flush=True)
    time.sleep(60)
"""


@contextmanager
def python(code: str, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that has said its first line."""
    command = [sys.executable, "-c", code, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def first_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_what_several_processes_add_to_one_file_is_all_there(tmp_path: Path) -> None:
    path = tmp_path / "number"
    path.write_text("0")
    processes = [subprocess.Popen([sys.executable, "-c", ADD, str(path)]) for _ in range(3)]
    assert [process.wait(120) for process in processes] == [0, 0, 0]
    assert path.read_text() == "60"
    assert [each.name for each in tmp_path.iterdir()] == ["number"]


def test_what_several_threads_add_to_one_file_is_all_there(tmp_path: Path) -> None:
    path = tmp_path / "number"
    path.write_text("0")

    def add() -> None:
        for _ in range(20):
            with files.changing(path):
                number = int(path.read_text())
                time.sleep(0.001)
                files.write_text(path, str(number + 1))

    threads = [threading.Thread(target=add) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() == "60"


def test_who_waits_for_a_file_is_told_for_whom(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "file"
    with python(HOLD, str(path)) as holder:
        assert first_line(holder) == "held"
        threading.Timer(2, holder.kill).start()
        with files.changing(path):
            pass
    assert f"waiting for {path}, which process {holder.pid} of " in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_a_killed_holder_keeps_nobody_waiting_and_its_lock_goes(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with python(HOLD, str(path)) as holder:
        assert first_line(holder) == "held"
        assert locks.taken(tmp_path / ".file.lock") is None
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert [each.name for each in tmp_path.iterdir()] == [".file.lock"]
    started = time.monotonic()
    with files.changing(path):
        assert time.monotonic() - started < 10
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_half_written_is_gone_after_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "file"
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from harness import files\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "files.write_text(Path(sys.argv[1]), 'much longer')\n"
    )
    files.write_text(path, "old")
    for _ in range(3):
        killed = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
        assert killed.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    files.write_text(path, "new")
    assert path.read_text() == "new"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_scratch_folders_of_killed_runs_go_with_the_next_and_those_in_use_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with python(SCRATCH) as living, python(SCRATCH) as killed:
        in_use, left = Path(first_line(living)), Path(first_line(killed))
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        assert (left / "model").exists()
        with files.scratch() as ours:
            assert sorted(tmp_path.iterdir()) == sorted([in_use, ours])
    assert list(tmp_path.iterdir()) == [in_use]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
def test_a_lock_in_a_folder_for_all_users_is_one_for_all(tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(0o755)
        if folder.name.startswith("pytest-of-"):
            break
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    code = (
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "from harness import locks\n"
        "os.umask(0o077)\n"
        "os.setuid(65534)\n"
        "held = locks.taken(Path(sys.argv[1]))\n"
        "print('busy' if held is None else 'held', flush=True)\n"
        "if held: locks.say(held)\n"
        "print('said', flush=True)\n"
        "time.sleep(60)\n"
    )
    path = shared / "theirs"
    with python(code, str(path)) as other:
        assert [first_line(other), first_line(other)] == ["held", "said"]
        assert locks.taken(path) is None
        assert locks.said(path).startswith(f"process {other.pid} of nobody since ")
    with locks.taken(path) or pytest.fail("nobody holds it"), python(code, str(path)) as other:
        assert first_line(other) == "busy"
