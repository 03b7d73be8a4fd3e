"""Supernets in the released format against what the reference implementation computed with them."""

import json
import os
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import CheckpointError
from harness.networks.build import fold_eps
from harness.spaces.arch import Arch
from harness.spaces.ofa_mbv3 import ofa_mbv3
from harness.spaces.ofa_proxyless import ofa_proxyless
from harness.spaces.resnet import ofa_resnet50
from harness.spaces.space import Space
from harness.supernet.released import load_released
from harness.supernet.supernet import Supernet

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILES = sorted(DATA.glob("ofa/reference/*.json"))
pytestmark = pytest.mark.skipif(not FILES, reason=f"no reference below {DATA} (set HARNESS_DATA)")


def space_of(name: str, constructor: dict[str, Any]) -> Space:
    if "resnet" in name:
        return ofa_resnet50(tuple(constructor["width_mult_list"]))
    return (ofa_proxyless if "proxyless" in name else ofa_mbv3)(constructor["width_mult"])


@cache
def reference(path: Path) -> tuple[dict[str, Any], Supernet]:
    recorded = json.loads(path.read_text())
    space = space_of(path.stem, recorded["constructor"])
    return recorded, load_released(path.with_suffix(".pth"), space)


def subnets() -> list[Any]:
    found = []
    for path in FILES:
        count = len(json.loads(path.read_text())["subnets"])
        found += [pytest.param(path, i, id=f"{path.stem}-{i}") for i in range(count)]
    return found


@pytest.mark.parametrize(("path", "index"), subnets())
def test_reference_logits_and_parameters_are_ours(path: Path, index: int) -> None:
    recorded, supernet = reference(path)
    subnet = recorded["subnets"][index]
    arch = Arch.from_json(subnet["arch"] | {"r": subnet["resolution"]})
    generator = torch.Generator().manual_seed(subnet["input_seed"])
    size = subnet["resolution"]
    images = torch.randn(subnet["batch"], 3, size, size, generator=generator)
    logits = torch.tensor(subnet["logits"])
    assert (logits[0] - logits[1]).abs().max() > 1e-3  # ten times what ours may be off
    supernet.activate(arch)
    static = supernet.extract(arch)
    with torch.no_grad():
        active, extracted = supernet(images), static(images)
        fold_eps(static)
        folded = static(images)
    for ours in (active, extracted, folded):
        assert (ours - logits).abs().max() < 1e-4
    assert sum(p.numel() for p in static.parameters()) == subnet["params"]
    assert sum(block.params for block in supernet.space.blocks(arch)) == subnet["params"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_reference_of_another_width_is_refused_naming_what_does_not_fit(path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"does not fit ofa-mbv3-w1\.0"):
        load_released(path.with_suffix(".pth"), ofa_mbv3(1.0))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_reference_without_a_tensor_or_cut_short_is_one_clear_error(
    path: Path, tmp_path: Path
) -> None:
    recorded, _ = reference(path)
    weights = torch.load(path.with_suffix(".pth"), weights_only=True)["state_dict"]
    weights.popitem(last=False)
    torch.save({"state_dict": weights}, tmp_path / "lacking.pth")
    space = space_of(path.stem, recorded["constructor"])
    with pytest.raises(CheckpointError, match="lacks layers"):
        load_released(tmp_path / "lacking.pth", space)
    content = path.with_suffix(".pth").read_bytes()
    (tmp_path / "short.pth").write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match=r"short\.pth"):
        load_released(tmp_path / "short.pth", space)
