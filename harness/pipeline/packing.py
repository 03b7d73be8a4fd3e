"""`harness tables pack` and `unpack`: a table given to others, and theirs beside one's own."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import __version__, files
from harness.device.profile import profile_paths
from harness.errors import FileFormatError, TableError
from harness.pipeline.job import Run
from harness.tables.journal import packed
from harness.tables.package import JOURNALS, PROFILE, TABLE, Package, pack, unpack
from harness.tables.table import Table
from harness.tables.versions import differences, environment_of


@dataclass(frozen=True)
class Beside:
    """A table of one's own, and what the other one's device tells otherwise."""

    path: Path
    identity: Mapping[str, tuple[Any, Any]]  # mine, theirs: where there are some, none compares
    environment: Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Unpacked:
    """What was in a package, and where it lies now."""

    package: Package
    folder: Path
    beside: tuple[Beside, ...]  # tables of one's own of the same space

    @property
    def table(self) -> Path:
        return self.folder / TABLE


def pack_table(job: Run, device: str, path: Path, quantity: str = "latency") -> Package:
    """Write the device's table with its profile and raw journals into one file.

    Raises:
        TableError: there is no table.
        FileFormatError: a part of it cannot be read.
    """
    source = job.workspace.table(device, job.space.name, quantity)
    table = Table.load(source)
    parts = {TABLE: _content(source)}
    if (profile := profile_paths(job.workspace.root).get(device)) is not None:
        parts[PROFILE] = _content(profile)
    for campaign in table.campaigns:
        journal = job.workspace.journal(device, job.space.name, campaign)
        for found in (journal, packed(journal)):
            if found.is_file():
                parts[f"{JOURNALS}{found.name}"] = _content(found)
    return pack(path, __version__, table, parts)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise FileFormatError(f"cannot read {path}: {error.strerror}") from error


def unpack_table(root: Path, path: Path) -> Unpacked:
    """Unpack into `published/`, and say what one's own tables of the space have otherwise.

    Raises:
        TableError: the file is no whole package.
    """
    package = unpack(path)
    theirs = package.table
    folder = root / "published" / f"{theirs.device}.{theirs.space}-{package.sha256[:8]}"
    for name, part in package.parts.items():
        files.replace_atomically(folder / name, part)
    own = sorted((root / "tables").glob(f"*.{theirs.space}*.jsonl"))
    return Unpacked(
        package, folder, tuple(_beside(mine, theirs) for mine in own if _is_like(mine, theirs))
    )


def _is_like(path: Path, theirs: Table) -> bool:
    """A measured one of the same space and quantity; what is broken is somebody else's to say."""
    try:
        mine = Table.load(path)
    except TableError:
        return False
    return (mine.space, mine.quantity) == (theirs.space, theirs.quantity) and all(
        table.campaigns for table in (mine, theirs)
    )


def _beside(path: Path, theirs: Table) -> Beside:
    mine = Table.load(path)
    facts = [environment_of(each, each.newest()) for each in (mine, theirs)]
    return Beside(path, differences(mine.identity, theirs.identity), differences(*facts))
