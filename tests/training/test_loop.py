from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.errors import CheckpointError
from harness.spaces.digits import DIGITS
from harness.supernet.checkpoint import Checkpoint
from harness.training import loop
from harness.training.data import Digits
from harness.training.recipe_files import digits_recipe
from harness.training.stages import Recipe

EAGER = loop.Engine(checkpoint_every_s=0.0)


class Killed(Exception):
    pass


@pytest.fixture(scope="module")
def data() -> Digits:
    return Digits.load()


def recipe(distill: float = 0.0) -> Recipe:
    """Every stage, at least two steps of each."""
    whole = digits_recipe(12, distill=distill)
    return replace(whole, batch_size=8, stages=tuple(replace(s, steps=2) for s in whole.stages))


@pytest.mark.parametrize("distill", [0.0, 0.5])
def test_training_killed_after_any_step_ends_with_the_weights_of_one_that_was_not(
    tmp_path: Path, data: Digits, distill: float
) -> None:
    settings = recipe(distill)
    whole = loop.train(DIGITS, data, settings, tmp_path / "whole/supernet.pt")

    def killed_after(stop: int) -> None:
        def on_step(done: int, _total: int) -> None:
            if done == stop:
                raise Killed

        with pytest.raises(Killed):
            loop.train(DIGITS, data, settings, tmp_path / "supernet.pt", on_step, EAGER)

    for stop in range(1, settings.steps, 1 if not distill else 3):
        killed_after(stop)
    resumed = loop.train(DIGITS, data, settings, tmp_path / "supernet.pt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_a_finished_run_is_found_and_an_unfinished_one_is_not(tmp_path: Path, data: Digits) -> None:
    path, settings = tmp_path / "supernet.pt", recipe()
    assert loop.finished(path, settings, data) is None
    loop.train(DIGITS, data, settings, path)
    found = loop.finished(path, settings, data)
    assert found is not None
    assert found.step == settings.steps
    replace(found, step=3).save(path)
    assert loop.finished(path, settings, data) is None


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path: Path, data: Digits) -> None:
    path, settings = tmp_path / "supernet.pt", recipe()
    Checkpoint("digits", replace(settings, seed=9).settings, 1, {}, {}, None).save(path)
    with pytest.raises(CheckpointError, match="other settings"):
        loop.train(DIGITS, data, settings, path)


def test_training_makes_the_largest_network_better(tmp_path: Path, data: Digits) -> None:
    from harness.supernet.supernet import Supernet
    from harness.training.evaluate import SubnetEvaluator

    settings = digits_recipe(100)
    short = replace(settings, stages=tuple(replace(s, steps=20) for s in settings.stages[:1]))
    trained = loop.train(DIGITS, data, short, tmp_path / "supernet.pt")
    before, after = (
        SubnetEvaluator(net, data).accuracy(DIGITS.largest) for net in (Supernet(DIGITS), trained)
    )
    assert after > before + 10
