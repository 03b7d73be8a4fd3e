"""Tables as they were, from real repositories."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import TableError
from harness.spaces.digits import DIGITS
from harness.tables.compare import load_revision
from harness.tables.record import Record, Statistics
from harness.tables.table import Table


def table_of(value: int) -> Table:
    statistics = Statistics(value, value, value, None, None, None, None, None, 1, 1)
    block = DIGITS.distinct_blocks()[0]
    record = Record("block", (block,), None, "latency", "wall", "c", statistics)
    facts = {"started_at": "2026-01-01", "rounds": 12, "environment": {}}
    return Table("cpu", "digits", {}, {"c": facts}, (record,))


@pytest.fixture
def git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Commands in a fresh repository at `tmp_path`, without the settings of who runs the tests."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "somebody")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "somebody@example.org")

    def run(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    run("init", "--initial-branch=main")
    return run


@pytest.fixture
def history(tmp_path: Path, git: Callable[..., None]) -> tuple[Table, Table]:
    """What tables/t.jsonl was in the first commit, and is."""
    old, new = table_of(1000), table_of(2000)
    for table in (old, new):
        table.save(tmp_path / "tables" / "t.jsonl")
        git("add", ".")
        git("commit", "--message=measured")
    return old, new


def test_a_table_is_read_as_it_was_in_a_revision(
    tmp_path: Path, history: tuple[Table, Table]
) -> None:
    old, new = history
    assert same(load_revision("HEAD~1:tables/t.jsonl", tmp_path), old)
    assert same(load_revision("main:tables/t.jsonl", tmp_path), new)
    assert same(load_revision("tables/t.jsonl", tmp_path), new)
    assert same(load_revision("HEAD~1:./t.jsonl", tmp_path / "tables"), old)
    assert same(load_revision(str(tmp_path / "tables" / "t.jsonl"), Path("/")), new)


def same(one: Table, other: Table) -> bool:
    return {r.key: r for r in one.records} == {r.key: r for r in other.records}


@pytest.mark.usefixtures("history")
@pytest.mark.parametrize(
    "text",
    [
        "nonsense:tables/t.jsonl",
        "HEAD:tables/none.jsonl",
        "HEAD:tables",  # a folder
        "none.jsonl",
        "--output=stolen:tables/t.jsonl",
        "HEAD:tables/t.jsonl; touch stolen",
    ],
)
def test_what_git_does_not_have_is_one_clear_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(TableError) as caught:
        load_revision(text, tmp_path)
    assert text.split(":")[-1] in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "stolen").exists()


@pytest.mark.usefixtures("git")
def test_a_folder_that_is_no_repository_says_so(tmp_path: Path) -> None:
    (tmp_path / ".git").rename(tmp_path / "gone")
    with pytest.raises(TableError, match="not a git repository"):
        load_revision("HEAD:t.jsonl", tmp_path)


def test_a_broken_table_in_a_revision_is_named_as_it_was_asked_for(
    tmp_path: Path, git: Callable[..., None]
) -> None:
    (tmp_path / "t.jsonl").write_text("{\n")
    git("add", ".")
    git("commit", "--message=broken")
    with pytest.raises(TableError, match=r"^HEAD:t\.jsonl is no latency table: "):
        load_revision("HEAD:t.jsonl", tmp_path)
