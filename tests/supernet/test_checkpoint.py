from pathlib import Path

import pytest
import torch

from harness.errors import CheckpointError
from harness.spaces.digits import DIGITS
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0
from harness.supernet.checkpoint import Checkpoint
from tests.conftest import lively_supernet


def saved(path: Path) -> Checkpoint:
    checkpoint = Checkpoint("digits", {"seed": 1}, 7, lively_supernet().state_dict(), {}, None)
    checkpoint.save(path)
    return checkpoint


def test_a_checkpoint_reads_back_as_the_same_network(tmp_path: Path) -> None:
    path = tmp_path / "supernet.pt"
    checkpoint = saved(path)
    loaded = Checkpoint.load(path)
    assert (loaded.space, loaded.settings, loaded.step) == ("digits", {"seed": 1}, 7)
    images = torch.randn(1, 1, 20, 20)
    with torch.no_grad():
        first, again = (c.supernet(DIGITS, path)(images) for c in (checkpoint, loaded))
    assert torch.equal(first, again)


def test_a_checkpoint_of_another_space_is_refused_naming_both(tmp_path: Path) -> None:
    path = tmp_path / "supernet.pt"
    with pytest.raises(CheckpointError, match=r"of digits, not of ofa-mbv3-w1\.0"):
        saved(path).supernet(OFA_MBV3_W1_0, path)


def test_a_network_file_is_not_a_checkpoint(tmp_path: Path) -> None:
    torch.save({"kind": "network", "schema": 1}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match="not a supernet file"):
        Checkpoint.load(tmp_path / "x.pt")


def test_weights_that_do_not_fit_are_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "supernet.pt"
    checkpoint = saved(path)
    checkpoint.weights.pop("layers.1.largest.expand.0.weight")
    with pytest.raises(CheckpointError, match="does not fit digits"):
        checkpoint.supernet(DIGITS, path)
