"""Published tables in and out, and tables compared, as a user asks for it."""

import os
import re
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from harness import cli
from harness.cli.terminal import Terminal
from harness.cli.words.table import compare_lines, exported_lines
from harness.effort import QUICK
from harness.errors import Regression, TableError, UsageError
from harness.pipeline.import_export import compare_tables, export_published, import_published
from harness.pipeline.job import Run
from harness.predictors.block_table import BlockTablePredictor
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.genome import decode, encode, sample
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.spaces.space import Space
from harness.tables.ofa_keys import block_key
from harness.tables.record import Record, Statistics
from harness.tables.table import Table, evidence
from harness.workspace import Workspace

SPACE = OFA_MBV3_W1_2.at([160, 224])


def job(root: Path, space: Space = SPACE) -> Run:
    return Run(Workspace(root), space, Terminal(), QUICK)


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


def launched_apart(root: Path, rng: np.random.Generator, short: Collection[Block]) -> Table:
    """A table of blocks that pay 6 us a call alone and not inside a network; `short` take 2 us."""
    blocks: tuple[Block, ...] = SPACE.distinct_blocks()
    times = {block: int(rng.integers(20_000, 900_000)) for block in blocks}
    times |= dict.fromkeys(short, 2_000)
    records = [_record("block", (block,), ns) for block, ns in times.items()]
    for genome in sample(SPACE, 19, rng):
        blocks = SPACE.blocks(decode(SPACE, genome))
        records.append(_record("anchor", blocks, sum(times[b] - 6_000 for b in blocks)))
    facts = {"c": {"rounds": 5, "started_at": "2026-01-01", "environment": {}}}
    table = Table("cpu", SPACE.name, {"clock": "wall"}, facts, tuple(records))
    table.save(Workspace(root).table("cpu", SPACE.name))
    return table


def sums_ms(folder: Path, archs: list[Arch]) -> list[float]:
    """As the released code adds up rows."""
    rows = {r: yaml.safe_load((folder / f"{r}.yaml").read_text()) for r in SPACE.resolutions}
    return [
        sum(rows[arch.resolution][block_key(block)]["mean"] for block in SPACE.blocks(arch))
        for arch in archs
    ]


def optional_blocks() -> set[Block]:
    places = [n for n, place in enumerate(SPACE.places) if place.from_choice]
    return {block for place in places for block in SPACE.blocks_at(place)}


def test_sums_are_our_predictions_though_blocks_of_every_network_cost_less_than_nothing(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    always = set(SPACE.distinct_blocks()) - optional_blocks()
    short = {block for block in sorted(always)[::3] if block.in_channels != 3}
    table = launched_apart(tmp_path, rng, short)
    predictor = BlockTablePredictor.from_table(table, SPACE, "wall")
    assert max(predictor.calibration.block_part(block, 2_000) for block in short) < 0
    assert any(block.kind == "mbconv" for block in short)
    genomes = sample(SPACE, 50, rng)
    export_published(job(tmp_path), "cpu", tmp_path / "out")
    assert capsys.readouterr().out == ""
    found = sums_ms(tmp_path / "out", [decode(SPACE, genome) for genome in genomes])
    assert found == pytest.approx(predictor.predict(genomes), rel=1e-9)
    import_published(job(tmp_path), [tmp_path / "out"], "again-published", "a test")


def test_an_export_whose_sums_cannot_be_our_predictions_says_by_how_much(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    table = launched_apart(tmp_path, rng, optional_blocks())
    predictor = BlockTablePredictor.from_table(table, SPACE, "wall")
    told, *_ = exported_lines(export_published(job(tmp_path), "cpu", tmp_path / "out"))
    said = re.search(r"as much as ([\d.]+) ms more than our", told)
    assert said is not None
    archs = [SPACE.largest, *(decode(SPACE, genome) for genome in sample(SPACE, 50, rng))]
    predicted_ms = predictor.predict(encode(SPACE, archs))
    beyond_ms = np.array(sums_ms(tmp_path / "out", archs)) - predicted_ms
    assert beyond_ms.min() > -1e-9
    assert beyond_ms.max() == beyond_ms[0]  # the deepest has most of them
    assert float(said[1]) == pytest.approx(beyond_ms[0], rel=1e-3)
    import_published(job(tmp_path), [tmp_path / "out"], "again-published", "a test")


def test_a_first_layer_that_others_are_lent_more_than_it_takes_is_lent_itself(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    always = set(SPACE.distinct_blocks()) - optional_blocks()
    stems = {block for block in always if block.in_channels == 3}
    table = launched_apart(tmp_path, rng, stems | {b for b in always if b.kind == "pool"})
    predictor = BlockTablePredictor.from_table(table, SPACE, "wall")
    genomes = sample(SPACE, 50, rng)
    export_published(job(tmp_path), "cpu", tmp_path / "out")
    found = sums_ms(tmp_path / "out", [decode(SPACE, genome) for genome in genomes])
    assert found == pytest.approx(predictor.predict(genomes), rel=1e-9)
    import_published(job(tmp_path), [tmp_path / "out"], "again-published", "a test")


def test_blocks_that_were_measured_again_are_exported_too(tmp_path: Path, measured: Table) -> None:
    lost = next(r for r in measured.records if r.role == "block")
    others = tuple(r for r in measured.records if r != lost)
    again = [replace(r, campaign="d") for r in measured.records if r.role == "block"][:10]
    facts = {"d": measured.campaigns["c"] | {"started_at": "2026-02-01"}}
    table = replace(measured, campaigns=measured.campaigns | facts, records=(*others, *again))
    table.save(Workspace(tmp_path).table("cpu", SPACE.name))
    paths = export_published(job(tmp_path), "cpu", tmp_path / "out").paths
    assert [path.name for path in paths] == ["160.yaml", "224.yaml"]


def compared(root: Path, old: str) -> tuple[str, str]:
    """What is said of a table and new.jsonl, and of what became too slow."""
    found = compare_tables(job(root), old, "new.jsonl", fail_above=0.05)
    regressed = found.regressions.describe() if found.regressions else ""
    return "\n".join(compare_lines(found)), regressed


def _record(role: str, blocks: tuple, ns: float) -> Record:
    numbers = dict.fromkeys(Statistics.__dataclass_fields__, round(ns))
    return Record(role, blocks, None, "latency", "wall", "c", Statistics(**numbers))


def test_what_is_exported_adds_up_to_our_calibrated_predictions(
    tmp_path: Path, measured: Table, rng: np.random.Generator
) -> None:
    paths = export_published(job(tmp_path, OFA_MBV3_W1_2), "cpu", tmp_path / "out").paths
    assert [path.name for path in paths] == ["160.yaml", "224.yaml"]
    said = import_published(job(tmp_path), [tmp_path / "out"], "mine-published", "a test").notes
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
    text, regressed = compared(tmp_path, old)
    assert regressed.startswith("everything takes 1.300 times as long; ")
    assert f"{measured.records[7].blocks[0].key} takes 1.500 times" in regressed
    assert "1.300 times as long" in text
    assert "this may come from another os, and counts" in text
    assert f"{measured.records[7].blocks[0].key}:" in text
    assert '"6.1" -> "6.2"' in text
    assert not compare_tables(job(tmp_path), old, old, fail_above=0.05).regressions


def test_a_comparison_of_energies_is_told_in_their_unit(tmp_path: Path, measured: Table) -> None:
    records = [replace(r, quantity="energy", clock="net") for r in measured.records]
    energies = replace(measured, quantity="energy", identity={"clock": "net"})
    replace(energies, records=tuple(records)).save(tmp_path / "old.jsonl")
    more = [
        replace(r, statistics=r.statistics.scaled(1.3 * (1.5 if number == 7 else 1)))
        for number, r in enumerate(records)
    ]
    facts = {"c": measured.campaigns["c"] | {"environment": {"os": "6.2"}}}
    replace(energies, records=tuple(more), campaigns=facts).save(tmp_path / "new.jsonl")
    text, regressed = compared(tmp_path, "old.jsonl")
    before, after = (each[7].statistics.value / 1e6 for each in (records, more))
    assert f": {before:.4f} to {after:.4f} mJ, 1.50 times the others" in text
    assert "everything takes 1.300 times as much energy: " in text
    assert regressed.startswith("everything takes 1.300 times as much energy; ")
    assert " takes 1.500 times as much energy beyond" in regressed
    assert not re.search(r"\bms\b|long", text + regressed)


def test_a_comparison_fails_a_ci_job_where_it_is_asked_to(tmp_path: Path, measured: Table) -> None:
    slower = [replace(r, statistics=r.statistics.scaled(1.2)) for r in measured.records]
    updated = {"c": measured.campaigns["c"] | {"environment": {"os": "6.2"}}}
    new = replace(measured, records=tuple(slower), campaigns=updated)
    new.save(tmp_path / "new.jsonl")
    old = f"tables/cpu.{SPACE.name}.jsonl"
    arguments = ["tables", "compare", old, "new.jsonl", "--root", str(tmp_path)]
    assert CliRunner().invoke(cli.app, arguments).exit_code == 0
    ended = CliRunner().invoke(cli.app, [*arguments, "--fail-above", "5%"])
    assert isinstance(ended.exception, Regression)
    assert "everything takes 1.200 times as long" in str(ended.exception)
    assert CliRunner().invoke(cli.app, [*arguments, "--fail-above", "25%"]).exit_code == 0


def test_a_machine_that_is_slower_today_does_not_fail_a_ci_job_and_a_block_does(
    tmp_path: Path, measured: Table
) -> None:
    slower = [replace(r, statistics=r.statistics.scaled(1.2)) for r in measured.records]
    replace(measured, records=tuple(slower)).save(tmp_path / "new.jsonl")
    old = f"tables/cpu.{SPACE.name}.jsonl"
    arguments = ["tables", "compare", old, "new.jsonl", "--root", str(tmp_path)]
    ended = CliRunner().invoke(cli.app, [*arguments, "--fail-above", "5%"])
    assert ended.exit_code == 0
    assert "everything takes 1.200 times as long" in ended.output
    assert "the level of the machine on that day, and no regression" in " ".join(
        ended.output.split()
    )
    slower[7] = replace(slower[7], statistics=slower[7].statistics.scaled(1.1))
    replace(measured, records=tuple(slower)).save(tmp_path / "new.jsonl")
    ended = CliRunner().invoke(cli.app, [*arguments, "--fail-above", "5%"])
    assert isinstance(ended.exception, Regression)
    assert "everything" not in str(ended.exception).split(" takes ")[0]
    assert CliRunner().invoke(cli.app, [*arguments, "--fail-above", "15%"]).exit_code == 0


def test_a_comparison_says_that_a_table_is_not_of_one_version(
    tmp_path: Path, measured: Table
) -> None:
    again = [replace(r, campaign="d") for r in measured.records if r.role == "block"][:10]
    facts = {"started_at": "2026-02-01", "environment": {"os": "6.2"}}
    campaigns = measured.campaigns | {"d": measured.campaigns["c"] | facts}
    mixed = replace(measured, campaigns=campaigns, records=(*measured.records, *again))
    mixed.save(tmp_path / "new.jsonl")
    old = f"tables/cpu.{SPACE.name}.jsonl"
    text, _ = compared(tmp_path, old)
    assert "new table is not of one version: os 6.1 (blocks), 6.2 (other blocks)" in text
    assert "the old table is not" not in text


def test_the_reference_table_is_imported_shown_and_exported(tmp_path: Path) -> None:
    folder = Path(os.environ.get("HARNESS_DATA", "../shared/data")) / "ofa" / "note10"
    if not folder.exists():
        pytest.skip(f"the published tables are not at {folder}")
    shutil.copytree(folder, tmp_path / "in")
    made = import_published(
        job(tmp_path, OFA_MBV3_W1_2), [tmp_path / "in"], "note10-published", "han-cai/files"
    )
    assert "missing" not in made.notes
    shown = CliRunner().invoke(
        cli.app,
        ["tables", "show", "note10-published", "--space", SPACE.name, "--root", str(tmp_path)],
    )
    assert "imported from han-cai/files; not calibrated" in shown.output
    written = export_published(job(tmp_path, OFA_MBV3_W1_2), "note10-published", tmp_path / "out")
    assert len(written.paths) == len(list(folder.glob("*.yaml")))
