"""Files: replaced atomically or appended and flushed, and held while they are changed."""

import csv
import fcntl
import gzip
import itertools
import json
import os
import shutil
import tempfile
import tomllib
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import locks
from harness.errors import FileFormatError, WorkspaceError

NO_TEXT = "it is no text file"
CHOOSE_ROOT = "choose another --root"
_DEEPEST, _LONGEST, _LARGEST = 20, 1_000_000, 2**63  # of values in files
_LARGEST_INFLATED = 100_000_000  # bytes, of what was packed to less than a tenth


def replace_atomically(path: Path, content: bytes, otherwise: str = CHOOSE_ROOT) -> None:
    """Write a temporary file beside `path`, then put it in place in one step.

    A reader, or a run that is killed at any moment, sees the old file or the new one, never half.
    What a killed run leaves has always the same name: the next one to write `path` takes it.
    `otherwise`: how to have it written elsewhere, for the message.

    Raises:
        WorkspaceError: the folder cannot be written or the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getuid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locks.waited_for(temporary) as file:
            try:
                file.truncate(0)
                _write(file.fileno(), content)
                os.fsync(file.fileno())
                os.fchmod(file.fileno(), 0o644)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise unwritable(path, error, otherwise) from error


def _write(descriptor: int, content: bytes) -> None:
    left = memoryview(content)
    while left:
        left = left[os.write(descriptor, left) :]


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Hold a file, or a folder, while it is loaded, changed and saved; other runs take turns.

    So do other threads, and who holds it already would wait for ever. A file beside it is held,
    which goes in the end; that of a killed run is free for the next.

    Raises:
        WorkspaceError: the folder cannot be written.
    """
    lock = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = locks.waited_for(lock, str(path))
    except OSError as error:
        raise unwritable(path, error) from error
    with held:
        try:
            locks.say(held)
            yield
        finally:
            lock.unlink(missing_ok=True)  # while it is held: who waits for it looks again


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder until the end of the block; those that killed runs of ours left are deleted first.

    Raises:
        WorkspaceError: the system's temporary folder cannot be written.
    """
    parent, prefix = Path(tempfile.gettempdir()), f"harness-{os.getuid()}-"
    try:
        for left in parent.glob(f"{prefix}*"):
            if (held := locks.folder_taken(left)) is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(held)
        held, folder = _new_folder(prefix)
    except OSError as error:
        raise unwritable(parent, error, "name another in TMPDIR") from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _new_folder(prefix: str) -> tuple[int, Path]:
    """Held and path; another run may take it for left over before it is held."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix))
        if (held := locks.folder_taken(folder)) is not None:
            return held, folder


def check_regular(path: Path) -> None:
    """Raises FileFormatError where a path leads to a pipe, a device or a folder.

    Reading a pipe waits for ever, and a device may have no end. What is not there passes.
    """
    try:
        if path.exists() and not path.is_file():
            raise FileFormatError(f"cannot read {path}: it is a folder, a pipe or a device")
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror}") from error


def check_inflates(path: Path) -> None:
    """Raises FileFormatError where a zip archive, such as .npz and .pt, is a bomb."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except (OSError, ValueError, zipfile.BadZipFile):
        return  # whoever reads it says so
    if size > _LARGEST_INFLATED and size > 10 * path.stat().st_size:
        raise FileFormatError(f"cannot read {path}: it would inflate to {size / 1e6:.0f} MB")


def unwritable(path: Path, error: OSError, otherwise: str = CHOOSE_ROOT) -> WorkspaceError:
    """The one wording for every file that could not be written; `otherwise`: how to avoid it."""
    reason = error.strerror or str(error)
    return WorkspaceError(f"cannot write {path}: {reason}; free the disk, or {otherwise}")


def write_text(path: Path, text: str) -> None:
    replace_atomically(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Raises FileFormatError where it cannot be read, or its text is not what is asked for."""
    check_regular(path)
    try:
        yield
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise FileFormatError(f"cannot read {path}: {NO_TEXT}") from error
    except json.JSONDecodeError as error:
        raise FileFormatError(f"cannot read {path}: it is no JSON: {error}") from error
    except RecursionError as error:
        raise FileFormatError(f"cannot read {path}: nested too deep") from error
    except (ValueError, csv.Error) as error:
        raise FileFormatError(f"cannot read {path}: {error}") from error


def read_text(path: Path) -> str:
    """Raises FileFormatError where the file is missing, or no text."""
    with _reading(path):
        return path.read_text("utf-8-sig")


def read_json(path: Path) -> Any:
    """The JSON value in `path`.

    Raises:
        FileFormatError: the file is missing, or what is in it is not what `parsed_json` takes.
    """
    with _reading(path):
        return parsed_json(path.read_text())


def parsed_json(text: str) -> Any:
    """The JSON value of a text from outside.

    Raises:
        ValueError: it is not JSON, an object has a key twice, or it is deeper, longer or larger
            than anything that is written here.
    """
    try:
        value = json.loads(text, object_pairs_hook=_once_only, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    return within_bounds(value)


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file; its numbers may be any.

    Raises:
        FileFormatError: the file is missing, or is not TOML.
    """
    with _reading(path):
        return tomllib.loads(path.read_text("utf-8"))


def within_bounds(value: Any) -> Any:
    """The value itself.

    Raises:
        ValueError: it is deeper or longer than anybody writes, or has a number that is none.
    """
    level = [value]
    for _ in range(_DEEPEST):
        level = [each for part in level for each in _parts(part)]
        if not level:
            return value
    raise ValueError(f"nested deeper than {_DEEPEST}")


def _parts(value: Any) -> Iterable[Any]:
    """What is inside; keys, too."""
    if isinstance(value, dict):
        return itertools.chain(value, value.values())
    if isinstance(value, list):
        return value
    if isinstance(value, str):
        if len(value) > _LONGEST:
            raise ValueError(f"a text of {len(value)} characters")
        if not value.isascii() and any("\ud800" <= each <= "\udfff" for each in value):
            raise ValueError("half a character")  # which no page can hold
        return ()
    if isinstance(value, int | float) and not abs(value) < _LARGEST:
        raise ValueError(f"the number {value:.3g}" if isinstance(value, float) else "a huge number")
    return ()


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _once_only(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; of a key that is there twice, Python takes the last silently."""
    found = dict(pairs)
    if len(found) < len(pairs):
        [(doubled, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {doubled!r} is there twice")
    return found


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """The columns of a CSV file, and its rows, each with its line; a row may lack its last ones.

    Raises:
        FileFormatError: it cannot be read, or two columns have one name.
    """
    with _reading(path):
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        reader = csv.DictReader(lines, skipinitialspace=True)
        rows = [(reader.line_num, row) for row in reader]
    columns = list(reader.fieldnames or ())
    if doubled := [name for name in columns if columns.count(name) > 1]:
        raise FileFormatError(f"{path}: two columns are called {doubled[0]!r}")
    return columns, rows


class LineLog:
    """JSON values, one a line, each appended and flushed before `append` returns.

    A process that dies while it writes leaves at most one unfinished last line; opening the log
    again cuts that line off, so that the next one starts clean. One process at a time has it open.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("ab")
        except OSError as error:
            raise unwritable(path, error) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._cut_unfinished_line()
        except OSError as error:
            self._file.close()
            if isinstance(error, BlockingIOError):
                raise WorkspaceError(f"another run writes {path}; wait for it to end") from error
            raise unwritable(path, error) from error

    def _cut_unfinished_line(self) -> None:
        content = self.path.read_bytes()
        os.truncate(self.path, content.rfind(b"\n") + 1)

    def append(self, value: Any) -> None:
        line = json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
        except OSError as error:
            raise unwritable(self.path, error) from error

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            raise unwritable(self.path, error) from error


def read_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The number and value of each line that a LineLog wrote; `.gz` files are unpacked.

    Raises:
        FileFormatError: the file is missing, or a line is not JSON.
    """
    check_regular(path)
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as file:
                content = file.read(_LARGEST_INFLATED + 100 * path.stat().st_size)
                if file.read(1):
                    raise FileFormatError(f"cannot read {path}: it inflates to too much")
        else:
            content = path.read_bytes()
        lines = content.splitlines()
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileFormatError(f"cannot read {path}: {reason}") from error
    for number, line in enumerate(lines, start=1):
        try:
            yield number, parsed_json(line.decode())
        except ValueError as error:
            raise FileFormatError(
                f"{path}:{number}: {error}; restore the file, or move it away"
            ) from error
