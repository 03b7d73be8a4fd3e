import errno
from pathlib import Path
from typing import IO

import pytest

from harness import files
from harness.errors import FileFormatError, WorkspaceError


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "file"
    files.write_text(path, "old")

    def fail_halfway(file: IO[bytes]) -> None:
        file.write(b"half")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        files.replace_atomically(path, fail_halfway)
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_full_disk_is_one_clear_error_and_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_text(path, "old")

    def full(_file: IO[bytes]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(WorkspaceError, match="No space left"):
        files.replace_atomically(path, full)
    assert path.read_text() == "old"


def test_a_log_on_a_full_disk_is_one_clear_error() -> None:
    log = files.LineLog.__new__(files.LineLog)
    log.path = Path("/dev/full")
    log._file = log.path.open("ab")
    with pytest.raises(WorkspaceError, match="No space left"):
        log.append({"x": 1})
    with pytest.raises(WorkspaceError, match="No space left"):
        log.close()


def test_a_folder_that_cannot_be_made_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="choose another --root"):
        files.write_text(tmp_path / "file" / "below", "x")
    with pytest.raises(WorkspaceError, match="choose another --root"):
        files.LineLog(tmp_path / "file" / "below")


@pytest.mark.parametrize("text", ["", "{", "nan nan"])
def test_broken_json_names_the_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"x\.json"):
        files.read_json(tmp_path / "x.json")
