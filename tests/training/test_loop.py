from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.errors import CheckpointError
from harness.spaces.digits import DIGITS
from harness.spaces.space import Space
from harness.spaces.vit import VIT_DIGITS
from harness.supernet.checkpoint import Checkpoint
from harness.training import loop
from harness.training.data import Digits
from harness.training.learning import soft_labels
from harness.training.recipe_files import digits_recipe, load_recipe, recipe_of_steps
from harness.training.stages import Recipe
from harness.training.teacher import freeze, restored
from tests.conftest import lively_supernet

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


def as_released(distill: float = 0.5) -> Recipe:
    """With what recipes of the released code have beyond that of digits."""
    return replace(
        recipe(distill), dropout=0.1, initialisation="he_fout", teacher_in_training_mode=True
    )


def of_transformers() -> Recipe:
    """By AdamW."""
    whole = recipe_of_steps(load_recipe("vit-digits"), 12)
    return replace(whole, batch_size=8, stages=tuple(replace(s, steps=4) for s in whole.stages))


@pytest.mark.parametrize(
    ("space", "settings"),
    [
        *((DIGITS, each) for each in (recipe(), recipe(0.5), as_released())),
        (VIT_DIGITS, of_transformers()),
    ],
)
def test_training_killed_after_any_step_ends_with_the_weights_of_one_that_was_not(
    tmp_path: Path, data: Digits, space: Space, settings: Recipe
) -> None:
    whole = loop.train(space, data, settings, tmp_path / "whole/supernet.pt")

    def killed_after(stop: int) -> None:
        def on_step(done: int, _total: int) -> None:
            if done == stop:
                raise Killed

        with pytest.raises(Killed):
            loop.train(space, data, settings, tmp_path / "supernet.pt", on_step, EAGER)

    for stop in range(1, settings.steps, 1 if not settings.distill else 3):
        killed_after(stop)
    resumed = loop.train(space, data, settings, tmp_path / "supernet.pt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_dropout_first_weights_and_the_teachers_mode_are_those_of_the_recipe(
    tmp_path: Path, data: Digits
) -> None:
    """Each by itself changes what is learnt; where nobody distils no teacher can."""

    def weights(settings: Recipe) -> torch.Tensor:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}/supernet.pt"
        supernet = loop.train(DIGITS, data, settings, path)
        return next(supernet.parameters()).detach()

    plain, distilled = weights(recipe()), weights(recipe(0.5))
    assert not torch.equal(weights(replace(recipe(), dropout=0.1)), plain)
    assert not torch.equal(weights(replace(recipe(), initialisation="he_fout")), plain)
    own_statistics = replace(recipe(0.5), teacher_in_training_mode=True)
    assert not torch.equal(weights(own_statistics), distilled)
    assert torch.equal(weights(replace(recipe(), teacher_in_training_mode=True)), plain)


@pytest.mark.parametrize("in_training_mode", [False, True])
def test_a_teacher_in_training_mode_judges_images_beside_those_of_their_batch(
    data: Digits, in_training_mode: bool
) -> None:
    teacher = freeze(lively_supernet(), data, "cpu", in_training_mode=in_training_mode)
    kept = restored(DIGITS, teacher.state_dict(), "cpu", in_training_mode=in_training_mode)
    images = torch.randn(16, 1, 20, 20, generator=torch.Generator().manual_seed(0))
    for each in (teacher, kept):
        whole, part = soft_labels(each, images), soft_labels(each, images[:8])
        assert whole is not None
        assert part is not None
        assert torch.allclose(whole[:8], part, atol=1e-5) != in_training_mode


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
