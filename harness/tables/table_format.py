"""How others write tables down: a format is a module of `harness/tables` with a `FORMAT`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.registry import Registry
from harness.spaces.space import Space
from harness.tables.imported import ImportedDevices
from harness.tables.table import Table


@dataclass(frozen=True)
class ImportRequest:
    """What is to be imported."""

    paths: Sequence[Path]  # files or folders
    name: str  # to give to it
    source: str  # where the files come from
    space: Space  # whose blocks or networks a table is of
    unit: str | None = None  # of times; None: what the format says


@dataclass(frozen=True)
class Imported:
    """What a format found: the table of a device and space, or whole networks on many devices."""

    found: Table | ImportedDevices
    notes: str  # how it fits, in a line


@dataclass(frozen=True)
class TableFormat:
    """One way to write tables down."""

    name: str
    read: Callable[[ImportRequest], Imported]  # raises TableError where a file is none of it
    unit: str | None = None  # of all its times; None: files may have any


FORMATS = Registry("harness.tables", "FORMAT", TableFormat)
