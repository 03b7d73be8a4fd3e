"""Real processes under torchrun, over gloo."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("train_ranks.py")
STEPS = 20


def trained(folder: Path, ranks: int, accumulate: int, *words: str) -> None:
    """A run of so many ranks."""
    folder.mkdir(parents=True)
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    command = [sys.executable, "-m", *torchrun, "--max-restarts", "1", str(SCRIPT)]
    ended = subprocess.run(
        [*command, str(folder), str(accumulate), *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]


def losses(folder: Path) -> list[float]:
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == list(range(STEPS))
    return [float(row["loss"]) for row in rows]


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks") / "two"
    trained(folder, 2, 1)
    return folder


def test_two_ranks_train_as_one_that_accumulates_the_same_micro_batches(
    two_ranks: Path, tmp_path: Path
) -> None:
    """Over all stages: sorting, distillation, several sub-networks a step."""
    trained(tmp_path / "one", 1, 2)
    assert losses(two_ranks) == pytest.approx(losses(tmp_path / "one"), rel=1e-7)


def test_a_rank_that_is_killed_changes_nothing(two_ranks: Path, tmp_path: Path) -> None:
    trained(tmp_path / "killed", 2, 1, "11")
    assert (tmp_path / "killed/killed").exists()
    assert losses(tmp_path / "killed") == losses(two_ranks)
    one, other = (
        torch.load(folder / "supernet.pt", weights_only=True)["weights"]
        for folder in (two_ranks, tmp_path / "killed")
    )
    for name, value in one.items():
        assert torch.equal(value, other[name]), name
