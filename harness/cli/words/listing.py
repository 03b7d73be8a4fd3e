"""What is here, in words."""

from harness.deploy.front import Front
from harness.errors import HarnessError
from harness.pipeline.listing import Content, Item
from harness.tables.imported import ImportedDevices
from harness.tables.table import Table


def describe_item(item: Item) -> str:
    """What a file is, or why it cannot be used."""
    try:
        return _described(item.content)
    except HarnessError as error:  # a table whose campaigns have too little in common
        return f"cannot be used: {error}"


def _described(content: Content | int) -> str:
    match content:
        case Table() as table:
            return _table(table)
        case ImportedDevices() as devices:
            return devices.describe()
        case Front() as front:
            verified = "not verified" if front.verification is None else "verified"
            return f"{front.space} on {front.device}: {len(front.points)} networks, {verified}"
        case int() as size_bytes:
            return f"{size_bytes / 1e6:.1f} MB"
        case error:
            raise error


def _table(table: Table) -> str:
    what = f"{len(table.block_values(table.clock))} blocks" if table.has_blocks else "networks only"
    since = table.started(table.newest()) if table.campaigns else ""
    by = "imported" if table.source else "simulated" if table.simulated else "measured"
    return f"{table.quantity} of {table.space} on {table.device}: {what}, {by} {since}".rstrip()
