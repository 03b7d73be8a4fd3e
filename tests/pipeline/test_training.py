"""`harness train --data` and `accuracy fit` on a small folder of images, alone and on two ranks."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.cli.terminal import Terminal
from harness.effort import QUICK
from harness.files import read_lines
from harness.pipeline.job import Run
from harness.spaces.digits import DIGITS
from harness.workspace import Workspace
from tests import command_line

SPACE = """
from dataclasses import replace
from harness.spaces.digits import DIGITS
SPACE = replace(DIGITS, name="mine", image_channels=3, classes=2, resolutions=(16, 20))
"""
SETTINGS = [
    *("--space", "mine:SPACE", "--data", "images", "--recipe", "short.toml"),
    *("--batch-size", "12", "--workers", "0"),
]
RECIPE = """
title = "Short"
source = "a test"
batch_size = 12
weight_decay = 3e-5
momentum = 0.9
label_smoothing = 0.1
distill = 0.5
clip_norm = 5.0
add_gradients = true
[[stages]]
name = "largest"
epochs = 2
subnets_per_step = 1
learning_rate = 0.05
[[stages]]
name = "all"
epochs = 2
subnets_per_step = 3
learning_rate = 0.02
sort_channels = true
sandwich = true
open = { kernels = "all", depths = "all", expands = "all" }
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two classes, one of them damaged; a supernet trained on them, alone."""
    root = tmp_path_factory.mktemp("training")
    (root / "mine.py").write_text(SPACE)
    (root / "short.toml").write_text(RECIPE)
    rng = np.random.default_rng(0)
    for name, brightness in (("dark", 60), ("light", 180)):
        folder = root / "images/train" / name
        folder.mkdir(parents=True)
        for number in range(30):
            pixels = rng.normal(brightness, 40, (24, 24, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    (root / "images/train/dark/7.png").write_bytes(b"damaged")
    ended = harness(root, "train", *SETTINGS)
    assert ended.returncode == 0, ended.stderr
    assert "damaged images left out: 1: " in " ".join(ended.stdout.split())
    return root


def harness(root: Path, *words: str, ranks: int = 0) -> subprocess.CompletedProcess[str]:
    """The command, under torchrun where ranks are given."""
    if not ranks:
        return command_line.harness(root, *words)
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(ranks)]
    start = [*torchrun, "-m", "harness"]
    environment = os.environ | {"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *start, *words],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def folder_of(root: Path) -> Path:
    (folder,) = (root / "runs").iterdir()
    return folder


def test_a_run_leaves_its_supernet_its_config_its_metrics_and_what_it_used(root: Path) -> None:
    folder = folder_of(root)
    assert (folder / "supernet.pt").exists()
    config = json.loads((folder / "config.json").read_text())
    assert config["recipe"]["distill"] == 0.5
    assert config["data"]["classes"] == 2
    assert config["data"]["images"] == 60
    steps = sum(stage["steps"] for stage in config["recipe"]["stages"])
    lines = (folder / "metrics.csv").read_text().splitlines()
    assert len(lines) == 1 + steps
    assert {line.split(",")[3] for line in lines[1:]} == {"16", "20"}
    (used,) = json.loads((folder / "emissions.rank-0.json").read_text())
    assert used["seconds"] > 0
    assert (used["energy_mj"] is None) == (used["co2e_kg"] is None)
    assert used["meters"] or used["silent"]


def test_ranks_share_sub_networks_and_come_to_the_same_accuracies_as_one(root: Path) -> None:
    words = ["accuracy", "fit", *SETTINGS, "--subnets", "12"]
    alone = harness(root, *words)
    assert alone.returncode == 0, alone.stderr
    evaluated = folder_of(root) / "evaluated.jsonl"
    once = [line for _, line in read_lines(evaluated)]
    assert len(once) == 12
    found = folder_of(root) / "found.jsonl"
    judges = [line for _, line in read_lines(found)]
    assert len(judges) >= 40
    assert not {str(line["genome"]) for line in judges} & {str(line["genome"]) for line in once}
    with np.load(folder_of(root) / "accuracy.npz") as predictor:
        assert int(predictor["found"]) == len(judges)
        assert len(predictor["shares"]) == len(judges) + 2  # held out
    # Half of it is lost; two ranks go on.
    evaluated.write_text("".join(json.dumps(line) + "\n" for line in once[:5]))
    found.write_text("".join(json.dumps(line) + "\n" for line in judges[:7]))
    (folder_of(root) / "accuracy.npz").unlink()
    shared = harness(root, *words, ranks=2)
    assert shared.returncode == 0, shared.stderr[-3000:]
    assert [line for _, line in read_lines(evaluated)] == once
    assert [line for _, line in read_lines(found)] == judges
    assert shared.stdout.count("accuracy predictor: RMSE") == 1  # only the first rank speaks


def test_a_space_of_ones_own_that_was_changed_does_not_meet_what_was_trained_before(
    tmp_path: Path,
) -> None:
    names = []
    for depths in ((1, 2, 3), (1, 2, 3), (1, 3)):
        space = replace(DIGITS, name="mine", depths=depths)
        job = Run(Workspace(tmp_path), space, Terminal(), QUICK)
        names.append(replace(job, space_text="mine:SPACE").supernet.path.name)
    assert names[0] == names[1] != names[2]


def test_what_cannot_be_trained_on_is_one_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    for words, code, said in (
        (["--data", "nowhere"], 2, "there is no folder nowhere"),
        (["--data", str(tmp_path)], 3, "at least two"),
        (["--data", "images", "--recipe", "shrot"], 3, "shrot"),
        (["--recipe", "digits"], 2, "need --data"),
    ):
        ended = harness(root, "train", "--space", "mine:SPACE", *words)
        assert ended.returncode == code, ended.stdout + ended.stderr
        (line,) = ended.stderr.strip().splitlines()
        assert said in line
