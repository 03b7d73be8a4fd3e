"""What errors suggest: names that are near, and how to install what is missing."""

import re
from pathlib import Path

import pytest

from harness.device.profile import load_profile
from harness.errors import ProfileError
from harness.hints import install, nearest
from tests.test_run import one_line, run

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["device"], "no command `harness device`; did you mean 'devices'?"),
        (["guess"], "no command `harness guess`; known: run, measure, "),
        (["tables", "imprt"], "no command `harness tables imprt`; did you mean 'import'?"),
        (["measure", "--devise", "cpu"], "of `harness measure`; did you mean '--device'?"),
        (["measure", "-device=cpu"], "no option '-device' of `harness measure`; did you mean '--"),
        (["tables", "show", "cpu", "--enrgy"], "of `harness tables show`; did you mean '--energy'"),
        (["--device", "cpu", "measure"], "'--device' in front of a command of `harness`; known: "),
        (["fetch", "note11"], "did you mean 'note10'?"),
        (["carbon", "runs", "--region", "UAS"], "did you mean 'USA'?"),
    ],
)
def test_a_misspelt_word_of_a_command_is_one_line_with_the_nearest(
    tmp_path: Path, words: list[str], hint: str
) -> None:
    assert hint in one_line(run(tmp_path, *words), 2)


def test_values_of_options_are_not_taken_for_options(tmp_path: Path) -> None:
    message = one_line(run(tmp_path, "search", "--device", "--quick"), 3)
    assert "no device called '--quick'" in message


@pytest.mark.parametrize(
    ("name", "near"), [("pixle", "pixel"), ("Pixel", "pixel"), ("pixel-11", "pixel-1")]
)
def test_a_misspelt_device_may_have_meant_an_alias(tmp_path: Path, name: str, near: str) -> None:
    with pytest.raises(ProfileError, match=f"did you mean '{near}'"):
        load_profile(name, tmp_path)


@pytest.mark.parametrize(
    "words",
    [
        ("search", "--device"),
        ("report", "--device"),
        ("roofline", "--device"),
        ("breakdown", "--arch", "front:0", "--device"),
        ("carbon", "inferences", "--arch", "front:0", "--device"),
        ("extract", "front:0", "network.pt", "--device"),
        ("export", "bundle", "--device"),
        ("tables", "show"),
    ],
)
def test_every_command_takes_aliases_and_names_the_nearest(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert "did you mean 'pixel'?" in one_line(run(tmp_path, *words, "pixle"), 3)
    assert "pixel-1" in run(tmp_path, *words, "pixel").stderr


def test_a_device_that_only_has_an_imported_table_is_suggested_too(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "watch-published.digits.jsonl").touch()
    message = one_line(run(tmp_path, "search", "--device", "watch-publishd"), 3)
    assert "did you mean 'watch-published'?" in message


def test_nothing_near_lists_all() -> None:
    assert nearest("zebra", ("cpu", "cuda")) == "known: cpu, cuda"


def test_every_hint_to_install_takes_the_versions_that_are_tested_together() -> None:
    """Otherwise pip brings another torch, and several GB with it."""
    assert install("android") == "pip install -c constraints.txt '.[android]'"
    made_elsewhere = [path for path in ROOT.glob("harness/**/*.py") if commands(path)]
    assert made_elsewhere == [ROOT / "harness" / "hints.py"]
    files = [*ROOT.glob("docs/*.md"), ROOT / "README.md"]
    written = [(path, command) for path in files for command in commands(path)]
    assert len(written) > 4
    for path, command in written:
        assert re.match(r"pip install (-c\s+constraints\.txt|--no-deps|tox\b)", command), path


def commands(path: Path) -> list[str]:
    return re.findall(r"pip install .{0,40}", path.read_text())
