"""Specialised networks as the OFA authors published them: `net.config`, and `init` with weights."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.errors import CheckpointError, FileFormatError
from harness.files import read_json
from harness.networks.build import BN_EPS, build_lively, build_random, fold_eps
from harness.networks.file import read_tensors
from harness.networks.released_names import our_name
from harness.spaces.convolution import Convolution
from harness.spaces.mobile import conv, plain
from harness.spaces.space import make_divisible

_ACTS = {"relu": "relu", "relu6": "relu6", "h_swish": "h_swish", "swish": "swish", None: "none"}


@dataclass(frozen=True)
class PublishedNetwork:
    """A network of inverted bottlenecks, with what their files say of it."""

    blocks: tuple[Convolution, ...]
    prefixes: tuple[str, ...]  # of each block's tensors, in their names; "" for pooling
    bn_eps: float

    @classmethod
    def load(cls, path: Path, resolution: int) -> "PublishedNetwork":
        """Read a `net.config` for images of `resolution` pixels (their `run.config` has it, or,
        in MCUNet's, the file itself).

        Raises:
            FileFormatError: the file is broken, or describes layers that we do not have.
        """
        content = read_json(path)
        try:
            network = _network(content, resolution)
            _check(network.blocks)
            return network
        except FileFormatError as error:
            raise FileFormatError(f"{path}: {error}") from error
        except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise FileFormatError(f"{path} is no net.config of a network: {error!r}") from error

    def weights(self, path: Path | None) -> dict[str, Tensor]:
        """Our names and their tensors, from their file (`init`); random ones where None.

        Raises:
            CheckpointError: the file is broken, or of another network.
        """
        if path is None:
            return dict(build_lively(self.blocks, seed=0).state_dict())
        network = build_random(self.blocks, seed=0)
        wanted = network.state_dict()
        lacking = {name for name in wanted if not name.endswith("num_batches_tracked")}
        for name, value in read_state(path).items():
            ours = self._our_name(name)
            if ours not in wanted or wanted[ours].shape != value.shape:
                raise CheckpointError(f"{path} is of another network: it has {name}")
            wanted[ours] = value
            lacking.discard(ours)
        if lacking:
            raise CheckpointError(
                f"{path} is of another network: nothing in it is {min(lacking)}, and "
                f"{len(lacking) - 1} more are missing"
            )
        network.load_state_dict(wanted)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eps = self.bn_eps
        fold_eps(network)
        return dict(network.state_dict())

    def _our_name(self, theirs: str) -> str | None:
        for index, (prefix, block) in enumerate(zip(self.prefixes, self.blocks, strict=True)):
            if prefix and theirs.startswith(prefix):
                name = our_name(block, theirs[len(prefix) :])
                return None if name is None else f"{index}.{name}"
        return None


def read_state(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of theirs, `{"state_dict": ...}` or bare; nothing is executed.

    Raises:
        CheckpointError: the file is missing, broken, or holds something else.
    """
    content = read_tensors(path)
    weights = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise CheckpointError(f"{path} holds no weights as the OFA authors release them")
    return {str(name).removeprefix("module."): value for name, value in weights.items()}


def _network(config: Any, resolution: int) -> PublishedNetwork:
    blocks = [_conv(config["first_conv"], resolution)]
    prefixes = ["first_conv."]
    for index, part in enumerate(config["blocks"]):
        layer = _there(part.get("conv") or part.get("mobile_inverted_conv"))
        if layer is None:
            continue
        blocks.append(_mbconv(layer, _there(part.get("shortcut")), blocks[-1]))
        prefixes.append(f"blocks.{index}.")
    for name in ("final_expand_layer", "feature_mix_layer"):
        if config.get(name) is None:
            continue
        if name == "feature_mix_layer" and config.get("final_expand_layer"):
            _pool(blocks, prefixes)
        blocks.append(_head(config[name], blocks[-1]))
        prefixes.append(f"{name}.")
    if blocks[-1].kind != "mix":
        _pool(blocks, prefixes)
    classifier = config["classifier"]
    blocks.append(plain("linear", 1, classifier["in_features"], classifier["out_features"], "none"))
    prefixes.append("classifier.")
    eps = float((config.get("bn") or {}).get("eps", BN_EPS))
    if not 0 <= eps < 1:
        raise ValueError(f"bn.eps is {eps}")
    return PublishedNetwork(tuple(blocks), tuple(prefixes), eps)


def _there(layer: dict[str, Any] | None) -> dict[str, Any] | None:
    """A layer; None of what only holds the place of one."""
    return None if layer is None or layer.get("name") == "ZeroLayer" else layer


def _check(blocks: tuple[Convolution, ...]) -> None:
    """Raises ValueError where numbers make no sense, or a block does not fit the one before."""
    for block in blocks:
        Convolution.parse(block.key)  # whole numbers and known activations
        sizes = (block.height, block.in_channels, block.out_channels, block.kernel, block.stride)
        if min(sizes) < 1:
            raise ValueError(f"a layer of {block.key}")
    for block, following in pairwise(blocks):
        if (block.out_height, block.out_channels) != (following.height, following.in_channels):
            raise ValueError(f"{following.key} behind {block.key}")


def _pool(blocks: list[Convolution], prefixes: list[str]) -> None:
    last = blocks[-1]
    blocks.append(plain("pool", last.out_height, last.out_channels, last.out_channels, "none"))
    prefixes.append("")


def _conv(layer: dict[str, Any], size: int) -> Convolution:
    for name in ("groups", "dilation"):
        if layer.get(name, 1) != 1:
            raise ValueError(f"a convolution with {name} {layer[name]}")
    return conv(
        size,
        layer["in_channels"],
        layer["out_channels"],
        layer["kernel_size"],
        layer["stride"],
        _ACTS[layer["act_func"]],
    )


def _head(layer: dict[str, Any], before: Convolution) -> Convolution:
    if not layer.get("use_bn", True):
        act = _ACTS[layer["act_func"]]
        return plain("mix", 1, layer["in_channels"], layer["out_channels"], act)
    return _conv(layer, before.out_height)


def _mbconv(
    layer: dict[str, Any], shortcut: dict[str, Any] | None, before: Convolution
) -> Convolution:
    channels, out, stride = layer["in_channels"], layer["out_channels"], layer["stride"]
    mid = layer.get("mid_channels") or round(channels * layer["expand_ratio"])
    if (mid == channels) != (layer["expand_ratio"] == 1):
        raise ValueError(f"an expansion of {channels} to {mid} by {layer['expand_ratio']}")
    plain_block = conv(before.out_height, channels, out, layer["kernel_size"], stride, "none")
    return replace(
        plain_block,
        kind="mbconv",
        mid_channels=mid,
        act=_ACTS[layer.get("act_func", "relu6")],
        se_channels=make_divisible(mid // 4, 8) if layer.get("use_se") else 0,
        residual=shortcut is not None and stride == 1 and channels == out,
    )
