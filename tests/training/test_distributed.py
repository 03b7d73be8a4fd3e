"""Real processes under torchrun, over gloo."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from harness.training.loop import Engine
from tests.training.train_ranks import RECIPE, train

SCRIPT = Path(__file__).with_name("train_ranks.py")


def trained(folder: Path, *words: str) -> bool:
    """A run of two ranks; whether it came to its end."""
    folder.mkdir(parents=True, exist_ok=True)
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    ended = subprocess.run(
        [sys.executable, "-m", *torchrun, str(SCRIPT), str(folder), *words],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return ended.returncode == 0


def losses(folder: Path) -> list[float]:
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(RECIPE.steps))
    return [float(row["loss"]) for row in rows]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks") / "two"
    assert trained(folder)
    return folder


def test_two_ranks_train_as_one_that_accumulates_the_same_micro_batches(
    two_ranks: Path, tmp_path: Path
) -> None:
    """Over all stages: sorting, dropout, distillation, several sub-networks a step."""
    train(tmp_path, Engine(accumulate=2))
    assert losses(two_ranks) == pytest.approx(losses(tmp_path), rel=1e-7)


def test_a_rank_that_is_killed_changes_nothing(two_ranks: Path, tmp_path: Path) -> None:
    words = (tmp_path / "killed", "7")
    assert not trained(*words)
    assert (tmp_path / "killed/killed").exists()
    assert not (tmp_path / "killed/supernet.pt").exists()
    assert trained(*words)
    assert losses(tmp_path / "killed") == losses(two_ranks)
    one, other = (
        torch.load(folder / "supernet.pt", weights_only=True)["weights"]
        for folder in (two_ranks, tmp_path / "killed")
    )
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
