"""`harness breakdown` from tables that are there; nothing is measured."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from harness import cli
from harness.errors import FileFormatError, TableError, UsageError
from harness.spaces.arch import Arch
from harness.tables.table import Table
from tests.tables.test_calibration import energy_table, made_table

SMALL = Arch(12, (1,) * 3, (3,) * 9, (3,) * 9)
LARGE = Arch(20, (3,) * 3, (7,) * 9, (6,) * 9)


@pytest.fixture
def root(tmp_path: Path, rng: np.random.Generator) -> Path:
    for table in (made_table(rng, 0), energy_table(rng)):
        facts = {"c": table.campaigns["c"] | {"environment": {}}}
        kept = replace(table, device="cpu", campaigns=facts, identity=table.identity | {"a": 1})
        suffix = ".energy" if table.quantity == "energy" else ""
        kept.save(tmp_path / "tables" / f"cpu.digits{suffix}.jsonl")
    for name, arch in (("small", SMALL), ("large", LARGE)):
        (tmp_path / f"{name}.json").write_text(json.dumps(arch.to_json()))
    return tmp_path


def asked(root: Path, *words: str) -> list[str]:
    arguments = ["breakdown", "--device", "cpu", "--root", str(root)]
    for word in words:
        arguments += ["--arch", word]
    ended = CliRunner().invoke(cli.app, arguments)
    if ended.exception is not None:
        raise ended.exception
    return ended.output.splitlines()


def test_the_offender_of_a_pipeline_comes_first(root: Path) -> None:
    small, large = f"{root}/small.json@2", f"{root}/large.json"
    lines = asked(root, small, large)
    assert "predicted from its table" in lines[0]
    assert "2 network(s)" in lines[1]
    assert "mJ" in lines[1]
    headings = [number for number, line in enumerate(lines) if line.startswith("block")]
    assert large[:20] in lines[headings[0] + 1]
    folder = root / "reports" / "cpu.digits"
    with (folder / "breakdown.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["network"] for row in rows} == {small, large}
    assert all(float(row["energy_mj"]) for row in rows)
    assert (folder / "breakdown.png").read_bytes().startswith(b"\x89PNG")


def test_a_network_is_named_once(root: Path) -> None:
    with pytest.raises(UsageError, match="twice"):
        asked(root, f"{root}/small.json", f"{root}/small.json@2")


def test_an_energy_table_that_lacks_blocks_costs_only_the_energies(root: Path) -> None:
    path = root / "tables/cpu.digits.energy.jsonl"
    table = Table.load(path)
    kept = tuple(r for r in table.records if all(block.input_shape[-1] > 6 for block in r.blocks))
    replace(table, records=kept).save(path)
    lines = asked(root, f"{root}/small.json")
    assert lines[0].startswith("without energies: ")
    assert "mJ" not in lines[2]


def test_more_calls_take_more(root: Path) -> None:
    def total_ms(word: str) -> float:
        asked(root, word)
        with (root / "reports" / "cpu.digits" / "breakdown.csv").open() as file:
            return sum(float(row["latency_ms"]) for row in csv.DictReader(file))

    once = total_ms(f"{root}/small.json")
    assert total_ms(f"{root}/small.json@5") == pytest.approx(5 * once)


@pytest.mark.parametrize(
    ("word", "error", "named"),
    [
        ("nope", UsageError, "neither a point"),
        ("small.json@0", UsageError, "no number of calls"),
        ("me@home/net.json", UsageError, "neither a point"),
        ("broken.json", FileFormatError, "broken.json"),
        ("front:1", FileFormatError, "there is no front"),
    ],
)
def test_what_is_no_network_is_named(
    root: Path, word: str, error: type[Exception], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    (root / "broken.json").write_text("{}")
    with pytest.raises(error, match=named):
        asked(root, word)


def test_without_a_table_the_command_that_makes_one_is_named(root: Path) -> None:
    (root / "tables" / "cpu.digits.jsonl").unlink()
    with pytest.raises(TableError, match="harness measure"):
        asked(root, f"{root}/small.json")
