"""Files of a bundle are loaded again by their runtimes and compared before they count."""

from pathlib import Path

import numpy as np
import pytest
import torch

from harness.deploy.bundle import write
from harness.deploy.formats import FORMATS
from harness.errors import ConversionFailed
from harness.networks.build import input_shape
from harness.networks.file import NetworkFile, Preprocessing
from harness.reports.card import card
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from tests.conftest import lively_supernet, predict

ARCH = Arch(12, (1, 1, 1), (3,) * 9, (3,) * 9)


def network_file(path: Path, supernet: bool = True) -> NetworkFile:
    blocks = DIGITS.blocks(ARCH)
    static = lively_supernet().extract(ARCH)
    if not supernet:
        for parameter in static.parameters():
            parameter.data.mul_(1.1)
    pixels, names = Preprocessing(12, 0.3, 0.35), tuple("0123456789")
    network = NetworkFile("digits", ARCH, blocks, dict(static.state_dict()), pixels, names, {})
    network.save(path)
    return network


@pytest.mark.parametrize("format_", FORMATS[:2], ids=lambda each: each.name)
def test_a_file_computes_what_the_network_does_and_tells_its_accuracy(
    tmp_path: Path, format_: object
) -> None:
    network = network_file(tmp_path / "network.pt")
    shape = input_shape(network.blocks, 40)
    images = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    labels = predict(network.module().eval(), torch.from_numpy(images)).argmax(1).numpy()
    labels[:10] = (labels[:10] + 1) % 10
    assert format_ in FORMATS
    (chosen,) = [each for each in FORMATS if each is format_]
    source = tmp_path / "network.pt"
    written = write(chosen, network, source, tmp_path, None, (images, labels))
    assert (tmp_path / chosen.file).stat().st_size == written.size_bytes
    assert written.largest_difference < 1e-4
    assert written.same_answers == 1
    assert written.accuracy == pytest.approx(75)
    assert write(chosen, network, source, tmp_path, None, None).accuracy is None


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    network = network_file(tmp_path / "network.pt")
    network_file(tmp_path / "other.pt", supernet=False)
    with pytest.raises(ConversionFailed, match="does not compute what the network does"):
        write(FORMATS[1], network, tmp_path / "other.pt", tmp_path, None, None)


def test_a_card_claims_no_accuracy_without_images_and_shows_names_as_text() -> None:
    facts = {
        "space": "<b>mine</b>",
        "macs": 1e6,
        "params": 1e6,
        "peak_activations_bytes": {"float32": 4000, "float16": 2000, "int8": 1000},
        "classes": ["a", "b"],
        "preprocessing": {"resolution": 12, "mean": 0.3, "std": 0.35},
        "latency": None,
        "data": None,
        "judged_on": 0,
        "harness": "0",
        "files": [
            {
                "file": "network.onnx",
                "size_bytes": 1000,
                "accuracy": None,
                "largest_difference": 1e-7,
                "same_answers": 1.0,
                "compared": True,
                "second_reader": "",
            }
        ],
    }
    text = card(facts)
    assert "No accuracy is claimed" in text
    assert "not known" in text
    assert "<b>" not in text
    facts |= {"data": "images", "judged_on": 36}
    assert "top-1 on 36 images" in card(facts)
