"""What there is: `harness list`, `harness devices list`."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from harness import cli
from harness.tables.table import Table
from tests.reports.conftest import some_front
from tests.tables.test_calibration import made_table


def said(*words: str) -> str:
    ended = CliRunner().invoke(cli.app, list(words))
    assert ended.exception is None, ended.exception
    return ended.output


@pytest.fixture
def root(tmp_path: Path, rng: np.random.Generator) -> Path:
    table = made_table(rng, 0)
    facts = {name: told | {"environment": {}} for name, told in table.campaigns.items()}
    replace(table, campaigns=facts).save(tmp_path / "tables/cpu.digits.jsonl")
    some_front().save(tmp_path / "reports/cpu.digits/front.json")
    (tmp_path / "tables/broken.digits.jsonl").write_text("{}\n")
    return tmp_path


def test_all_that_is_here_is_listed_and_what_is_broken_says_so(root: Path) -> None:
    found = {each["path"]: each for each in json.loads(said("list", "--json", "--root", str(root)))}
    assert "145 blocks" in found[f"{root}/tables/cpu.digits.jsonl"]["what"]
    assert "10 networks, verified" in found[f"{root}/reports/cpu.digits/front.json"]["what"]
    assert "cannot be used" in found[f"{root}/tables/broken.digits.jsonl"]["what"]
    assert len(said("list", "--root", str(root)).splitlines()) == len(found) == 3


def test_a_table_whose_campaigns_have_too_little_in_common_says_so_and_hides_no_other(
    root: Path,
) -> None:
    path = root / "tables/cpu.digits.jsonl"
    table = Table.load(path)
    blocks = [record for record in table.records if record.role == "block"]
    alone = {"c": tuple(blocks[:99]), "d": tuple(replace(r, campaign="d") for r in blocks[99:])}
    facts = dict.fromkeys(alone, table.campaigns["c"])
    replace(table, campaigns=facts, records=sum(alone.values(), ())).save(path)
    lines = said("list", "--root", str(root)).splitlines()
    assert len(lines) == 3
    assert "cannot be used: campaigns c and d of x have only 0 workloads in common" in lines[1]


def test_where_nothing_is_it_says_what_makes_something(tmp_path: Path) -> None:
    assert "`harness run`" in said("list", "--root", str(tmp_path))


def test_this_computer_is_not_measured_yet_and_phones_never_were(tmp_path: Path) -> None:
    lines = said("devices", "list", "--root", str(tmp_path)).splitlines()
    by_name = {line.split()[0]: line for line in lines}
    assert by_name["cpu"].endswith("not measured here yet")
    assert by_name["pixel-1"].endswith("never run on hardware")
