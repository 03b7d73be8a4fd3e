"""`harness list`: the tables, fronts and networks that are here."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.deploy.front import Front
from harness.errors import HarnessError
from harness.tables.imported import ImportedDevices
from harness.tables.table import Table
from harness.workspace import Workspace

Content = Table | ImportedDevices | Front | HarnessError


@dataclass(frozen=True)
class Item:
    """A file that is here."""

    kind: str  # table, imported, front, supernet, network, published
    path: Path
    content: Content | int  # or why it cannot be used; of what is not read the size, bytes


def listing(root: Path) -> Iterator[Item]:
    """All that is below the root."""
    for path in sorted((root / "tables").glob("*.jsonl")):
        yield Item("table", path, _read(Table.load, path))
    for path in sorted(Workspace(root).imported.glob("*.jsonl")):
        yield Item("imported", path, _read(ImportedDevices.load, path))
    for path in sorted((root / "reports").glob("*/front.json")):
        yield Item("front", path, _read(Front.load, path))
    published = (path for path in (root / "published").rglob("*") if path.is_file())
    for kind, paths in (
        ("supernet", (root / "runs").glob("*/supernet.pt")),
        ("network", root.glob("*.pt")),
        ("published", published),
    ):
        for path in sorted(paths):
            yield Item(kind, path, path.stat().st_size)


def _read(load: Callable[[Path], Content], path: Path) -> Content:
    try:
        return load(path)
    except HarnessError as error:
        return error
