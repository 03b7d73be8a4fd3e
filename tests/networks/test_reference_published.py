"""The 50 specialised networks that the OFA authors published (`specialized.json` has them all)."""

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.errors import CheckpointError, FileFormatError
from harness.networks.build import build
from harness.networks.published import PublishedNetwork
from harness.runtimes.conversion.onnx import OnnxConverter
from harness.runtimes.conversion.source import source_of
from harness.spaces.mobile import MobileSpace
from harness.spaces.ofa_mbv3 import ofa_mbv3
from harness.spaces.ofa_proxyless import ofa_proxyless
from tests.conftest import predict

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = DATA / "ofa" / "specialized.json"
NETWORKS = json.loads(FILE.read_text()) if FILE.exists() else []
pytestmark = pytest.mark.skipif(not NETWORKS, reason=f"no {FILE} (set HARNESS_DATA)")


def space_of(network: dict[str, Any]) -> MobileSpace:
    """The space that it was cut from; the width follows from its first layer."""
    family = ofa_proxyless if "proxyless" in network["space"] else ofa_mbv3
    spaces = [family(width) for width in (1.0, 1.2, 1.3)]
    widths = [part["out_channels"] for part in network["blocks"]]
    return next(
        space
        for space in spaces
        if space.stem.width == network["stem_channels"]
        and {stage.width for stage in space.stages} <= {*widths}
    )


def net_config(network: dict[str, Any]) -> dict[str, Any]:
    """The same as the released code's `config` writes it, head and classifier from the space."""

    def layer(channels: int, out: int, kernel: int, stride: int, act: str) -> dict[str, Any]:
        fields = {"in_channels": channels, "out_channels": out, "kernel_size": kernel}
        return fields | {"name": "ConvLayer", "stride": stride, "act_func": act, "use_bn": True}

    space = space_of(network)
    blocks = []
    for part in network["blocks"]:
        conv = {name: part[name] for name in ("in_channels", "out_channels", "stride")}
        conv |= {"name": "MBConvLayer", "kernel_size": part["kernel"], "act_func": part["act"]}
        conv |= {"expand_ratio": part["expand"], "mid_channels": None, "use_se": part["se"]}
        shortcut = {"name": "IdentityLayer"} if part["residual"] else None
        blocks.append({"name": "ResidualBlock", "conv": conv, "shortcut": shortcut})
    last = network["blocks"][-1]["out_channels"]
    head = layer(last, space.head_width, 1, 1, space.head_act)
    config = {
        "bn": {"momentum": 0.1, "eps": space.bn_eps},
        "first_conv": layer(3, network["stem_channels"], 3, 2, network["stem_act"]),
        "blocks": blocks,
    }
    if space.mix_width:
        mix = layer(space.head_width, space.mix_width, 1, 1, space.head_act) | {"use_bn": False}
        config |= {"final_expand_layer": head, "feature_mix_layer": mix}
    else:
        config["feature_mix_layer"] = head
    features = space.mix_width or space.head_width
    classifier = {"name": "LinearLayer", "in_features": features, "out_features": 1000}
    return config | {"classifier": classifier}


def published(network: dict[str, Any], folder: Path) -> PublishedNetwork:
    path = folder / "net.config"
    path.write_text(json.dumps(net_config(network)))
    return PublishedNetwork.load(path, network["image_size"])


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network["name"])
def test_reference_network_loads_counts_and_runs(network: dict[str, Any], tmp_path: Path) -> None:
    loaded = published(network, tmp_path)
    assert len([b for b in loaded.blocks if b.kind == "mbconv"]) == len(network["blocks"])
    inner = [block for block in loaded.blocks if block.kind == "mbconv"]
    assert [b.mid_channels for b in inner] == [p["mid_channels"] for p in network["blocks"]]
    stated = re.search(r"flops-(\d+)M", network["name"])
    if stated:
        macs_m = sum(block.macs for block in loaded.blocks) / 1e6
        assert macs_m == pytest.approx(int(stated[1]), rel=0.01)
    static = build(loaded.blocks)
    assert sum(p.numel() for p in static.parameters()) == sum(b.params for b in loaded.blocks)
    size = network["image_size"]
    with torch.no_grad():
        assert static(torch.zeros(1, 3, size, size)).shape == (1, 1000)


@pytest.mark.parametrize("network", NETWORKS[::7], ids=lambda network: network["name"])
def test_reference_network_is_exported_to_onnx_with_its_outputs(
    network: dict[str, Any], tmp_path: Path
) -> None:
    import onnxruntime

    loaded = published(network, tmp_path)
    content = OnnxConverter(batch=1).make(loaded.blocks)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    size = network["image_size"]
    images = torch.randn(2, 3, size, size)
    (given,) = session.get_inputs()
    answers = [session.run(None, {given.name: each})[0] for each in images.numpy()[:, None]]
    exported = torch.from_numpy(np.concatenate(answers))
    expected = predict(source_of(loaded.blocks).network, images)
    small = 1e-4 * float(expected.std())  # sums of float32 in another order
    assert torch.allclose(exported, expected, rtol=1e-3, atol=small)


def test_reference_weights_in_their_names_become_ours(tmp_path: Path) -> None:
    network = next(n for n in NETWORKS if n["name"].startswith("flops-389M"))
    loaded = published(network, tmp_path)
    theirs = {}
    names = {"expand": "inverted_bottleneck", "depthwise": "depth_conv", "project": "point_linear"}
    for name, value in loaded.weights(None).items():
        index, rest = name.split(".", 1)
        prefix = loaded.prefixes[int(index)]
        kind = loaded.blocks[int(index)].kind
        if kind == "mbconv":
            part, _, tensor = rest.partition(".")
            if part == "se":
                rest = f"depth_conv.se.fc.{tensor}"
            else:
                layer, _, tensor = tensor.partition(".")
                rest = f"{names[part]}.{'conv' if layer == '0' else 'bn'}.{tensor}"
            rest = f"mobile_inverted_conv.{rest}"
        elif kind == "linear":
            rest = f"linear.{rest.split('.')[1]}"
        else:
            layer, tensor = rest.split(".")
            rest = f"{'conv' if layer == '0' else 'bn'}.{tensor}"
        theirs[prefix + rest] = torch.randn_like(value) if value.ndim else value
    torch.save({"state_dict": theirs}, tmp_path / "init")
    ours = loaded.weights(tmp_path / "init")
    assert torch.equal(ours["0.0.weight"], theirs["first_conv.conv.weight"])
    depthwise = theirs["blocks.3.mobile_inverted_conv.depth_conv.conv.weight"]
    assert any(torch.equal(v, depthwise) for v in ours.values() if v.shape == depthwise.shape)
    torch.save({"state_dict": {}}, tmp_path / "empty")
    with pytest.raises(CheckpointError, match="more are missing"):
        loaded.weights(tmp_path / "empty")
    theirs["blocks.1.mobile_inverted_conv.unknown"] = torch.zeros(1)
    torch.save({"state_dict": theirs}, tmp_path / "init")
    with pytest.raises(CheckpointError, match="of another network"):
        loaded.weights(tmp_path / "init")


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"first_conv": {}, "blocks": []}'])
def test_reference_that_is_no_net_config_is_one_clear_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "net.config").write_text(text)
    with pytest.raises(FileFormatError, match=r"net\.config"):
        PublishedNetwork.load(tmp_path / "net.config", 224)
