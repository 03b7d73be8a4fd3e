"""`harness history`: tables and kept benchmarks over time, from files and from git's history."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files
from harness.errors import FileFormatError, TableError
from harness.networks.baselines import BASELINES
from harness.pipeline import benchmark
from harness.spaces.block import Block
from harness.tables.history import History, Point, Series, history
from harness.tables.record import SHOWN, Record, Statistics
from harness.tables.revisions import Revision, revisions
from harness.tables.table import Table

_ROLES = ("block", "anchor", "holdout", "network")
_BASELINES: dict[tuple[Block, ...], str] = {each.blocks: each.name for each in BASELINES}


@dataclass(frozen=True)
class Histories:
    """All that there is, and what was left aside."""

    found: tuple[History, ...]
    notes: tuple[str, ...]


def histories(root: Path, paths: Sequence[Path]) -> Histories:
    """Of these files, each a table or a benchmark's `--output`, or of all tables below `root`.

    A campaign that several commits have is of the first.

    Raises:
        TableError, FileFormatError: a file as it is now cannot be read.
        TableError: nothing was measured twice.
    """
    chosen = list(paths) or sorted((root / "tables").glob("*.jsonl"))
    points: dict[Series, dict[str, Point]] = {}
    notes = []
    for path in chosen:
        for revision in revisions(path):
            try:
                for key, point in _points(revision, path):
                    points.setdefault(key, {}).setdefault(point.name, point)
            except FileFormatError as error:
                if revision.commit is None:
                    raise
                notes.append(f"left out: {error}")
    found = []
    for series, of_series in points.items():
        try:
            found.append(history(series, list(of_series.values())))
        except TableError as error:
            notes.append(f"{series.what} on {series.device}: {error}")
    if not found:
        why = f": {notes[0]}" if notes else ""
        raise TableError(f"no history in {len(chosen)} files{why}")
    return Histories(tuple(found), tuple(notes))


def _points(revision: Revision, path: Path) -> Iterator[tuple[Series, Point]]:
    if path.suffix == ".json":
        yield _of_benchmark(revision, path)
    else:
        yield from _of_table(revision, path)


def _of_table(revision: Revision, path: Path) -> Iterator[tuple[Series, Point]]:
    """Each of its campaigns."""
    table = Table.parse(revision.content, revision.named(path))
    unit = SHOWN[table.quantity]
    series = Series(table.device, table.space, unit, _text(table.identity), of_model=False)
    seen: dict[str, dict[str, Statistics]] = {name: {} for name in table.campaigns}
    for record in table.records:
        if record.role in _ROLES and record.clock == table.clock:
            seen[record.campaign][_name(record)] = record.statistics
    for name, facts in table.campaigns.items():
        environment, moved = dict(facts.get("environment", {})), frozenset(facts.get("moved", ()))
        started_at = str(facts["started_at"])
        yield series, Point(name, started_at, environment, seen[name], moved, revision.commit)


def _name(record: Record) -> str:
    """A block's key, a baseline's name, or what tells a network from others."""
    if record.arch is None and len(record.blocks) == 1:
        return record.blocks[0].key
    return _BASELINES.get(record.blocks) or _network(record.blocks)


def _network(blocks: Sequence[Block]) -> str:
    keys = " ".join(block.key for block in blocks)
    macs = sum(block.macs for block in blocks) / 1e6
    digest = hashlib.sha256(keys.encode()).hexdigest()[:6]
    return f"network {digest}, {macs:.3g}M MACs"


def _of_benchmark(revision: Revision, path: Path) -> tuple[Series, Point]:
    """A benchmark with the blocks that were timed beside the model, which tell the machine's level.

    Another file of the model's name is an update, as another library is.
    """
    result = benchmark.checked_result(_json(revision, path), revision.named(path))
    clock, model = result["identity"]["clock"], result["model"]
    seen = {model["name"]: Statistics.from_json(result["statistics"][clock], "ns")}
    if clock in result["reference"]:
        seen["sentinel"] = Statistics.from_json(result["reference"][clock], "ns")
    beside: Mapping[str, int] = result.get("references", {}).get(clock, {})
    seen |= {block: _value_alone(ns) for block, ns in beside.items()}
    facts = result["campaign"]
    environment = dict(facts.get("environment", {})) | {"model file": model["sha256"][:12]}
    started_at = str(facts["started_at"])
    identity = _text(result["identity"])
    series = Series(result["device"], model["name"], "ms", identity, of_model=True)
    suspect = tuple(result["suspect"])
    return series, Point(
        started_at, started_at, environment, seen, commit=revision.commit, suspect=suspect
    )


def _text(identity: Mapping[str, Any]) -> str:
    return json.dumps(identity, sort_keys=True)


def _json(revision: Revision, path: Path) -> Any:
    try:
        return files.parsed_json(revision.content.decode())
    except ValueError as error:
        raise FileFormatError(f"cannot read {revision.named(path)}: {error}") from error


def _value_alone(ns: int) -> Statistics:
    """Whose spread nobody kept."""
    return Statistics(ns, ns, ns, None, None, None, None, None, 1, 1)
