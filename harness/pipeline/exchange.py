"""Tables from and for others: published formats, and one table against another."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import TableError, UsageError
from harness.pipeline.job import Run
from harness.predictors.block_table import BlockTablePredictor
from harness.spaces.block import Block
from harness.spaces.mobile import MobileSpace
from harness.spaces.space import Space
from harness.tables.calibration import calibrate
from harness.tables.compare import Comparison, compare, load_revision
from harness.tables.ofa import Row, read_published, rows_of, write_published
from harness.tables.table import Table

_FEW = 12  # blocks that are named


def import_published(job: Run, paths: Sequence[Path], device: str, source: str) -> str:
    """Make a published table ours; what fitted, in a line.

    Raises:
        UsageError: the name does not say that the table is imported.
        TableError: a file is broken, or a measured table has that name.
    """
    if not device.endswith("-published"):
        raise UsageError(
            f"--device {device}: imported tables end in -published, as note10-published"
        )
    path = job.workspace.table(device, job.space.name)
    if path.exists() and Table.load(path).source is None:
        raise TableError(f"{path} was measured, not imported; move it away first")
    imported = read_published(paths, job.space, device, source)
    imported.table.save(path)
    return f"{path}: {imported.describe()}"


def export_published(job: Run, device: str, folder: Path) -> list[Path]:
    """Write the table as the OFA authors do, one file a resolution.

    Their code adds up rows, so each holds its block's part of a network; the calibration's offset
    is in the row of the first layer, which every network has once.
    """
    if not isinstance(job.space, MobileSpace):
        raise UsageError(f"the released code has no tables of spaces such as {job.space.name}")
    table = Table.load(job.workspace.table(device, job.space.name))
    clock = table.clock
    calibration = calibrate(table, clock)
    times = table.block_values(clock)
    resolutions = BlockTablePredictor.from_table(table, job.space, clock).resolutions
    parts = {block: calibration.block_part(block, times[block]) for block in times}
    for resolution in resolutions:
        (stem,) = job.space.blocks_at(0, (resolution,))
        parts[stem] += calibration.offset + _below_zero(job.space.at((resolution,)), parts)
    rows = {
        block: Row(max(0.0, parts[block]) / 1e6, row.std_ms, row.count)
        for block, row in rows_of(table, clock).items()
    }
    return write_published(rows, job.space.at(resolutions), folder)


def _below_zero(space: Space, parts: Mapping[Block, float]) -> float:
    """What blocks that every network has take less than nothing (a call that is not made, a map
    that stays where it is): the released code wants no such rows, and the first layer has it."""
    fixed = [i for i, place in enumerate(space.places) if i and place.genes == (0,)]
    blocks = [block for place in fixed for block in space.blocks_at(place)]
    return sum(min(0.0, parts[block]) for block in blocks)


@dataclass(frozen=True)
class Compared:
    """A comparison in words, and whether something became too slow."""

    text: str
    regressed: bool


def compare_tables(job: Run, old: str, new: str, fail_above: float | None) -> Compared:
    """Two tables, each a file or `REVISION:PATH`; `fail_above` 0.05 is 5 %."""
    tables = [load_revision(text, job.workspace.root) for text in (old, new)]
    clock = tables[0].clock
    found = compare(tables[0], tables[1], clock)
    regressions = found.regressions(fail_above) if fail_above is not None else None
    return Compared("\n".join(_lines(found, clock)), bool(regressions))


def _lines(found: Comparison, clock: str) -> list[str]:
    low, high = found.shift_interval
    lines = [
        f"{found.compared} blocks compared on the {clock} clock"
        + (f", {found.only_old} only in the old table" if found.only_old else "")
        + (f", {found.only_new} only in the new one" if found.only_new else ""),
        f"everything takes {found.shift:.3f} times as long ({low:.3f} to {high:.3f})",
        f"{len(found.moved)} blocks did something else, beyond noise"
        + (":" if found.moved else ""),
    ]
    lines += [
        f"  {moved.block.key}: {moved.old / 1e6:.4f} to {moved.new / 1e6:.4f} ms, "
        f"{moved.ratio_beyond_shift:.2f} times the others (p = {moved.p:.1g})"
        for moved in found.moved[:_FEW]
    ]
    if len(found.moved) > _FEW:
        lines.append(f"  and {len(found.moved) - _FEW} more")
    for name, (before, after) in found.environment.items():
        lines.append(f"environment: {name} {json.dumps(before)} -> {json.dumps(after)}")
    return lines
