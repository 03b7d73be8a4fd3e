from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner

from harness.cli import app
from tests.tables.test_compare import campaign


def run(root: Path, *words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--root", str(root)])
    assert done.exit_code == 0, (done.output, done.exception)
    return " ".join(done.stdout.split())


def test_a_table_given_away_is_compared_with_one_s_own(tmp_path: Path) -> None:
    theirs, mine = tmp_path / "theirs", tmp_path / "mine"
    campaign(0, environment={"os": "6.1"}).save(theirs / "tables" / "cpu.digits.jsonl")
    journal = theirs / "runs" / "cpu.digits" / "c.jsonl"
    journal.parent.mkdir(parents=True)
    journal.write_text("{}\n")
    campaign(1, environment={"os": "6.8"}).save(mine / "tables" / "cpu.digits.jsonl")
    other = campaign(2)
    identity = other.identity | {"num_threads": 8}
    replace(other, device="big", identity=identity).save(mine / "tables" / "big.digits.jsonl")
    packed = run(theirs, "tables", "pack", "cpu", str(tmp_path / "x.zip"))
    assert "table.jsonl" in packed
    assert "journals/c.jsonl" in packed
    assert "profile.toml" in packed
    said = run(mine, "tables", "unpack", str(tmp_path / "x.zip"))
    assert 'environment: os "6.8" here, "6.1" there' in said
    assert "does not compare: num_threads 8 here, null there" in said
    command = said.rpartition("compare: harness ")[2].split()
    assert "blocks compared" in run(mine.parent, *command)
