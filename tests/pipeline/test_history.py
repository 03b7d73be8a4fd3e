import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import FileFormatError, TableError
from harness.pipeline.benchmark import references
from harness.pipeline.history import histories
from harness.reports.history import markdown, save_history
from harness.spaces.block import Block
from harness.tables.table import Table
from tests.tables.test_compare import BLOCKS, campaign

SLOWER = BLOCKS[10]


def git(folder: Path, *command: str) -> None:
    name = ["-c", "user.name=somebody", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *name, *command], check=True, capture_output=True)


def measured(at: int, name: str = "") -> Table:
    """The campaign of a day; from the third on a block is slower."""
    factors: dict[Block, float] = {SLOWER: 1.25 if at >= 2 else 1.0}
    table = campaign(at, factors=factors, environment={"runtime": "1" if at < 3 else "2"})
    name = name or f"day-{at}"
    facts = table.campaigns["c"] | {"started_at": f"2026-03-{at + 1:02d}T00:00:00"}
    records = tuple(replace(record, campaign=name) for record in table.records)
    return replace(table, campaigns={name: facts}, records=records)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Whose table was measured anew for each of four commits, and once more since."""
    folder = tmp_path_factory.mktemp("repository")
    git(folder, "init", "-q")
    for at in range(5):
        measured(at).save(folder / "tables" / "cpu.digits.jsonl")
        if at < 4:
            git(folder, "add", ".")
            git(folder, "commit", "-q", "-m", f"table {at}")
    return folder


def test_a_git_history_of_tables_alone_tells_the_step_and_its_commit(repository: Path) -> None:
    (found,) = histories(repository, []).found
    assert [point.commit is None for point in found.points] == [False] * 4 + [True]
    assert [(step.workload, step.at) for step in found.steps] == [(SLOWER.key, 2)]
    (update,) = found.updates
    assert update.changed == {"runtime": ("1", "2")}


def test_the_command_writes_a_page_and_fails_where_asked_to(repository: Path) -> None:
    done = CliRunner().invoke(app, ["history", "--root", str(repository)])
    assert done.exit_code == 0, done.output
    page = (repository / "reports" / "history" / "index.html").read_text()
    assert SLOWER.key in page
    assert "runtime 1 -&gt; 2" in page
    assert f"slower: {SLOWER.key}".replace("_", "&#95;") in CliRunner().invoke(
        app, ["history", "--markdown", "--root", str(repository)]
    ).output.replace("\n", "")


def test_campaigns_of_one_table_are_a_history_without_git(tmp_path: Path) -> None:
    table = measured(0)
    for at in range(1, 4):
        other = measured(at)
        table = table.with_campaign(f"day-{at}", other.campaigns[f"day-{at}"], other.records)
    table.save(tmp_path / "tables" / "cpu.digits.jsonl")
    (found,) = histories(tmp_path, []).found
    assert [(step.workload, step.at) for step in found.steps] == [(SLOWER.key, 2)]
    assert all(point.commit is None for point in found.points)


def test_a_broken_version_in_git_is_left_out_and_a_broken_file_is_one_line(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    path = tmp_path / "tables" / "cpu.digits.jsonl"
    for at in range(3):
        measured(at).save(path)
        if at == 1:
            path.write_text("no table")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "-q", "-m", f"table {at}")
    told = histories(tmp_path, [])
    assert len(told.found[0].points) == 2
    assert "left out" in told.notes[0]
    path.write_text("no table")
    with pytest.raises(FileFormatError, match="no latency table"):
        histories(tmp_path, [])


def test_nothing_measured_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no history in 0 files"):
        histories(tmp_path, [])


def result(at: int, slower: float = 1.0) -> dict[str, Any]:
    """A kept benchmark; the machine's level is another each day."""
    rng = np.random.default_rng(at)
    level = float(np.exp(0.05 * rng.normal()))

    def times(ns: float) -> dict[str, Any]:
        value = round(ns * level * float(np.exp(0.003 * rng.normal())))
        names = ("value", "low", "high", "first_half", "second_half")
        ends = (value, round(value * 0.995), round(value * 1.005), value, value)
        nothing = dict.fromkeys(("lower_quartile_ns", "median_ns", "max_ns", "memory_mb"))
        told = {f"{name}_ns": end for name, end in zip(names, ends, strict=True)}
        return told | nothing | {"visits": 30, "runs": 150}

    beside = {entry.blocks[0].key: times(1e5)["value_ns"] for entry in references()}
    return {
        "kind": "benchmark",
        "schema": 1,
        "model": {"name": "net.onnx", "sha256": "a" * 64 if at < 3 else "b" * 64},
        "device": "cpu",
        "identity": {"clock": "wall", "runtime": "onnxruntime"},
        "statistics": {"wall": times(1e7 * slower)},
        "reference": {"wall": times(2e5)},
        "references": {"wall": beside},
        "suspect": ["the machine was busy"] if at == 5 else [],
        "campaign": {
            "started_at": f"2026-04-{at + 1:02d}T00:00:00",
            "rounds": 30,
            "environment": {"onnxruntime": "1.20"},
        },
    }


def test_kept_benchmarks_are_a_history_in_which_another_file_is_an_update(tmp_path: Path) -> None:
    paths = [tmp_path / f"{at}.json" for at in range(6)]
    for at, path in enumerate(paths):
        path.write_text(json.dumps(result(at, 1.2 if at >= 3 else 1.0)))
    told = histories(tmp_path, paths)
    (found,) = told.found
    (step,) = found.steps
    assert (step.workload, step.at) == ("net.onnx", 3)
    assert step.changed == {"model file": ("a" * 12, "b" * 12)}
    assert "suspect: the machine was busy" in markdown(told.found, told.notes)


@pytest.mark.parametrize(("part", "name"), [("model", "sha256"), ("identity", "clock")])
def test_a_kept_benchmark_that_lacks_what_it_is_compared_by_is_one_line(
    tmp_path: Path, part: str, name: str
) -> None:
    broken = result(0)
    del broken[part][name]
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(broken))
    with pytest.raises((TableError, FileFormatError), match=f"its {part} has no {name}"):
        histories(tmp_path, [path])


def test_names_of_files_do_not_become_markup(tmp_path: Path) -> None:
    paths = [tmp_path / f"{at}.json" for at in range(2)]
    evil = "<script>alert(1)</script>|`x`.onnx"
    for at, path in enumerate(paths):
        path.write_text(json.dumps(result(at) | {"model": {"name": evil, "sha256": "a" * 64}}))
    told = histories(tmp_path, paths)
    assert "<script>" not in markdown(told.found, told.notes)
    assert "<script>alert" not in save_history(told.found, told.notes, tmp_path).read_text()
