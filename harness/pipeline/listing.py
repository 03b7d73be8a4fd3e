"""`harness list`: the tables, fronts and networks that are here."""

from collections.abc import Callable, Iterator
from pathlib import Path

from harness.deploy.front import Front
from harness.errors import HarnessError
from harness.tables.imported import ImportedDevices
from harness.tables.table import Table
from harness.workspace import Workspace

Line = tuple[str, Path, str]  # what it is, where, and what is in it


def listing(root: Path) -> Iterator[Line]:
    """All that is below the root; what is broken says so, and why."""
    for path in sorted((root / "tables").glob("*.jsonl")):
        yield "table", path, _told(_table, path)
    for path in sorted(Workspace(root).imported.glob("*.jsonl")):
        yield "imported", path, _told(_imported, path)
    for path in sorted((root / "reports").glob("*/front.json")):
        yield "front", path, _told(_front, path)
    for path in sorted((root / "runs").glob("*/supernet.pt")):
        yield "supernet", path, f"{path.stat().st_size / 1e6:.1f} MB"
    for path in sorted(root.glob("*.pt")):
        yield "network", path, f"{path.stat().st_size / 1e6:.1f} MB"
    for path in sorted(path for path in (root / "published").rglob("*") if path.is_file()):
        yield "published", path, f"{path.stat().st_size / 1e6:.1f} MB"


def _told(tell: Callable[[Path], str], path: Path) -> str:
    try:
        return tell(path)
    except HarnessError as error:
        return f"cannot be used: {error}"


def _table(path: Path) -> str:
    table = Table.load(path)
    what = f"{len(table.block_values(table.clock))} blocks" if table.has_blocks else "networks only"
    since = max((table.started(name) for name in table.campaigns), default="")
    by = "imported" if table.source else "simulated" if table.simulated else "measured"
    return f"{table.quantity} of {table.space} on {table.device}: {what}, {by} {since}".rstrip()


def _imported(path: Path) -> str:
    return ImportedDevices.load(path).describe()


def _front(path: Path) -> str:
    front = Front.load(path)
    verified = "not verified" if front.verification is None else "verified"
    return f"{front.space} on {front.device}: {len(front.points)} networks, {verified}"
