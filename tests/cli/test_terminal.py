"""What a run says where nobody watches a bar."""

import pytest

from harness.cli import terminal
from harness.cli.terminal import Terminal


def test_in_a_pipe_every_step_tells_how_far_it_is_and_that_it_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(terminal, "TOLD_EVERY_S", 0.0)
    with Terminal().step("train") as progress:
        progress(1, 4)
    said = capsys.readouterr().out.splitlines()
    assert said == ["train: 25% after 0 s", "train: done in 0 s"]
