"""`harness devices check` and `add` on a board."""

import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness import cli
from harness.device.device import Device
from harness.errors import TargetFailed, UsageError
from harness.pipeline.add import add_board
from tests.real.conftest import told, write_board
from tests.real.real_sshd import RealSshd


def test_the_whole_way_is_walked(tmp_path: Path, board: RealSshd) -> None:
    write_board(tmp_path, board)
    found = told(Device.find("loopback-board", tmp_path))
    assert found["reached"].startswith("ssh-")
    assert "MB free" in found["space"]
    assert " in 0." in found["a model runs"]
    assert "energy counter" in found


def test_a_board_at_hand_becomes_a_device(tmp_path: Path, board: RealSshd) -> None:
    path = add_board("mine", board.name, sys.executable, tmp_path)
    written = tomllib.loads(path.read_text())
    assert written["ssh"] == {"host": board.name, "python": [sys.executable]}
    assert written["runtime"] in ("onnxruntime", "torch")
    assert told(Device.find("mine", tmp_path))["runtime"] == written["runtime"]
    with pytest.raises(UsageError, match="is there already"):
        add_board("mine", board.name, None, tmp_path)


@pytest.mark.parametrize(
    ("python", "named"),
    [("no-such-python", "does not run there"), (f"{sys.executable} -S -I", "has none of")],
)
def test_a_python_that_cannot_serve_is_named(
    tmp_path: Path, board: RealSshd, python: str, named: str
) -> None:
    with pytest.raises(TargetFailed, match=named):
        add_board("mine", board.name, python, tmp_path)
    assert not (tmp_path / "devices/mine.toml").exists()


@pytest.mark.parametrize("words", [["--python", "x"], ["--ssh", "x", "--serial", "y"]])
def test_options_that_do_not_fit_together_are_refused(words: list[str]) -> None:
    ended = CliRunner().invoke(cli.app, ["devices", "add", "mine", *words])
    assert isinstance(ended.exception, UsageError)
