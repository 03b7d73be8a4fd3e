"""Tables from and for others: published formats, and one table against another."""

import math
import re
from collections.abc import Mapping, Sequence
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
from harness.tables.compare import Comparison, Regressions, compare, load_revision
from harness.tables.imported import ImportedDevices
from harness.tables.ofa import rows_of, write_published
from harness.tables.ofa_rows import above_zero
from harness.tables.table import Table
from harness.tables.table_format import FORMATS, ImportRequest


@dataclass(frozen=True)
class ImportedTable:
    """A file with what others measured, now ours, and how it fits."""

    path: Path
    notes: str


def import_published(
    job: Run,
    paths: Sequence[Path],
    device: str,
    source: str,
    unit: str | None = None,
    form: str = "ofa",
) -> ImportedTable:
    """Make a published table ours. `form`: one of `FORMATS`.

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
    imported = found.read(ImportRequest(paths, device, source, job.space, unit))
    if isinstance(imported.found, ImportedDevices):
        path = job.workspace.imported / f"{device}.jsonl"
    else:
        path = job.workspace.table(device, job.space.name)
    with files.changing(path):
        if isinstance(imported.found, Table) and path.exists() and Table.load(path).source is None:
            raise TableError(f"{path} was measured, not imported; move it away first")
        imported.found.save(path)
    return ImportedTable(path, imported.notes)


@dataclass(frozen=True)
class ExportedTable:
    """Files in the OFA authors' format; their rows add up to our predictions, or to more."""

    paths: tuple[Path, ...]
    beyond_ms: float  # at most, in any network: layers that may be left out cost less than nothing
    smallest_ms: float  # what the smallest network takes


def export_published(job: Run, device: str, folder: Path) -> ExportedTable:
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
    beyond_ms = beyond_ns / 1e6 if beyond_ns > 1 else 0.0
    return ExportedTable(tuple(written), beyond_ms, predictor.smallest()[0])


def _most(space: Space, costs: Mapping[Block, float]) -> float:
    """The most that these add up to in any network of blocks that have one."""
    return -CostTable.of(space, lambda block: -costs.get(block, -math.inf)).cheapest()[0]


@dataclass(frozen=True)
class ComparedTables:
    """Two tables, what a comparison says, and what became too slow (None: nothing)."""

    old: Table
    new: Table
    found: Comparison
    regressions: Regressions | None


def compare_tables(job: Run, old: str, new: str, fail_above: float | None) -> ComparedTables:
    """Two tables, each a file or `REVISION:PATH`; `fail_above` 0.05 is 5 %."""
    tables = [load_revision(text, job.workspace.root) for text in (old, new)]
    found = compare(tables[0], tables[1], tables[0].clock)
    regressions = found.regressions(fail_above) if fail_above is not None else None
    return ComparedTables(tables[0], tables[1], found, regressions or None)
