"""Fine-tuning on folders of small images, made here."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from harness.errors import CheckpointError, TrainingDiverged, UsageError
from harness.networks.file import NetworkFile, Preprocessing
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from harness.training import bn
from harness.training.data import Digits
from harness.training.finetune import (
    Tuning,
    checkpoint_of,
    finetune,
    fit_head,
    has_other_classes,
)
from harness.training.folder import ImageFolder
from harness.training.teacher import freeze
from tests.conftest import lively_supernet, predict

COLOURS = ("blue", "green", "red")
SPACE = replace(DIGITS, name="colours", image_channels=3, classes=3, resolutions=(16,))
SMALLEST = Arch(16, (1, 1, 1), (3, 0, 0) * 3, (3, 0, 0) * 3)
TUNING = Tuning(epochs=3, learning_rate=0.05, batch_size=12, seed=1)
SOURCE = {"file": {"name": "network.pt", "sha256": "0"}, "supernet": None}


def make(root: Path, images: int = 60, classes: Sequence[str] = COLOURS) -> Path:
    """Noise in which a colour is somewhat stronger: that of the class."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for image in range(images):
            pixels = np.random.default_rng([number, image]).integers(0, 200, (32, 32, 3))
            pixels[:, :, -1 - number % 3] += 40
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{image:03}.png")
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> ImageFolder:
    return ImageFolder.open(make(tmp_path_factory.mktemp("colours")), workers=0)


def network(classes: tuple[str, ...] = COLOURS) -> NetworkFile:
    """The smallest of an untrained supernet."""
    space = replace(SPACE, classes=len(classes))
    return NetworkFile(
        space=space.name,
        arch=SMALLEST,
        blocks=space.blocks(SMALLEST),
        weights=dict(lively_supernet(space).extract(SMALLEST).state_dict()),
        preprocessing=Preprocessing(16, 0.5, 0.5),
        classes=classes,
        origin={"supernet": "untrained"},
    )


@pytest.fixture(scope="module")
def tuned(data: ImageFolder, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NetworkFile]:
    """A run that nothing interrupted."""
    output = tmp_path_factory.mktemp("tuned") / "tuned.pt"
    return output, finetune(network(), data, TUNING, output, SOURCE)


def same_weights(one: NetworkFile, other: NetworkFile) -> bool:
    return one.weights.keys() == other.weights.keys() and all(
        torch.equal(value, other.weights[name]) for name, value in one.weights.items()
    )


def held_out(data: ImageFolder) -> torch.Tensor:
    return torch.cat([images for images, _ in data.judges(16)])


def test_fine_tuning_makes_a_network_better_on_images_it_has_not_seen(
    tuned: tuple[Path, NetworkFile],
) -> None:
    judged = tuned[1].origin["held_out"]
    assert judged["images"] == 36
    assert judged["accuracy_before"] < 65
    assert judged["accuracy_after"] > judged["accuracy_before"] + 30


def test_the_file_loads_again_with_the_same_logits_and_says_where_it_came_from(
    tuned: tuple[Path, NetworkFile], data: ImageFolder
) -> None:
    output, result = tuned
    loaded = NetworkFile.load(output)
    logits = predict(result.module(), held_out(data))
    assert torch.equal(predict(loaded.module(), held_out(data)), logits)
    labels = torch.cat([labels for _, labels in data.judges(16)])
    right = (logits.argmax(1) == labels).double().mean() * 100
    assert loaded.origin["held_out"]["accuracy_after"] == pytest.approx(float(right))
    assert loaded.classes == COLOURS
    assert loaded.preprocessing == Preprocessing(16, data.mean, data.std)
    assert loaded.origin["network"] == {"supernet": "untrained"}
    assert loaded.origin["finetuned"]["file"] == SOURCE["file"]
    assert loaded.origin["finetuned"]["learning_rate"] == 0.05
    assert loaded.origin["bn_images"] == data.count == 108


def test_its_batch_norm_statistics_are_those_of_the_calibration_images(
    tuned: tuple[Path, NetworkFile], data: ImageFolder
) -> None:
    again = tuned[1].module()
    bn.recompute(again, data.calibration(16))
    for name, value in again.state_dict().items():
        assert torch.allclose(value, tuned[1].weights[name], rtol=1e-4, atol=1e-5), name


def test_a_run_killed_again_and_again_ends_with_the_weights_of_one_that_was_not(
    tuned: tuple[Path, NetworkFile], data: ImageFolder, tmp_path: Path
) -> None:
    output = tmp_path / "tuned.pt"
    steps = TUNING.steps(data.count)
    assert steps == 27
    seen = []

    def killed_after(stop: int) -> None:
        def on_step(done: int, total: int) -> None:
            seen.append(done)
            assert total == steps
            if done == stop:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            finetune(network(), data, TUNING, output, SOURCE, None, on_step, checkpoint_every_s=0)

    for stop in (2, 3, 15):
        killed_after(stop)
    # A step is reported before it is kept: the last one of each is done again.
    assert seen == [1, 2, 2, 3, *range(3, 16)]
    resumed = finetune(network(), data, TUNING, output, SOURCE)
    assert same_weights(resumed, tuned[1])
    assert resumed.origin == tuned[1].origin
    assert not checkpoint_of(output).exists()


def test_a_finished_run_is_not_done_again(
    tuned: tuple[Path, NetworkFile], data: ImageFolder
) -> None:
    output, result = tuned
    written = output.read_bytes()

    def on_step(done: int, _total: int) -> None:
        pytest.fail(f"step {done}")

    assert same_weights(finetune(network(), data, TUNING, output, SOURCE, None, on_step), result)
    assert output.read_bytes() == written


def test_another_seed_sees_other_images(
    tuned: tuple[Path, NetworkFile], data: ImageFolder, tmp_path: Path
) -> None:
    other = finetune(network(), data, replace(TUNING, seed=2), tmp_path / "tuned.pt", SOURCE)
    assert not same_weights(other, tuned[1])


def test_a_distilled_network_answers_more_like_its_teacher(
    tuned: tuple[Path, NetworkFile], data: ImageFolder, tmp_path: Path
) -> None:
    teacher = freeze(lively_supernet(SPACE), data, "cpu")
    strong = replace(TUNING, distill=20.0)
    distilled = finetune(network(), data, strong, tmp_path / "tuned.pt", SOURCE, teacher)
    soft = F.softmax(predict(teacher, held_out(data)), dim=1)
    alone, taught = (
        float(F.cross_entropy(predict(each.module(), held_out(data)), soft))
        for each in (tuned[1], distilled)
    )
    assert taught < alone - 0.05


def test_the_same_classes_keep_all_weights(data: ImageFolder) -> None:
    for classes in (COLOURS, ("0", "1", "2")):
        assert not has_other_classes(network(classes), data)
        fitted = fit_head(network(classes), data, 0)
        assert same_weights(fitted, network(classes))
        assert fitted.blocks == network(classes).blocks
        assert fitted.classes == COLOURS


@pytest.mark.parametrize("classes", [("0", "1", "2", "3"), ("cat", "cow", "dog")])
def test_other_classes_get_a_new_head_and_keep_the_rest(
    classes: tuple[str, ...], data: ImageFolder, tmp_path: Path
) -> None:
    assert has_other_classes(network(classes), data)
    before, fitted = network(classes), fit_head(network(classes), data, 0)
    assert fitted.classes == COLOURS
    assert fitted.blocks[:-1] == before.blocks[:-1]
    assert fitted.blocks[-1].output_shape[0] == 3
    head = f"{len(before.blocks) - 1}.1."
    assert {f"{head}weight", f"{head}bias"} <= before.weights.keys()
    for name, value in before.weights.items():
        kept = value.shape == fitted.weights[name].shape and value.equal(fitted.weights[name])
        assert kept != name.startswith(head), name
    assert same_weights(fitted, fit_head(network(classes), data, 0))
    assert not same_weights(fitted, fit_head(network(classes), data, 1))
    output = tmp_path / "tuned.pt"
    finetune(network(classes), data, TUNING, output, SOURCE)
    loaded = NetworkFile.load(output)
    assert loaded.origin["finetuned"]["new_head"]
    assert loaded.origin["held_out"]["accuracy_after"] > 75
    assert loaded.module()(torch.zeros(1, 3, 16, 16)).shape == (1, 3)


def test_a_loss_that_is_no_number_leaves_the_last_checkpoint(
    data: ImageFolder, tmp_path: Path
) -> None:
    output = tmp_path / "tuned.pt"
    hot = replace(TUNING, learning_rate=1e20)
    with pytest.raises(TrainingDiverged, match=r"the loss is \w+ at step \d+ .*lower"):
        finetune(network(), data, hot, output, SOURCE, checkpoint_every_s=0)
    assert not output.exists()
    kept = torch.load(checkpoint_of(output), weights_only=True)
    assert kept["step"] >= 1
    assert all(value.isfinite().all() for value in kept["weights"].values())


def test_what_belongs_to_another_run_is_neither_continued_nor_overwritten(
    data: ImageFolder, tuned: tuple[Path, NetworkFile], tmp_path: Path
) -> None:
    def stop(_done: int, _total: int) -> None:
        if checkpoint_of(output).exists():
            raise KeyboardInterrupt

    output, other = tmp_path / "tuned.pt", replace(TUNING, learning_rate=0.02)
    with pytest.raises(KeyboardInterrupt):
        finetune(network(), data, TUNING, output, SOURCE, None, stop, checkpoint_every_s=0)
    kept = checkpoint_of(output).read_bytes()
    with pytest.raises(CheckpointError, match=r"learning_rate was 0.05, is 0.02; name another"):
        finetune(network(), data, other, output, SOURCE)
    assert checkpoint_of(output).read_bytes() == kept
    checkpoint_of(output).write_bytes(kept[:1000])
    with pytest.raises(CheckpointError, match=r"tuned.pt.checkpoint: it is broken"):
        finetune(network(), data, TUNING, output, SOURCE)
    with pytest.raises(UsageError, match=r"is there and is something else; name another file"):
        finetune(network(), data, other, tuned[0], SOURCE)
    output.write_text("a letter")
    with pytest.raises(CheckpointError, match=r"cannot read .*tuned.pt"):
        finetune(network(), data, TUNING, output, SOURCE)
    assert output.read_text() == "a letter"


def test_what_does_not_fit_together_is_a_clear_error(data: ImageFolder, tmp_path: Path) -> None:
    output = tmp_path / "tuned.pt"
    with pytest.raises(UsageError, match="takes images of 3 channels, the data have 1"):
        finetune(network(), Digits.load(), TUNING, output, SOURCE)
    with pytest.raises(UsageError, match="a batch of 1 is too small"):
        finetune(network(), data, replace(TUNING, batch_size=1), output, SOURCE)
    headless = replace(network(), blocks=network().blocks[:-1])
    with pytest.raises(CheckpointError, match="does not end with a classifier"):
        finetune(headless, data, TUNING, output, SOURCE)
    assert not list(tmp_path.iterdir())
