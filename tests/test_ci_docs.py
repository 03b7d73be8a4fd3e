"""The workflows of docs/ci.md are ones that would run."""

import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from harness.cli import app

PAGE = (Path(__file__).parents[1] / "docs" / "ci.md").read_text()
GITHUB, GITLAB = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def commands() -> Iterator[list[str]]:
    """Every call of harness in the page, as a shell would take it."""
    for line in re.findall(r"harness (?:benchmark|history)[^`\n]+", PAGE):
        yield shlex.split(line.partition(" >")[0])[1:]


def test_every_call_has_options_that_there_are() -> None:
    group: Any = typer.main.get_command(app)
    calls = [call for call in commands() if len(call) > 1]
    assert len(calls) >= 5
    for name, *words in calls:
        known = {option for each in group.commands[name].params for option in each.opts}
        assert {word for word in words if word.startswith("--")} <= known, words


def test_both_workflows_are_yaml_with_jobs() -> None:
    github, gitlab = yaml.safe_load(GITHUB), yaml.safe_load(GITLAB)
    assert github["jobs"]["latency"]["runs-on"] == ["self-hosted", "phone"]
    assert gitlab["latency"]["tags"] == ["phone"]


@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_finds_nothing_in_the_workflow(tmp_path: Path) -> None:
    path = tmp_path / ".github" / "workflows" / "latency.yml"
    path.parent.mkdir(parents=True)
    path.write_text(GITHUB)
    config = tmp_path / ".github" / "actionlint.yaml"
    config.write_text("self-hosted-runner:\n  labels: [phone]\n")
    command = ["actionlint", "-config-file", str(config), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
