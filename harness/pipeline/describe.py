"""What a table holds and what it is worth, in a line."""

from harness.device.conditions import CHANGED, describe_changes, describe_unknown
from harness.pipeline.first_look import latency_of
from harness.pipeline.job import Run
from harness.tables.batch import of_batch
from harness.tables.end_to_end import end_to_end_error
from harness.tables.table import Table
from harness.tables.versions import uses, versions_apart


def describe_table(job: Run, table: Table) -> str:
    """A table's content and quality.

    Raises:
        TableError: there is too little in it.
    """
    path = f"{job.workspace.table(table.device, table.space, table.quantity)}"
    if table.images_per_run > 1:
        path += f", of runs{of_batch(table.images_per_run)}"
    if not table.has_blocks:
        predictor = latency_of(job, table)
        if table.source is not None:
            return f"{path}: whole networks, imported from {table.source}; {predictor.describe()}"
        return (
            f"{path}: no blocks yet; {predictor.describe()}; "
            f"`harness measure --device {table.device}` measures the blocks"
        )
    name = table.block_campaign()
    blocks = table.select("block", table.clock, name)
    campaign = table.campaigns[name]
    if table.source is not None:
        return (
            f"{path}: {len(blocks)} blocks, imported from {table.source}; not calibrated: sums of "
            "blocks are taken as they are, and nobody compared them with whole networks here"
        )
    if table.simulated is not None:
        return f"{path}: {_simulated(table)}"
    finished = campaign.get("finished", True)
    suspect = sum(bool(record.suspect) for record in blocks)
    what_to_do = ": repeat with --fresh" if finished else ""  # else more visits may settle them
    doubts = f"; {suspect} of them suspect{what_to_do}" if suspect else ""
    changed = describe_changes(campaign.get(CHANGED) or {})
    doubts += f"; conditions changed meanwhile: {changed}" if changed else ""
    unknown = describe_unknown(campaign)
    doubts += f"; unknown, so that no visit was doubted for it: {unknown}" if unknown else ""
    calibrating = table.calibrating_campaign()
    since = table.campaigns[calibrating]["started_at"]
    calibrated = f"; calibrated anew {since}" if calibrating != name else ""
    unfinished = "" if finished else ", unfinished: start again to go on"
    holdouts = table.select("holdout", table.clock, calibrating)
    judged = (
        end_to_end_error(table, table.clock).describe()
        if holdouts
        else "the space is too small for holdout networks: its error is not known"
    )
    apart = versions_apart(uses(table))
    versions = f"; not of one version, repeat with --fresh: {apart}" if apart else ""
    what = "" if table.quantity == "latency" else f"{table.quantity} of "
    return (
        f"{path}: {what}{len(table.block_values(table.clock))} blocks, "
        f"measured {campaign['started_at']} in at least {campaign['rounds']} visits{unfinished}; "
        f"{judged}{calibrated}{doubts}{versions}"
    )


def _simulated(table: Table) -> str:
    parts = [f"{len(table.blocks(table.clock))} blocks, {table.simulated}"]
    if table.select("holdout", table.clock, table.calibrating_campaign()):
        parts.append(end_to_end_error(table, table.clock).describe())
    if table.infeasible:
        block, why = next(iter(table.infeasible.items()))
        parts.append(f"{len(table.infeasible)} blocks cannot run, such as {block.key}: {why}")
    return "; ".join(parts)
