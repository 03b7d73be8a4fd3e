"""What the OFA authors published by device, as our catalogue has it and as their files say."""

import json
import os
from collections import defaultdict
from pathlib import Path

import pytest

from harness.device.profile import profile_paths
from harness.networks.released_fronts import released_front, released_fronts

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILES = sorted((DATA / "ofa").glob("specialized*.json"))
THEIRS = {
    "note10": "galaxy-note10",
    "note8": "galaxy-note8",
    "s7edge": "galaxy-s7-edge",
    "lg-g8": "lg-g8",
    "pixel1": "pixel-1",
    "pixel2": "pixel-2",
    "cpu": "xeon-e5-2690-v4",
    "1080ti": "gtx-1080ti-b64",
    "v100": "v100-b64",
    "jetson-tx2": "jetson-tx2",
}


def test_each_is_a_device_of_our_catalogue() -> None:
    assert set(THEIRS.values()) == set(released_fronts())
    assert set(THEIRS.values()) <= profile_paths(Path(__file__).parents[2]).keys()


def test_a_device_that_nobody_published_has_none() -> None:
    assert released_front("cpu") == ()


@pytest.mark.skipif(not FILES, reason="the published networks are not here: set HARNESS_DATA")
def test_reference_latencies_and_accuracies_are_those_of_their_files() -> None:
    theirs = defaultdict(list)
    for file in FILES:
        for network in json.loads(file.read_text()):
            if network["latency_ms"] is not None:
                figures = network["latency_ms"], network["top1"], network["finetune_epochs"]
                theirs[network["device"]].append(figures)
    assert theirs.keys() == THEIRS.keys()
    for name, ours in THEIRS.items():
        found = [(each.latency_ms, each.top1, each.epochs) for each in released_front(ours)]
        assert found == sorted(theirs[name]), ours
