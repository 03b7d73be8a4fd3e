"""`harness measure --refresh`: a look at a sample, then again only what has changed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.device.device import Device
from harness.measuring.campaign import Campaign
from harness.measuring.plan import Entry, block_entries, refit_entries
from harness.pipeline.job import Run
from harness.pipeline.notices import Refreshed
from harness.pipeline.table import to_measure_again
from harness.pipeline.table_session import TableSession, table_session
from harness.spaces.block import Block
from harness.spaces.convolution import Convolution
from harness.spaces.space import Space
from harness.tables.calibration import stage_of
from harness.tables.compare import Comparison, compare
from harness.tables.table import Table

SAMPLE = 40  # blocks that are looked at
EVERYTHING = 1 / 3  # of them moved: then all are measured again


def refresh(job: Run, device: Device, deadline_s: float | None = None) -> Table:
    """The table with new anchors, and with new times for the kinds of blocks that moved.

    Raises:
        TableError: there is no table yet.
    """
    space = to_measure_again(job, device)
    with table_session(job, device, deadline_s=deadline_s) as into:
        visited = _visited_blocks(into.table, space)
        sample = _sample(into.table, visited)
        look = _visited(into, space, "look at a sample", sample)
        found = _against(into.table, look)
        changed = _alike(found, sample, visited)
        job.listener.tell(
            Refreshed(
                found.shift,
                tuple(found.updated),
                len(found.moved),
                found.compared,
                len(changed),
                len(visited),
            )
        )
        if not changed:
            return into.add(look)
        seen = into.table.with_campaign(look.id, look.facts, look.records)
        wanted = sorted({*sample, *changed})
        again = _visited(replace(into, table=seen), space, "measure what changed", wanted)
        facts = again.facts | {"moved": [block.key for block in changed]}
        return into.add(look, replace(again, facts=facts))


def _visited(into: TableSession, space: Space, title: str, blocks: list[Block]) -> Campaign:
    """A new campaign over these blocks, with anchors and holdouts of its own."""
    plan = into.job.effort.table
    entries: list[Entry] = refit_entries(space, plan.anchors) + block_entries(blocks)
    return into.campaign(title, entries, plan, fresh=not into.is_begun(entries, plan))


def _visited_blocks(table: Table, space: Space) -> list[Block]:
    """All of the space but those that are filled in, which follow the others."""
    filled = table.filled(table.clock)
    return [block for block in space.distinct_blocks() if block not in filled]


def _sample(table: Table, blocks: Sequence[Block]) -> list[Block]:
    """Random blocks, others at each refresh."""
    rng = np.random.default_rng(len(table.campaigns))
    chosen = rng.choice(len(blocks), min(SAMPLE, len(blocks)), replace=False)
    return [blocks[index] for index in sorted(chosen)]


def _against(table: Table, look: Campaign) -> Comparison:
    """What the sample did since the table was measured."""
    today = replace(table, campaigns={look.id: look.facts}, records=look.records)
    return compare(table, today, table.clock)


def _alike(found: Comparison, sample: Sequence[Block], blocks: Sequence[Block]) -> list[Block]:
    """Blocks of the stages and kernels that moved; all, where that is a good part of the sample."""
    if len(found.moved) > EVERYTHING * len(sample):
        return list(blocks)
    kinds = {(stage_of(moved.block), _kernel(moved.block)) for moved in found.moved}
    return [b for b in blocks if (stage_of(b), _kernel(b)) in kinds]


def _kernel(block: Block) -> int | None:
    return block.kernel if isinstance(block, Convolution) else None
