"""Published tables in and out, and tables compared, as a user asks for it."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from harness import cli
from harness.console import Terminal
from harness.effort import QUICK
from harness.errors import Regression, TableError, UsageError
from harness.pipeline import compare_tables, export_published, import_published
from harness.pipeline.job import Run
from harness.predictors.block_table import BlockTablePredictor
from harness.spaces.genome import decode, sample
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.spaces.space import Space
from harness.tables.record import Record, Statistics
from harness.tables.table import Table, evidence
from harness.workspace import Workspace

SPACE = OFA_MBV3_W1_2.at([160, 224])


def job(root: Path, space: Space = SPACE) -> Run:
    return Run(Workspace(root), space, QUICK, 0, 0.0, False, Terminal())


@pytest.fixture
def measured(tmp_path: Path, rng: np.random.Generator) -> Table:
    """A table of `tmp_path` whose networks take 1.1 times their sums and 50 us."""
    times = {block: int(rng.integers(20_000, 900_000)) for block in SPACE.distinct_blocks()}
    records = [_record("block", (block,), ns) for block, ns in times.items()]
    for genome in sample(SPACE, 12, rng):
        blocks = SPACE.blocks(decode(SPACE, genome))
        records.append(_record("anchor", blocks, 1.1 * sum(times[b] for b in blocks) + 50_000))
    facts = {"c": {"rounds": 5, "started_at": "2026-01-01", "environment": {"os": "6.1"}}}
    table = Table("cpu", SPACE.name, {"clock": "wall"}, facts, tuple(records))
    table.save(Workspace(tmp_path).table("cpu", SPACE.name))
    return table


def _record(role: str, blocks: tuple, ns: float) -> Record:
    numbers = dict.fromkeys(Statistics.__dataclass_fields__, round(ns))
    return Record(role, blocks, None, "latency", "wall", "c", Statistics(**numbers))


def test_what_is_exported_adds_up_to_our_calibrated_predictions(
    tmp_path: Path, measured: Table, rng: np.random.Generator
) -> None:
    paths = export_published(job(tmp_path, OFA_MBV3_W1_2), "cpu", tmp_path / "out")
    assert [path.name for path in paths] == ["160.yaml", "224.yaml"]
    said = import_published(job(tmp_path), [tmp_path / "out"], "mine-published", "a test")
    assert "missing" not in said
    assert "no blocks" not in said
    ours = BlockTablePredictor.from_table(measured, SPACE, "wall")
    again = Table.load(Workspace(tmp_path).table("mine-published", SPACE.name))
    theirs = BlockTablePredictor.from_table(again, SPACE, "wall")
    genomes = sample(SPACE, 50, rng)
    assert theirs.predict(genomes) == pytest.approx(ours.predict(genomes), rel=1e-5)
    assert evidence("mine-published", tmp_path / "tables") == "imported from a test"


def test_an_imported_table_has_a_name_that_says_so_and_never_replaces_a_measured_one(
    tmp_path: Path, measured: Table
) -> None:
    export_published(job(tmp_path), "cpu", tmp_path / "out")
    with pytest.raises(UsageError, match="-published"):
        import_published(job(tmp_path), [tmp_path / "out"], "note10", "x")
    replace(measured, device="x-published").save(
        Workspace(tmp_path).table("x-published", SPACE.name)
    )
    with pytest.raises(TableError, match="measured, not imported"):
        import_published(job(tmp_path), [tmp_path / "out"], "x-published", "x")


def test_a_comparison_tells_the_shift_the_moved_blocks_and_the_new_environment(
    tmp_path: Path, measured: Table
) -> None:
    records = [
        replace(r, statistics=r.statistics.scaled(1.3 * (1.5 if number == 7 else 1)))
        for number, r in enumerate(measured.records)
    ]
    facts = {"c": measured.campaigns["c"] | {"environment": {"os": "6.2"}}}
    replace(measured, records=tuple(records), campaigns=facts).save(tmp_path / "new.jsonl")
    old = str(Path("tables") / f"cpu.{SPACE.name}.jsonl")
    found = compare_tables(job(tmp_path), old, "new.jsonl", fail_above=0.05)
    assert found.regressed
    assert "1.300 times as long" in found.text
    assert f"{measured.records[7].blocks[0].key}:" in found.text
    assert '"6.1" -> "6.2"' in found.text
    assert not compare_tables(job(tmp_path), old, old, fail_above=0.05).regressed


def test_a_comparison_fails_a_ci_job_where_it_is_asked_to(tmp_path: Path, measured: Table) -> None:
    slower = [replace(r, statistics=r.statistics.scaled(1.2)) for r in measured.records]
    replace(measured, records=tuple(slower)).save(tmp_path / "new.jsonl")
    old = f"tables/cpu.{SPACE.name}.jsonl"
    arguments = ["tables", "compare", old, "new.jsonl", "--root", str(tmp_path)]
    assert CliRunner().invoke(cli.app, arguments).exit_code == 0
    ended = CliRunner().invoke(cli.app, [*arguments, "--fail-above", "5%"])
    assert isinstance(ended.exception, Regression)
    assert CliRunner().invoke(cli.app, [*arguments, "--fail-above", "25%"]).exit_code == 0


def test_the_reference_table_is_imported_shown_and_exported(tmp_path: Path) -> None:
    folder = Path(os.environ.get("HARNESS_DATA", "../shared/data")) / "ofa" / "note10"
    if not folder.exists():
        pytest.skip(f"the published tables are not at {folder}")
    shutil.copytree(folder, tmp_path / "in")
    said = import_published(
        job(tmp_path, OFA_MBV3_W1_2), [tmp_path / "in"], "note10-published", "han-cai/files"
    )
    assert "missing" not in said
    shown = CliRunner().invoke(
        cli.app,
        ["tables", "show", "note10-published", "--space", SPACE.name, "--root", str(tmp_path)],
    )
    assert "imported from han-cai/files; not calibrated" in shown.output
    made = export_published(job(tmp_path, OFA_MBV3_W1_2), "note10-published", tmp_path / "out")
    assert len(made) == len(list(folder.glob("*.yaml")))
