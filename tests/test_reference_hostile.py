"""Files with one wrong value, as strangers, bugs and bad disks make them: one clear line each."""

import os
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import app
from harness.errors import FileFormatError, HarnessError
from harness.pipeline import benchmark
from harness.spaces.digits import DIGITS
from harness.tables.journal import Journal
from harness.tables.ofa import read_published
from harness.tables.table import Table

SHARED = Path(__file__).parents[2] / "shared"
CASES = Path(os.environ.get("HARNESS_CASES", SHARED / "cases" / "hostile"))
pytestmark = pytest.mark.skipif(not CASES.exists(), reason=f"no {CASES} (set HARNESS_CASES)")
DEVICE = "cpu-onnxruntime"
HARMLESS = {"table-bom", "table-crlf", "journal-control"}
ABSURD = re.compile(r"\bnan\b|\binf\b|infinity|\d{10}|e\+\d\d", re.IGNORECASE)
"""What no sensible number prints."""


def cases(pattern: str) -> pytest.MarkDecorator:
    found = sorted(CASES.glob(pattern))
    names = [str(path.relative_to(CASES)) for path in found]
    return pytest.mark.parametrize("path", found, ids=names)


def harness(root: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and output; anything but a typed error fails the test."""
    ended = CliRunner().invoke(app, [*arguments, "--root", str(root)])
    if isinstance(ended.exception, HarnessError):
        return ended.exception.exit_code, str(ended.exception)
    if ended.exception is not None and not isinstance(ended.exception, SystemExit):
        raise ended.exception
    return ended.exit_code, ended.output


def is_one_line_about(path: Path, message: str) -> None:
    assert path.name in message
    assert "\n" not in message
    assert len(message) < 1000


@cases("front-*/front.json")
def test_reference_a_hostile_front_is_refused_by_all_that_read_it(
    tmp_path: Path, path: Path
) -> None:
    there = tmp_path / "reports" / f"{DEVICE}.digits" / "front.json"
    there.parent.mkdir(parents=True)
    shutil.copy(path, there)
    for command in (["report"], ["verify"], ["export", "network", "--max-latency-ms", "1"]):
        code, message = harness(tmp_path, *command, "--device", DEVICE)
        assert code == 3
        is_one_line_about(there, message)
    assert not list(tmp_path.rglob("*.html"))


@cases("table-*/*.jsonl")
def test_reference_a_hostile_table_is_refused_by_all_that_read_it(
    tmp_path: Path, path: Path
) -> None:
    there = tmp_path / "tables" / f"{DEVICE}.digits.jsonl"
    there.parent.mkdir(parents=True)
    shutil.copy(path, there)
    code, message = harness(tmp_path, "tables", "show", DEVICE)
    if path.parent.name in HARMLESS:
        assert code == 0
        assert not ABSURD.search(message)
        Table.load(there)
        return
    assert code == 3
    is_one_line_about(there, message)
    code, _ = harness(tmp_path, "search", "--front", "--device", DEVICE)
    assert code == 3
    code, listed = harness(tmp_path, "devices", "list")
    assert code == 0
    assert re.search(rf"^{DEVICE} .*BROKEN: .*{there.name}", listed, re.MULTILINE)
    assert re.search(r"^pixel-1 .*never run on hardware", listed, re.MULTILINE)


@cases("journal-*/*.jsonl")
def test_reference_a_hostile_journal_is_refused(tmp_path: Path, path: Path) -> None:
    there = tmp_path / path.name
    shutil.copy(path, there)
    if path.parent.name in HARMLESS:
        Journal(there).close()
        return
    if path.parent.name.startswith("journal-entry-"):  # told by its campaign, which is not here
        journal = Journal(there)
        journal.close()
        assert max(visit.entry for visit in journal.visits) >= 999
        return
    with pytest.raises(FileFormatError) as raised:
        Journal(there)
    is_one_line_about(there, str(raised.value))


@cases("profile/*.toml")
def test_reference_a_hostile_profile_is_listed_with_its_fault_and_hides_no_other(
    tmp_path: Path, path: Path
) -> None:
    (tmp_path / "devices").mkdir()
    shutil.copy(path, tmp_path / "devices" / path.name)
    code, listed = harness(tmp_path, "devices", "list")
    assert code == 0
    assert re.search(rf"^{path.stem} .*BROKEN: .*{path.name}", listed, re.MULTILINE)
    assert re.search(r"^pixel-1 .*never run on hardware", listed, re.MULTILINE)
    code, message = harness(tmp_path, "devices", "check", path.stem)
    assert code == 3
    is_one_line_about(path, message)


@cases("baseline/*.json")
def test_reference_a_hostile_baseline_is_refused_and_a_faster_one_is_none(path: Path) -> None:
    if path.name == "half.json":  # numbers as others have them
        assert benchmark.load(path)["statistics"]["thread"]["value_ns"] == 13104
        return
    with pytest.raises(FileFormatError) as raised:
        benchmark.load(path)
    is_one_line_about(path, str(raised.value))


@cases("yaml/*.yaml")
def test_reference_a_hostile_published_table_is_refused(path: Path) -> None:
    with pytest.raises(FileFormatError) as raised:
        read_published([path], DIGITS, "x-published", "somebody")
    is_one_line_about(path, str(raised.value))


def test_reference_every_case_is_of_a_kind_that_is_tested() -> None:
    kinds = ("front-", "table-", "journal-", "profile", "baseline", "yaml")
    assert [each.name for each in CASES.iterdir() if not each.name.startswith(kinds)] == []
