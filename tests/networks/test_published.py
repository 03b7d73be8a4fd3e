"""Descriptions of networks as others publish them: MCUNet's, and what only holds a place."""

import json
from pathlib import Path
from typing import Any

import pytest

from harness.errors import FileFormatError
from harness.networks.published import PublishedNetwork
from tests.test_run import one_line, run

# MCUNet's 256kB-1MB network for ImageNet ("mcunet-in2"), published at 67.3M MACs and 0.73M
# parameters: output channels, inner channels, kernel, stride, whether it has a shortcut.
LAYERS = (
    *((8, 16, 3, 1, 0), (16, 24, 5, 2, 0), (16, 96, 7, 1, 1), (16, 80, 3, 1, 1), (16, 80, 5, 1, 1)),
    *((24, 80, 3, 2, 0), (24, 144, 7, 1, 1), (24, 144, 5, 1, 1), (40, 96, 7, 2, 0)),
    *((40, 200, 5, 1, 1), (48, 200, 3, 1, 0), (48, 240, 5, 1, 1), (48, 192, 3, 1, 1)),
    *((96, 288, 5, 2, 0), (96, 384, 5, 1, 1), (96, 288, 5, 1, 1), (96, 384, 3, 1, 1)),
    (160, 480, 5, 1, 0),
)


def mcunet_in2() -> dict[str, Any]:
    blocks, channels = [], 16
    for out, mid, kernel, stride, shortcut in LAYERS:
        ratio = 1 if mid == channels else round(mid / channels)
        layer = {"name": "MBInvertedConvLayer", "in_channels": channels, "out_channels": out}
        layer |= {"kernel_size": kernel, "stride": stride, "expand_ratio": ratio, "use_se": False}
        layer |= {"mid_channels": None if ratio == 1 else mid, "act_func": "relu6"}
        kept = {"name": "IdentityLayer"} if shortcut else None
        blocks.append({"mobile_inverted_conv": layer, "shortcut": kept})
        channels = out
    first = {"name": "ConvLayer", "in_channels": 3, "out_channels": 16, "kernel_size": 3}
    return {
        "name": "ProxylessNASNets",
        "bn": {"momentum": 0.1, "eps": 1e-5, "ws_eps": None},
        "first_conv": first | {"stride": 2, "groups": 1, "dilation": 1, "act_func": "relu6"},
        "blocks": blocks,
        "feature_mix_layer": None,
        "classifier": {"name": "LinearLayer", "in_features": 160, "out_features": 1000},
        "resolution": 160,
    }


def load(folder: Path, config: dict[str, Any]) -> PublishedNetwork:
    path = folder / "net.config"
    path.write_text(json.dumps(config))
    return PublishedNetwork.load(path, 160)


def test_mcunets_network_has_the_macs_and_parameters_that_were_published(tmp_path: Path) -> None:
    network = load(tmp_path, mcunet_in2())
    assert sum(block.macs for block in network.blocks) == 67_287_200
    assert sum(block.params for block in network.blocks) == 729_392
    module_params = sum(
        weight.numel()
        for name, weight in network.weights(None).items()
        if "running" not in name and "tracked" not in name
    )
    assert module_params == 729_392


def test_the_resolution_that_the_file_states_is_taken_and_said(tmp_path: Path) -> None:
    load(tmp_path, mcunet_in2())
    words = ("extract", str(tmp_path / "net.config"), str(tmp_path / "out.pt"))
    ended = run(tmp_path, *words)
    assert ended.returncode == 0, ended.stderr
    assert "160 pixels, which the file states, 67.29M MACs, 0.729M parameters" in ended.stdout
    assert "96 pixels, " in run(tmp_path, *words, "--resolution", "96").stdout
    for stated in (None, "160", 0, -1, [160], True, 1.5):
        load(tmp_path, mcunet_in2() | {"resolution": stated})
        assert "--resolution" in one_line(run(tmp_path, *words), 2)


def test_what_only_holds_a_place_is_no_layer(tmp_path: Path) -> None:
    wanted = load(tmp_path, mcunet_in2())
    config = mcunet_in2() | {"bn": None, "final_expand_layer": None}
    del config["feature_mix_layer"]
    config["blocks"].insert(3, {"mobile_inverted_conv": {"name": "ZeroLayer"}, "shortcut": None})
    config["blocks"].insert(3, {"mobile_inverted_conv": None, "shortcut": {"name": "ZeroLayer"}})
    config["blocks"][0]["shortcut"] = {"name": "ZeroLayer", "stride": 1}
    del config["blocks"][1]["shortcut"]
    config["blocks"][2]["conv"] = None
    assert load(tmp_path, config).blocks == wanted.blocks


def test_a_shortcut_that_is_a_zero_layer_adds_nothing(tmp_path: Path) -> None:
    config = mcunet_in2()
    config["blocks"][2]["shortcut"] = {"name": "ZeroLayer", "stride": 1}
    assert not load(tmp_path, config).blocks[3].residual


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"groups": 2}, "a convolution with groups 2"),
        ({"dilation": 2}, "a convolution with dilation 2"),
    ],
)
def test_convolutions_that_we_do_not_have_are_refused(
    tmp_path: Path, change: dict[str, int], said: str
) -> None:
    config = mcunet_in2()
    config["first_conv"] |= change
    with pytest.raises(FileFormatError, match=said):
        load(tmp_path, config)


def test_an_expansion_to_as_many_channels_is_refused(tmp_path: Path) -> None:
    """Where inner channels are as many as the input's, a block of ours has no expansion."""
    config = mcunet_in2()
    config["blocks"][0]["mobile_inverted_conv"] |= {"expand_ratio": 1.0, "mid_channels": 16}
    assert load(tmp_path, config).blocks[1].mid_channels == 16
    config["blocks"][0]["mobile_inverted_conv"] |= {"expand_ratio": 2}
    with pytest.raises(FileFormatError, match="an expansion of 16 to 16 by 2"):
        load(tmp_path, config)


def test_a_key_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    text = json.dumps(mcunet_in2())
    (tmp_path / "net.config").write_text(text[:-1] + ', "resolution": 176}')
    with pytest.raises(FileFormatError, match=r"net\.config: the key 'resolution' is there twice"):
        PublishedNetwork.load(tmp_path / "net.config", 160)
