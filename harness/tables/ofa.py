"""Latency tables in the form that the OFA authors published: read and written.

YAML (others have JSON), one file a resolution, one row a block: `mean` and `std` in ms (`var` in
the older tables of ProxylessNAS) over `count` runs. The released code predicts a network by adding
up its rows' means.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from harness import files
from harness.errors import TableError
from harness.spaces.block import Block
from harness.spaces.space import Space
from harness.tables.filling import Filled
from harness.tables.ofa_keys import block_key, layout
from harness.tables.ofa_reading import Row, check_plausible, load_rows, row_of, table_files, unit_ms
from harness.tables.record import Record, Statistics
from harness.tables.repeat import NORMAL95
from harness.tables.table import Table
from harness.tables.table_format import Imported as Found
from harness.tables.table_format import ImportRequest, TableFormat

CAMPAIGN = "published"
_FACTS = {"started_at": "unknown", "rounds": 1, "environment": {}}
_NS_PER_MS = 1e6


@dataclass(frozen=True)
class Imported:
    """A published table, and how it fits the space."""

    table: Table
    unit: str
    foreign: tuple[str, ...]  # keys of rows that are no blocks of the space
    missing: tuple[Block, ...]  # blocks that the files' resolutions need and the files lack

    def describe(self) -> str:
        count, space = len(self.table.records), self.table.space
        parts = [f"{count} blocks of {space}, their times read as {self.unit}"]
        if self.foreign:
            example = self.foreign[0]
            parts.append(f"{len(self.foreign)} rows are no blocks of it, such as {example!r}")
        if self.missing:
            example = block_key(self.missing[0])
            parts.append(f"{len(self.missing)} blocks of it are missing, such as {example}")
        return "; ".join(parts)


def read_published(
    paths: Sequence[Path], space: Space, device: str, source: str, unit: str | None = None
) -> Imported:
    """The published table in `paths`, each a file or a folder of files, YAML, JSON or CSV.

    Files are of the resolutions whose first layer they have, whatever their names. `source` says
    where they come from; it is the table's identity, too, as nothing else is known. Where no
    `unit` is stated, times are ms if they can be.

    Raises:
        TableError: a file is missing or broken, a row that fits has no sensible numbers, no file
            has a first layer of the space, or times cannot be ms.
        UsageError: there is no such unit.
    """
    ms = unit_ms(unit)
    contents = {path: load_rows(path) for path in table_files(paths)}
    resolutions = (*space.resolutions, *_others(contents.values(), space))
    layouts = {resolution: layout(space, resolution) for resolution in resolutions}
    known = {key: blocks for rows in layouts.values() for key, blocks in rows.items()}
    found: dict[str, list[Row]] = {}
    foreign: set[str] = set()
    for path, rows in contents.items():
        for key, value in rows.items():
            if key in known:
                found.setdefault(key, []).append(row_of(value, ms, f"{path}: {key}"))
            else:
                foreign.add(key)
    stems = {r: block_key(next(space.blocks_at(0, (r,)))) for r in layouts}
    covered = [resolution for resolution in layouts if stems[resolution] in found]
    if not covered:
        raise TableError(
            f"{paths[0]}: no row is a first layer of {space.name} (one like "
            f"{stems[space.resolutions[-1]]}); a table of another width or resolution?"
        )
    if unit is None:
        timed = [(row, known[key]) for key, rows in found.items() for row in rows]
        macs = sum(block.macs for _, blocks in timed for block in blocks)
        check_plausible(macs, sum(row.mean_ms for row, _ in timed), str(paths[0]))
    records = {
        record.blocks[0]: record for key in found for record in _records(known[key], found[key])
    }
    facts = {CAMPAIGN: dict(_FACTS)}
    wanted = space.distinct_blocks(tuple(covered))
    return Imported(
        Table(device, space.name, {"source": source}, facts, tuple(records.values()), source),
        unit or "ms",
        tuple(sorted(foreign)),
        tuple(block for block in wanted if block not in records),
    )


def _others(tables: Iterable[dict[str, Any]], space: Space) -> set[int]:
    """Resolutions of first layers in the tables that the space was never released at."""
    first_layer = re.compile(rf"Conv-input:(\d+)x\1x{space.image_channels}-output:.*")
    sizes = {int(m[1]) for rows in tables for key in rows if (m := first_layer.fullmatch(key))}
    return {size for size in sizes - set(space.released_at) if space.runs_at(size)}


def _records(blocks: tuple[Block, ...], rows: Iterable[Row]) -> Iterator[Record]:
    """A key's rows as a record of its first block; others get the shortest time there is.

    So the sum over a network's blocks is the sum over its rows.
    """
    nothing = Statistics(1, 1, 1, None, None, None, None, None, 1, 1)
    first, *others = blocks
    yield _record(first, _statistics(rows))
    yield from (_record(block, nothing, "timed together with another") for block in others)


def _record(block: Block, statistics: Statistics, *suspect: str) -> Record:
    return Record("block", (block,), None, "latency", "wall", CAMPAIGN, statistics, suspect)


def _statistics(rows: Iterable[Row]) -> Statistics:
    """The mean over all runs of a block, which files of several resolutions can have.

    Equal rows are copies. Others were measured at different times and can differ by more than the
    runs of either tell, so the interval reaches over all of their means.
    """
    distinct = set(rows)
    runs = sum(row.count for row in distinct)
    mean = sum(row.count * row.mean_ms for row in distinct) / runs
    squares = sum(row.count * (row.std_ms**2 + (row.mean_ms - mean) ** 2) for row in distinct)
    apart = max(abs(row.mean_ms - mean) for row in distinct)
    half = max(NORMAL95 * math.sqrt(squares) / runs, apart)
    value, low, high = (max(1, round(ms * _NS_PER_MS)) for ms in (mean, mean - half, mean + half))
    return Statistics(value, low, high, None, None, None, None, None, len(distinct), runs)


def rows_of(table: Table, clock: str) -> dict[Block, Row]:
    """The table's blocks as rows to publish.

    The mean is the table's estimate and the deviation is the one that leads back to its interval.
    The format has no word for blocks that were filled in: they are of one run.
    """
    rows = {
        block: Row(each.value / _NS_PER_MS, _std_ms(each), 1)
        for block, each in table.filled(clock).items()
    }
    for block, record in table.blocks(clock).items():
        numbers = record.statistics
        half_ns = (numbers.high - numbers.low) / 2
        std_ms = half_ns / NORMAL95 * math.sqrt(numbers.runs) / _NS_PER_MS
        rows[block] = Row(numbers.value / _NS_PER_MS, std_ms, numbers.runs)
    return rows


def _std_ms(filled: Filled) -> float:
    low, high = filled.interval
    return (high - low) / 2 / NORMAL95 / _NS_PER_MS


def write_published(rows: Mapping[Block, Row], space: Space, folder: Path) -> list[Path]:
    """Write `{resolution}.yaml` for each resolution that has a row for every block.

    The released code reads them, `MBv3LatencyTable(url=path)`, and so does `read_published`.

    Raises:
        TableError: no resolution is complete, or the released code has no key for a block.
        WorkspaceError: the folder cannot be written.
    """
    written = []
    for resolution in space.resolutions:
        keys = layout(space, resolution)
        if rows.keys() >= {block for blocks in keys.values() for block in blocks}:
            values = {key: _sum([rows[block] for block in blocks]) for key, blocks in keys.items()}
            path = folder / f"{resolution}.yaml"
            files.write_text(path, yaml.safe_dump(values))
            written.append(path)
    if not written:
        lacking = min(
            ([b for b in space.distinct_blocks((r,)) if b not in rows] for r in space.resolutions),
            key=len,
        )
        raise TableError(
            f"no resolution of {space.name} has all of its blocks in the table; "
            f"the most complete one lacks {len(lacking)}, such as {lacking[0].key}"
        )
    return written


def _sum(rows: Sequence[Row]) -> dict[str, float]:
    return {
        "count": max(row.count for row in rows),
        "mean": sum(row.mean_ms for row in rows),
        "std": math.hypot(*(row.std_ms for row in rows)),
    }


def _read(asked: ImportRequest) -> Found:
    imported = read_published(asked.paths, asked.space, asked.name, asked.source, asked.unit)
    return Found(imported.table, imported.describe())


FORMAT = TableFormat("ofa", _read)
