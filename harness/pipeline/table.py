"""Measuring a device's latency table, and telling what it is worth."""

from pathlib import Path
from typing import Any

from harness.devices.device import Device
from harness.errors import TableError
from harness.measuring.campaign import Work, latest_campaign, run_campaign
from harness.measuring.plan import Entry, Plan, table_entries
from harness.pipeline.job import Run
from harness.runtimes.session import Session
from harness.spaces.space import Space
from harness.tables.calibration import end_to_end_error
from harness.tables.table import Table


def measure(job: Run, device: Device) -> Table:
    """The device's latency table for the space."""
    path = job.workspace.table(device.name, job.space.name)
    entries = table_entries(job.space)
    with device.open() as session:
        table = load_or_start(path, device, job.space, device.identity(session))
        todo = work(job, device, session, entries, job.effort.table)
        latest = latest_campaign(session, todo)
        begun = latest is not None and latest not in table.campaigns
        if not job.fresh and not begun and _is_measured(table, session, job.effort.table):
            return table
        with job.console.step(f"measure blocks on {device.name}") as progress:
            campaign = run_campaign(session, todo, job.fresh and not begun, progress)
        table = table.with_campaign(campaign.id, campaign.facts, campaign.records)
        table.save(path)
    return table


def load_or_start(path: Path, device: Device, space: Space, identity: dict[str, Any]) -> Table:
    """The table in the file, or an empty one.

    Raises:
        TableError: the file is broken, or was measured on something else.
    """
    if not path.exists():
        return Table(device.name, space.name, identity, {}, ())
    table = Table.load(path)
    for name, value in identity.items():
        if table.identity.get(name) != value:
            raise TableError(
                f"{path} was measured with {name} = {table.identity.get(name)!r}, this is "
                f"{value!r}: another device. Move the file away, or give this device its own name"
            )
    return table


def _is_measured(table: Table, session: Session, plan: Plan) -> bool:
    """Whether a campaign at least this thorough was made in this environment."""
    measured = {record.campaign for record in table.records if record.role == "block"}
    return any(
        table.campaigns[name]["rounds"] >= plan.rounds
        and table.campaigns[name]["environment"] == dict(session.environment)
        for name in measured
    )


def work(job: Run, device: Device, session: Session, entries: list[Entry], plan: Plan) -> Work:
    """A campaign of the device with its journals in the workspace."""
    return Work(
        device.identity(session),
        entries,
        plan,
        lambda name: job.workspace.journal(device.name, job.space.name, name),
    )


def describe_table(job: Run, device: Device, table: Table) -> str:
    """A table's content and quality in a line."""
    name = table.block_campaign()
    blocks = table.select("block", device.clock, name)
    campaign = table.campaigns[name]
    suspect = sum(bool(record.suspect) for record in blocks)
    doubts = f"; {suspect} of them suspect: repeat with --fresh" if suspect else ""
    return (
        f"{job.workspace.table(device.name, table.space)}: {len(blocks)} blocks, "
        f"measured {campaign['started_at']} in {campaign['rounds']} rounds; "
        f"{end_to_end_error(table, device.clock).describe()}{doubts}"
    )
