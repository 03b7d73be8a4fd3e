"""Released families at resolutions that nobody trained them at: they run, and accuracies stop."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.deploy.front import Front
from harness.errors import CheckpointError, UsageError
from harness.networks.file import NetworkFile
from harness.predictors.accuracy import AccuracyPredictor, Quality
from harness.predictors.accuracy_source import accuracy_source
from harness.spaces.arch import Arch
from harness.spaces.catalogue import find_space
from harness.spaces.digits import DIGITS
from harness.spaces.genome import one_hot, sample
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2, ofa_mbv3
from harness.spaces.ofa_proxyless import ofa_proxyless
from harness.spaces.resnet import ofa_resnet50
from harness.spaces.space import Space
from harness.supernet.checkpoint import Checkpoint
from harness.supernet.supernet import Supernet
from tests.spaces.test_space import uniform_arch
from tests.test_run import one_line, run

FAMILY, SIZES = "ofa-mbv3-w0.35", "96,112,256"
WORDS = ("--device", "zu3eg", "--space", FAMILY)
BY_SIZE = "tests.pipeline.test_simulated:by_size"
REMARK = "no accuracy that was released reaches there"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a table of a simulated device at 96, 112 and 256 pixels."""
    root = tmp_path_factory.mktemp("others")
    ended = run(root, "measure", *WORDS, "--resolutions", SIZES)
    assert ended.returncode == 0, ended.stderr
    assert f"at 96, 112, 256 pixels networks of {FAMILY} run and are timed" in ended.stdout
    assert REMARK in ended.stdout
    return root


@pytest.mark.parametrize(
    "family", [ofa_mbv3(0.35), ofa_proxyless(0.35), ofa_resnet50((0.12, 0.16))]
)
@pytest.mark.parametrize("pixels", [96, 112, 250, 256])
def test_a_network_at_any_resolution_is_the_supernets(family: Space, pixels: int) -> None:
    supernet = Supernet(family).eval()
    arch = Arch.of({(g.part, g.index): g.choices[0] for g in family.genes} | {("r", 0): pixels})
    images = torch.randn(1, 3, pixels, pixels)
    supernet.activate(arch)
    with torch.no_grad():
        expected, found = supernet(images), supernet.extract(arch)(images)
    assert torch.allclose(expected, found, atol=1e-5)
    assert family.blocks(arch)[0].input_shape[-1] == pixels


def test_sizes_that_make_no_sense_and_families_of_their_own_data_are_refused() -> None:
    with pytest.raises(UsageError, match="and runs at 32 to 1024"):
        OFA_MBV3_W1_2.at([16])
    with pytest.raises(UsageError, match=r"has 12, 16, 20$"):
        DIGITS.at([24])
    assert OFA_MBV3_W1_2.at([160, 224]).about_resolutions is None


def test_extract_takes_an_arch_at_another_resolution_and_says_so(tmp_path: Path) -> None:
    space = find_space(FAMILY)
    weights = Supernet(space).state_dict()
    Checkpoint(FAMILY, {}, 1, weights, {}, None).save(tmp_path / "supernet.pt")
    arch = uniform_arch(ofa_mbv3(0.35), 96, 2, 3, 3)
    (tmp_path / "arch.json").write_text(json.dumps(arch.to_json()))
    files = [str(tmp_path / name) for name in ("arch.json", "network.pt", "supernet.pt")]
    ended = run(tmp_path, "extract", *files[:2], "--supernet", files[2], "--space", FAMILY)
    assert ended.returncode == 0, ended.stderr
    assert REMARK in ended.stdout
    network = NetworkFile.load(tmp_path / "network.pt")
    assert network.preprocessing.resolution == network.blocks[0].input_shape[-1] == 96


def test_searches_find_networks_there_by_accuracies_of_others(root: Path) -> None:
    words = [*WORDS, "--resolutions", SIZES, "--quick", "--accuracy", BY_SIZE]
    ended = run(root, "search", *words, "--front")
    assert ended.returncode == 0, ended.stderr
    assert REMARK in ended.stdout
    front = Front.load(root / "reports" / f"zu3eg.{FAMILY}" / "front.json")
    assert {point.arch.resolution for point in front.points} <= {96, 112, 256}
    ended = run(root, "breakdown", *WORDS, "--arch", "front:0")
    assert ended.returncode == 0, ended.stderr


def test_a_table_of_others_alone_says_which_it_has(root: Path) -> None:
    ended = run(root, "search", *WORDS, "--quick", "--accuracy", BY_SIZE)
    assert "it has --resolutions 96,112,256" in one_line(ended, 3)


@pytest.mark.parametrize("pixels", [96, 112, 150, 256])
def test_the_released_predictor_gives_no_accuracy_there(tmp_path: Path, pixels: int) -> None:
    """Its features have a place for 112 pixels, which nothing was ever learned for."""
    part = OFA_MBV3_W1_2.at([pixels, 160])
    with pytest.raises(CheckpointError, match=f"tells nothing at {pixels} pixels, only at 128 to"):
        accuracy_source(str(tmp_path / "acc_predictor.pth"), part)


def test_a_predictor_of_ours_gives_no_accuracy_at_other_resolutions(tmp_path: Path) -> None:
    trained, asked = OFA_MBV3_W1_2.at([160, 192]), OFA_MBV3_W1_2.at([96, 112])
    path = tmp_path / "accuracy.npz"
    sizes = (one_hot(trained, sample(trained, 1, np.random.default_rng(0))).shape[1], 4, 4, 4, 1)
    weights = tuple(np.ones(s, np.float32) for s in pairwise(sizes))
    biases = tuple(np.zeros(size, np.float32) for size in sizes[1:])
    quality = Quality(1.0, 1.0, 1.0, 80, 20)
    AccuracyPredictor(trained, weights, biases, quality).save(path)
    assert AccuracyPredictor.load(path, trained).quality == quality
    with pytest.raises(CheckpointError, match="predicts at 160, 192 pixels, not at 96, 112"):
        AccuracyPredictor.load(path, asked)
    with np.load(path) as content:
        older = {name: value for name, value in content.items() if name != "resolutions"}
    np.savez(path, **older)
    AccuracyPredictor.load(path, trained)
    with pytest.raises(CheckpointError, match="not at 96, 112"):
        AccuracyPredictor.load(path, asked)
