"""What goes wrong while training is one clear line, and the last good checkpoint stays."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from harness.errors import CheckpointError, TrainingDiverged, UsageError, WorkspaceError
from harness.spaces.digits import DIGITS
from harness.training import checkpoints, loop
from harness.training.data import Digits
from harness.training.recipe_files import digits_recipe
from harness.training.stages import Recipe

EAGER = loop.Engine(checkpoint_every_s=0.0)


@pytest.fixture(scope="module")
def data() -> Digits:
    return Digits.load()


def recipe(rate: float = 0.1, steps: int = 8) -> Recipe:
    whole = digits_recipe(100)
    stage = replace(whole.stages[0], steps=steps, learning_rate=rate)
    return replace(whole, batch_size=8, stages=(stage,), clip_norm=None)


def test_a_loss_that_is_no_number_stops_training_before_the_weights_are_spoilt(
    tmp_path: Path, data: Digits
) -> None:
    path, said = tmp_path / "supernet.pt", list[str]()
    for rate in (1e12, 1e4):
        with pytest.raises(TrainingDiverged, match="lower rates"):
            loop.train(DIGITS, data, recipe(rate, steps=50), path, engine=EAGER)
        found = checkpoints.newest(path, said.append)
        assert said == []
        if found is not None:
            assert all(torch.isfinite(value).all() for value in found[0].weights.values())
        shutil.rmtree(checkpoints.folder_of(path), ignore_errors=True)


def test_a_batch_that_cannot_be_cut_is_refused(tmp_path: Path, data: Digits) -> None:
    for parts in (3, 8):
        with pytest.raises(UsageError, match=f"into {parts} equal micro-batches"):
            loop.train(
                DIGITS,
                data,
                recipe(),
                tmp_path / "supernet.pt",
                engine=loop.Engine(accumulate=parts),
            )


def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(
    tmp_path: Path, data: Digits
) -> None:
    class Killed(Exception):
        pass

    def on_step(done: int, _total: int) -> None:
        if done == 6:
            raise Killed

    path, said = tmp_path / "killed/supernet.pt", list[str]()
    with pytest.raises(Killed):
        loop.train(DIGITS, data, recipe(), path, on_step, EAGER)
    kept = sorted(checkpoints.folder_of(path).iterdir())
    assert [each.name for each in kept] == ["step-00000004.pt", "step-00000005.pt"]
    kept[-1].write_bytes(kept[-1].read_bytes()[:1000])
    supernet = loop.train(DIGITS, data, recipe(), path, engine=EAGER, say=said.append)
    (line,) = said
    assert "step-00000005.pt" in line
    assert "the one before" in line
    whole = loop.train(DIGITS, data, recipe(), tmp_path / "whole/supernet.pt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, supernet.state_dict()[name]), name
    assert not checkpoints.folder_of(path).exists()


def test_where_no_checkpoint_can_be_read_training_does_not_silently_start_over(
    tmp_path: Path, data: Digits
) -> None:
    path = tmp_path / "supernet.pt"
    folder = checkpoints.folder_of(path)
    folder.mkdir()
    (folder / "step-00000005.pt").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match=r"step-00000005\.pt"):
        loop.train(DIGITS, data, recipe(), path)


def test_a_supernet_for_other_classes_is_not_continued(tmp_path: Path, data: Digits) -> None:
    path = tmp_path / "supernet.pt"
    loop.train(DIGITS, data, recipe(steps=1), path)
    seven = replace(data, classes=data.classes[:7])
    with pytest.raises(CheckpointError, match="classes was 10, is 7"):
        loop.train(replace(DIGITS, classes=7), seven, recipe(steps=1), path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no right to mount a small tmpfs here")
    yield folder
    subprocess.run(["umount", str(folder)], check=False)


def test_a_full_disk_leaves_the_last_checkpoint_as_it_was(small_disk: Path, data: Digits) -> None:
    path = small_disk / "supernet.pt"

    def fill(done: int, _total: int) -> None:
        if done == 3:
            with suppress(OSError), (small_disk / "full").open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(10_000))

    with pytest.raises(WorkspaceError, match="No space left"):
        loop.train(DIGITS, data, recipe(), path, fill, EAGER)
    (small_disk / "full").unlink()
    found = checkpoints.newest(path, pytest.fail)
    assert found is not None
    assert found[0].step == 2
    supernet = loop.train(DIGITS, data, recipe(), path, engine=EAGER)
    whole = loop.train(DIGITS, data, recipe(), small_disk / "whole/supernet.pt")
    for name, value in whole.state_dict().items():
        assert torch.equal(value, supernet.state_dict()[name]), name
