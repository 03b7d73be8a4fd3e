"""What a git repository keeps of a file: every version of it, from the oldest on."""

import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import files
from harness.errors import TableError


@dataclass(frozen=True)
class Revision:
    """A version of a file."""

    commit: str | None  # None: it is in no commit yet
    content: bytes

    def named(self, path: Path) -> str:
        """As git calls it."""
        return str(path) if self.commit is None else f"{self.commit[:9]}:{path}"


def revisions(path: Path) -> Iterator[Revision]:
    """The versions that commits have, and the file as it is where that is another one.

    Raises:
        TableError: it cannot be read as it is now.
    """
    last: bytes | None = None
    for commit in _commits(path):
        content = git(path.parent, ["show", f"{commit}:./{path.name}"])
        if content not in (None, last):
            last = content
            yield Revision(commit, content or b"")
    try:
        files.check_regular(path)
        now = path.read_bytes()
    except OSError as error:
        raise TableError(f"cannot read {path}: {error.strerror}") from error
    if now != last:
        yield Revision(None, now)


def _commits(path: Path) -> list[str]:
    """Those that changed the file, the oldest first; none where it is in no repository."""
    output = git(path.parent, ["log", "--reverse", "--format=%H", "--", path.name])
    return [] if output is None else output.decode().split()


def git(folder: Path, command: Sequence[str]) -> bytes | None:
    """What git prints; None where it fails, or is not there."""
    asked = ["git", "-C", str(folder), *command]
    try:
        done = subprocess.run(asked, capture_output=True, check=False)
    except OSError:
        return None
    return done.stdout if done.returncode == 0 else None
