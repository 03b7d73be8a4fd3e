"""The newest checkpoints of a run: written in one step each, so that one is always whole."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path

from harness.errors import CheckpointError
from harness.supernet.checkpoint import Checkpoint

KEPT = 2


def folder_of(path: Path) -> Path:
    """Where the checkpoints lie on the way to the supernet at `path`."""
    return path.with_suffix(".checkpoints")


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write it beside the older ones; the oldest go.

    Raises:
        WorkspaceError: the disk is full; the older ones are intact.
    """
    checkpoint.save(folder_of(path) / f"step-{checkpoint.step:08d}.pt")
    for old in _by_age(path)[:-KEPT]:
        old.unlink(missing_ok=True)


def newest(path: Path, say: Callable[[str], None]) -> tuple[Checkpoint, Path] | None:
    """The finished supernet, else the newest checkpoint that can be read; None where there is none.

    Raises:
        CheckpointError: there are some, and none can be read.
    """
    if path.exists():
        return Checkpoint.load(path), path
    broken: CheckpointError | None = None
    for found in reversed(_by_age(path)):
        try:
            return Checkpoint.load(found), found
        except CheckpointError as error:
            say(f"{error}; going on from the one before")
            broken = broken or error
    if broken:
        raise broken
    return None


def finish(path: Path, checkpoint: Checkpoint) -> None:
    """Write the supernet; what led to it is no longer needed."""
    checkpoint.save(path)
    shutil.rmtree(folder_of(path), ignore_errors=True)


def _by_age(path: Path) -> list[Path]:
    names = folder_of(path).glob("step-*.pt")
    return sorted(each for each in names if re.fullmatch(r"step-\d{8,}\.pt", each.name))
