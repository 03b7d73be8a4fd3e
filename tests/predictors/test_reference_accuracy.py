"""The accuracy predictor that the OFA authors released, against torch running it."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import CheckpointError
from harness.predictors.released_accuracy import load_released_accuracy
from harness.spaces.genome import decode, sample
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = DATA / "ofa" / "acc_predictor.pth"
pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"no {FILE} (set HARNESS_DATA)")


def test_reference_predictions_are_those_of_their_features_in_torch() -> None:
    space = OFA_MBV3_W1_2
    genomes = sample(space, 50, np.random.default_rng(4))
    network = torch.nn.Sequential(
        *[
            layer
            for sizes in ((128, 400), (400, 400), (400, 400))
            for layer in (torch.nn.Linear(*sizes), torch.nn.ReLU())
        ],
        torch.nn.Linear(400, 1),
    )
    network.load_state_dict(torch.load(FILE, map_location="cpu", weights_only=True))
    features = torch.zeros(len(genomes), 128)
    for row, genome in enumerate(genomes):
        arch = decode(space, genome)
        for slot in range(20):
            if arch.kernels[slot]:
                features[row, 3 * slot + (3, 5, 7).index(arch.kernels[slot])] = 1
                features[row, 60 + 3 * slot + (3, 4, 6).index(int(arch.expands[slot]))] = 1
        features[row, 120 + (arch.resolution - 112) // 16] = 1
    with torch.no_grad():
        expected = network(features)[:, 0].numpy() * 100
    predictor = load_released_accuracy(FILE, space)
    assert predictor.accuracy(genomes) == pytest.approx(expected, abs=1e-3)
    assert "3.4 points" in predictor.describe()


def test_reference_cut_short_or_of_something_else_is_one_clear_error(tmp_path: Path) -> None:
    content = FILE.read_bytes()
    (tmp_path / "short.pth").write_bytes(content[: len(content) // 2])
    torch.save({"0.weight": torch.zeros(2, 2)}, tmp_path / "other.pth")
    for name in ("short.pth", "other.pth", "none.pth"):
        with pytest.raises(CheckpointError, match=name):
            load_released_accuracy(tmp_path / name, OFA_MBV3_W1_2)
