"""Tables from and for others: published formats, and one table against another."""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness import files
from harness.errors import TableError, UsageError
from harness.pipeline.job import Run
from harness.predictors.block_table import BlockTablePredictor, resolutions_in
from harness.spaces.block import Block
from harness.spaces.cost import CostTable
from harness.spaces.mobile import MobileSpace
from harness.spaces.space import Space
from harness.tables.calibration import calibrate
from harness.tables.compare import Comparison, compare, load_revision
from harness.tables.imported import ImportedDevices
from harness.tables.ofa import rows_of, write_published
from harness.tables.ofa_rows import above_zero
from harness.tables.record import SHOWN
from harness.tables.table import Table
from harness.tables.table_format import FORMATS, Asked
from harness.tables.versions import uses, versions_apart

_FEW = 12  # blocks that are named


def import_published(
    job: Run,
    paths: Sequence[Path],
    device: str,
    source: str,
    unit: str | None = None,
    form: str = "ofa",
) -> str:
    """Make a published table ours; what fitted, in a line. `form`: one of `FORMATS`.

    Raises:
        UsageError: the name does not say that the table is imported, or there is no such format or
            unit.
        TableError: a file is broken, or a measured table has that name.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*-published", device):
        raise UsageError(
            f"--device {device}: names of imported tables are small letters, digits, - and _, and "
            "end in -published, as note10-published"
        )
    found = FORMATS.find(form if form in FORMATS.names() else form.replace("-", "_"))
    if unit is not None and found.unit is not None:
        raise UsageError(f"--unit: times of --format {form} are {found.unit}")
    imported = found.read(Asked(paths, device, source, job.space, unit))
    if isinstance(imported.found, ImportedDevices):
        path = job.workspace.imported / f"{device}.jsonl"
    else:
        path = job.workspace.table(device, job.space.name)
    with files.changing(path):
        if isinstance(imported.found, Table) and path.exists() and Table.load(path).source is None:
            raise TableError(f"{path} was measured, not imported; move it away first")
        imported.found.save(path)
    return f"{path}: {imported.notes}"


def export_published(job: Run, device: str, folder: Path) -> list[Path]:
    """Write the table as the OFA authors do, one file a resolution.

    Their code adds up rows, so each holds its block's part of a network; what belongs to no row of
    its own is in that of the first layer. Where sums cannot be our predictions, says by how much.
    """
    if not isinstance(job.space, MobileSpace):
        raise UsageError(f"the released code has no tables of spaces such as {job.space.name}")
    table = Table.load(job.workspace.table(device, job.space.name))
    clock = table.clock
    calibration = calibrate(table, clock)
    times = table.block_values(clock)
    covered = resolutions_in(times.keys(), job.space)
    whole = job.space.at(covered) if covered else job.space  # which says what is missing
    predictor = BlockTablePredictor.from_table(table, whole, clock)
    space = predictor.costs.space
    parts = {block: calibration.block_part(block, times[block]) for block in times}
    means = above_zero(space, parts, calibration.offset)
    rows = {
        block: replace(row, mean_ms=means[block] / 1e6)
        for block, row in rows_of(table, clock).items()
        if block in means
    }
    written = write_published(rows, space, folder)
    beyond_ns = _most(space, {b: means[b] - parts[b] for b in rows}) - calibration.offset
    if beyond_ns > 1:
        job.console.say(
            f"rows add up to as much as {beyond_ns / 1e6:.4g} ms more than our predictions (the "
            f"smallest network takes {predictor.smallest()[0]:.4g} ms): layers that may be left "
            "out cost less than nothing here, which no row can tell"
        )
    return written


def _most(space: Space, costs: Mapping[Block, float]) -> float:
    """The most that these add up to in any network of blocks that have one."""
    return -CostTable.of(space, lambda block: -costs.get(block, -math.inf)).cheapest()[0]


@dataclass(frozen=True)
class Compared:
    """A comparison in words, and what became too slow ("": nothing)."""

    text: str
    regressed: str


def compare_tables(job: Run, old: str, new: str, fail_above: float | None) -> Compared:
    """Two tables, each a file or `REVISION:PATH`; `fail_above` 0.05 is 5 %."""
    tables = [load_revision(text, job.workspace.root) for text in (old, new)]
    found = compare(tables[0], tables[1], tables[0].clock)
    regressions = found.regressions(fail_above) if fail_above is not None else None
    lines = [*_lines(found, tables[0]), *_spans(tables)]
    return Compared("\n".join(lines), regressions.describe() if regressions else "")


def _spans(tables: Sequence[Table]) -> Iterator[str]:
    """Tables that were not measured with one version."""
    for which, table in zip(("old", "new"), tables, strict=True):
        if apart := versions_apart(uses(table)):
            yield f"the {which} table is not of one version: {apart}"


def _lines(found: Comparison, table: Table) -> list[str]:
    low, high = found.shift_interval
    unit = SHOWN[table.quantity]
    lines = [
        f"{found.compared} blocks compared on the {table.clock} clock"
        + (f", {found.only_old} only in the old table" if found.only_old else "")
        + (f", {found.only_new} only in the new one" if found.only_new else ""),
        f"everything takes {found.shift:.3f} times {found.as_before}: {found.why_shifted()}",
        f"  (its blocks agree on {low:.3f} to {high:.3f}; another campaign may give another)",
        f"{len(found.moved)} blocks did something else, beyond noise"
        + (":" if found.moved else ""),
    ]
    lines += [
        f"  {moved.block.key}: {moved.old / 1e6:.4f} to {moved.new / 1e6:.4f} {unit}, "
        f"{moved.ratio_beyond_shift:.2f} times the others (p = {moved.p:.1g})"
        for moved in found.moved[:_FEW]
    ]
    if len(found.moved) > _FEW:
        lines.append(f"  and {len(found.moved) - _FEW} more")
    for name, (before, after) in found.environment.items():
        lines.append(f"environment: {name} {json.dumps(before)} -> {json.dumps(after)}")
    return lines
