import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from harness import files
from harness.deploy.front import Front
from harness.device.profile import load_profile
from harness.errors import FileFormatError, WorkspaceError
from harness.networks.file import NetworkFile, Preprocessing
from harness.networks.published import PublishedNetwork
from harness.predictors.accuracy_source import accuracy_source
from harness.runtimes.conversion.images import digest, network_inputs
from harness.runtimes.dpu.measurements import read as read_measurements
from harness.runtimes.model_inputs import values
from harness.spaces.digits import DIGITS
from harness.supernet.loading import load_supernet
from harness.tables.ofa import read_published
from harness.tables.table import Table
from harness.training.recipe_files import load_recipe
from tests.command_line import harness

READERS: dict[str, Callable[[Path], object]] = {
    "x.json": files.read_json,
    "x.jsonl": lambda path: list(files.read_lines(path)),
    "table.jsonl": Table.load,
    "front.json": Front.load,
    "network.pt": NetworkFile.load,
    "supernet.pt": lambda path: load_supernet(path, DIGITS),
    "net.config": lambda path: PublishedNetwork.load(path, 160),
    "x.npz": lambda path: accuracy_source(str(path), DIGITS),
    "x.csv": lambda path: accuracy_source(str(path), DIGITS),
    "x.toml": lambda path: load_recipe(str(path)),
    "x.yaml": lambda path: read_published([path], DIGITS, "x-published", "somebody"),
    "blocks.csv": read_measurements,
    "images": digest,
    "values.npy": lambda path: values.read("ids", str(path)),
    "images.npy": lambda path: network_inputs(path, 1, Preprocessing(16, 0, 1)),
    "devices/mine.toml": lambda path: load_profile("mine", path.parents[1]),
}


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


def test_nobody_is_told_to_delete_a_file_that_may_be_theirs() -> None:
    """Who obeys loses it; what lies on devices was sent there by us."""
    package = Path(files.__file__).parent
    told = [
        f"{path.name}: {line.strip()}"
        for path in sorted(package.rglob("*.py"))
        for line in path.read_text().splitlines()
        if re.search(r"(?<!un)\bdelete (it|them|the|this|that|your)\b", line)
    ]
    assert told == []


def _give_up(_signum: int, _frame: FrameType | None) -> None:
    raise TimeoutError("it waits for ever")


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kind", ["pipe", "endless"])
def test_only_regular_files_are_read(name: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    before = signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(5)
    try:
        with pytest.raises(FileFormatError, match="folder, a pipe or a device"):
            READERS[name](path)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "words",
    [
        ("extract", "pipe", "out.pt"),
        ("evaluate", "pipe", "--data", "."),
        ("benchmark", "pipe.onnx", "--device", "cpu-onnxruntime"),
        ("benchmark", "pipe.onnx", "--device", "cpu-onnxruntime", "--baseline", "pipe"),
        ("tables", "compare", "pipe", "pipe"),
        ("export", "bundle", "--network", "pipe"),
    ],
)
def test_a_command_that_is_given_a_pipe_is_one_line(words: tuple[str, ...], tmp_path: Path) -> None:
    for name in ("pipe", "pipe.onnx"):
        os.mkfifo(tmp_path / name)
    ended = harness(tmp_path, *words)
    assert ended.returncode == 3, ended.stdout + ended.stderr
    (line,) = ended.stderr.strip().splitlines()
    assert "pipe" in line
    assert "it is a folder, a pipe or a device" in line


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '[{"b": {"c": 1, "a": 0, "d": 2, "a": 0}}]'])
def test_a_key_that_is_there_twice_is_refused_and_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(FileFormatError, match=r"x\.json: the key 'a' is there twice"):
        files.read_json(tmp_path / "x.json")
