"""`harness measure --baselines`: published networks timed on a device, as any network is."""

from harness.device.device import Device
from harness.measuring.plan import Entry
from harness.networks.baselines import BASELINES
from harness.pipeline.job import Run
from harness.pipeline.table_session import table_session
from harness.spaces.block import Block
from harness.tables.batch import an_image, of_batch
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
    newest = max(table.campaigns, key=table.started)
    return {r.blocks: r.statistics for r in table.select("network", table.clock, newest)}


def describe_baselines(table: Table) -> str:
    """Each baseline's newest latency, in a line, with its published accuracy."""
    records = newest_times(table)
    how = table.simulated or f"{table.clock} clock, full speed"
    images = table.images_per_run
    runs = f", runs{of_batch(images)}" if images > 1 else ""
    lines = [f"baselines on {table.device}, {how}{runs}:"]
    for baseline in BASELINES:
        times = records.get(baseline.blocks)
        if times is None:
            why = next(table.infeasible[b] for b in baseline.blocks if b in table.infeasible)
            lines.append(f"  {baseline.name:<20} cannot run there: {why}")
            continue
        lines.append(
            f"  {baseline.name:<20} {times.value / 1e6:9.4g} ms"
            f"{an_image(times.value / 1e6, images)}   {baseline.top1:.1f} % top-1, "
            f"{baseline.macs_m:g}M MACs ({baseline.source})"
        )
    return "\n".join(lines)
