"""`harness measure --baselines`: published networks timed on a device, as any network is."""

from harness.device.device import Device
from harness.measuring.plan import Entry
from harness.networks.baselines import BASELINES
from harness.pipeline.job import Run
from harness.pipeline.table_session import table_session
from harness.spaces.block import Block
from harness.tables.record import Statistics
from harness.tables.table import Table

NAME = "baselines"  # where a table has the name of its space


def measure_baselines(job: Run, device: Device, deadline_s: float | None = None) -> Table:
    """The table of all baselines on the device; gone on with where it was stopped."""
    sentinel = BASELINES[0].blocks[len(BASELINES[0].blocks) // 2]
    entries = [Entry("sentinel", (sentinel,), (sentinel,))]
    entries += [Entry("network", found.blocks, found.blocks) for found in BASELINES]
    plan = job.effort.verification
    with table_session(job, device, deadline_s=deadline_s, name=NAME, anew=True) as into:
        fresh = job.fresh and not into.is_begun(entries, plan)
        return into.add(into.campaign("time baselines", entries, plan, fresh))


def newest_times(table: Table) -> dict[tuple[Block, ...], Statistics]:
    """What each network took in the newest campaign, by its blocks."""
    records = table.select("network", table.clock, table.newest())
    return {record.blocks: record.statistics for record in records}
