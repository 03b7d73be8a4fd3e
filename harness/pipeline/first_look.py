"""`harness run --quick` on a device without a table: few whole networks instead of all blocks."""

from harness.device.device import Device
from harness.measuring.plan import first_look_entries
from harness.pipeline.current import check_current
from harness.pipeline.job import Run
from harness.pipeline.notices import TableState
from harness.pipeline.table_session import table_session
from harness.predictors.choice import alike, latency_predictor
from harness.predictors.few_shot import FEWEST
from harness.predictors.latency import LatencyPredictor
from harness.tables.table import Table


def has_blocks(job: Run, device: Device) -> bool:
    """Whether the device has a latency table of this space."""
    path = job.workspace.table(device.name, job.space.name)
    return path.exists() and Table.load(path).has_blocks


def first_look(job: Run, device: Device) -> Table:
    """A table of whole networks only: one, where a device alike is known, else ten.

    What they tell is `predictors.choice`'s to say. `measure` adds the blocks later.
    """
    plan = job.effort.verification
    with table_session(job, device) as into:
        networks = 1 if known_tables(job, into.table) else FEWEST
        entries = first_look_entries(job.space, networks)
        fresh = job.fresh and not into.is_begun(entries, plan)
        return into.add(into.campaign("first look", entries, plan, fresh))


def latency_of(job: Run, table: Table, campaign: str | None = None) -> LatencyPredictor:
    """The best predictor for a table, with what tables of other devices tell where it needs them.

    Raises:
        TableError: there is too little in it.
    """
    check_current(job, table)
    known = [] if table.has_blocks else known_tables(job, table)
    return latency_predictor(table, job.space, known, campaign)


def table_state(job: Run, table: Table) -> TableState:
    """What there is to say of a table.

    Raises:
        TableError: there is too little in it.
    """
    path = job.workspace.table(table.device, table.space, table.quantity)
    return TableState(path, table, None if table.has_blocks else latency_of(job, table))


def known_tables(job: Run, table: Table) -> list[Table]:
    """The tables in the workspace of other devices of the same kind and settings."""
    others = (Table.load(path) for path in job.workspace.tables(job.space.name))
    return [
        other
        for other in others
        if other.device != table.device and alike(other, table.identity, job.space)
    ]
