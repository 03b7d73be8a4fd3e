"""Networks out of released supernets and published files, as a user takes them."""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch

from harness.networks.file import NetworkFile
from harness.spaces.arch import Arch
from harness.spaces.convolution import convolutions
from tests.command_line import harness
from tests.valid_files import net_config

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILES = sorted(DATA.glob("ofa/reference/ofa_mbv3*.json"))


def extract(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return harness(folder, "extract", *words)


@pytest.mark.skipif(not FILES, reason=f"no reference below {DATA} (set HARNESS_DATA)")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_reference_supernet_gives_a_network_file_with_its_logits(
    path: Path, tmp_path: Path
) -> None:
    recorded = json.loads(path.read_text())
    width = recorded["constructor"]["width_mult"]
    subnet = recorded["subnets"][0]
    (tmp_path / "arch.json").write_text(json.dumps(subnet["arch"] | {"r": subnet["resolution"]}))
    words = ["arch.json", "network.pt", "--space", f"ofa-mbv3-w{width}"]
    ended = extract(tmp_path, *words, "--supernet", str(path.with_suffix(".pth")))
    assert ended.returncode == 0, ended.stderr
    assert "not recomputed" in ended.stdout
    network = NetworkFile.load(tmp_path / "network.pt")
    assert network.arch is not None
    assert network.arch.depths == Arch.from_json(subnet["arch"] | {"r": 0}).depths
    generator = torch.Generator().manual_seed(subnet["input_seed"])
    size = subnet["resolution"]
    images = torch.randn(subnet["batch"], 3, size, size, generator=generator)
    with torch.no_grad():
        logits = network.module()(images)
    assert torch.allclose(logits, torch.tensor(subnet["logits"]), atol=1e-4)
    assert (logits[0] - logits[1]).abs().max() > 1e-3  # they depend on the images


def test_an_arch_without_a_supernet_and_no_file_at_all_are_one_line(tmp_path: Path) -> None:
    arch = {"r": 12, "d": [1, 1, 1], "ks": [3, 0, 0] * 3, "e": [3, 0, 0] * 3}
    (tmp_path / "arch.json").write_text(json.dumps(arch))
    for words, said in (
        (("arch.json", "network.pt"), "--supernet FILE says where"),
        (("nothing.json", "network.pt"), "neither a point"),
    ):
        ended = extract(tmp_path, *words)
        assert ended.returncode == 2
        assert said in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1


def test_an_arch_becomes_an_untrained_network_by_the_word_init_alone(tmp_path: Path) -> None:
    arch = {"r": 12, "d": [1, 1, 1], "ks": [3, 0, 0] * 3, "e": [3, 0, 0] * 3}
    (tmp_path / "arch.json").write_text(json.dumps(arch))
    ended = extract(tmp_path, "arch.json", "network.pt", "--weights", "init")
    assert "weights are random: good for timing only" in ended.stdout, ended.stderr
    network = NetworkFile.load(tmp_path / "network.pt")
    assert network.arch == Arch.from_json(arch)
    assert network.module()(torch.rand(2, 1, 12, 12)).shape == (2, 10)
    ended = extract(tmp_path, "arch.json", "network.pt", "--weights", "other.pt")
    assert ended.returncode == 2
    assert "--weights other.pt: files of weights are of a net.config" in ended.stderr


def test_a_net_config_becomes_a_network_file_that_says_its_weights_are_random(
    tmp_path: Path,
) -> None:
    config = net_config()
    (tmp_path / "net.config").write_text(json.dumps(config))
    ended = extract(tmp_path, "net.config", "network.pt")
    assert "--resolution" in ended.stderr
    for part, name, wrong in (
        ("first_conv", "stride", 0),
        ("first_conv", "out_channels", "8"),
        ("feature_mix_layer", "in_channels", 9),
        ("first_conv", "act_func", "unheard"),
    ):
        broken = config | {part: {**config[part], name: wrong}}
        (tmp_path / "broken.config").write_text(json.dumps(broken))
        ended = extract(tmp_path, "broken.config", "network.pt", "--resolution", "32")
        assert ended.returncode == 3, ended.stderr
        assert "broken.config" in ended.stderr
        assert len(ended.stderr.strip().splitlines()) == 1
    ended = extract(tmp_path, "net.config", "network.pt", "--resolution", "32")
    assert "weights are random" in ended.stdout
    network = NetworkFile.load(tmp_path / "network.pt")
    assert network.arch is None
    kinds = [block.kind for block in network.blocks]
    assert kinds == ["conv", "mbconv", "conv", "pool", "linear"]
    assert convolutions(network.blocks)[1].residual
