import subprocess
import sys
from pathlib import Path

import pytest

from harness import files
from harness.errors import FileFormatError, WorkspaceError


def test_a_file_that_cannot_be_written_whole_keeps_its_old_content(tmp_path: Path) -> None:
    path = tmp_path / "a" / "file"
    files.write_text(path, "old")
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from harness import errors, files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n"
        "    files.replace_atomically(Path(sys.argv[1]), bytes(100_000))\n"
        "except errors.WorkspaceError as error:\n"
        "    print(error)\n"
    )
    said = subprocess.check_output([sys.executable, "-c", code, str(path)], text=True)
    assert "cannot write" in said
    assert "free the disk" in said
    assert path.read_text() == "old"
    assert [p.name for p in path.parent.iterdir()] == ["file"]


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


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '[{"b": {"c": 1, "a": 0, "d": 2, "a": 0}}]'])
def test_a_key_that_is_there_twice_is_refused_and_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"x\.json: the key 'a' is there twice"):
        files.read_json(tmp_path / "x.json")
