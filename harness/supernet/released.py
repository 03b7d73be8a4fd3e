"""Supernets in the format that the OFA authors released: `{"state_dict": ...}`, their names."""

import re
import warnings
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from harness.errors import CheckpointError
from harness.networks.file import UNREADABLE
from harness.spaces.mobile import MobileSpace
from harness.spaces.resnet import ResNetSpace
from harness.spaces.space import Space
from harness.supernet.supernet import Supernet

# Names within a layer: theirs, with what newer and older releases wrap around left out, and ours.
_CONV = r"(?:conv\.)*weight"
_NORM = r"(?:conv\.)?(?:bn\.)+(\w+)"
_PARTS = {
    "conv": [(_CONV, r"0.weight"), (_NORM, r"1.\1")],
    "mix": [(_CONV, r"0.weight")],
    "linear": [(r"(?:linear\.)+(\w+)", r"1.\1")],
    "mbconv": [
        (rf"(?:mobile_inverted_)?conv\.{theirs}\.{name}", rf"{ours}.{target}")
        for theirs, ours in (
            ("inverted_bottleneck", "expand"),
            ("depth_conv", "depthwise"),
            ("point_linear", "project"),
        )
        for name, target in ((_CONV, "0.weight"), (_NORM, r"1.\1"))
    ]
    + [(r"(?:mobile_inverted_)?conv\.depth_conv\.se\.fc\.(.+)", r"se.\1")],
    "bottleneck": [
        (rf"{theirs}\.{name}", rf"{ours}.{target}")
        for theirs, ours in (
            ("conv1", "reduce"),
            ("conv2", "conv"),
            ("conv3", "expand"),
            ("downsample", "shortcut"),
        )
        for name, target in ((_CONV, "0.weight"), (_NORM, r"1.\1"))
    ],
}
_MATRIX = re.compile(r"(?:mobile_inverted_)?conv\.depth_conv\.conv\.(\d+to\d+)_matrix")


def load_released(path: Path, space: Space) -> Supernet:
    """The supernet in a released file, for as many classes as it has; nothing is executed.

    Raises:
        CheckpointError: the file is broken, or does not fit the space.
    """
    weights = _read(path)
    classes = next((len(v) for name, v in weights.items() if name.startswith("classifier.")), 0)
    if not classes:
        raise CheckpointError(f"{path} is no supernet that the OFA authors released: no classifier")
    supernet = Supernet(replace(space, classes=classes))  # type: ignore[type-var]
    prefixes = _prefixes(supernet.space)
    state = {}
    for name, value in weights.items():
        state[_our_name(supernet.space, prefixes, name, path)] = value
    wanted = supernet.state_dict()
    for name, tensor in wanted.items():
        if name.endswith("num_batches_tracked"):
            state.setdefault(name, tensor)
    problems = [f"lacks {name}" for name in wanted.keys() - state.keys()]
    problems += [
        f"{name} is {list(value.shape)} instead of {list(wanted[name].shape)}"
        for name, value in state.items()
        if value.shape != wanted[name].shape
    ]
    if problems:
        raise CheckpointError(
            f"{path} does not fit {space.name}: it {min(problems)} and "
            f"{len(problems) - 1} more like that; another width?"
        )
    supernet.load_state_dict(state)
    return supernet.eval()


def _read(path: Path) -> dict[str, Tensor]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about foreign pickles, which are refused anyway
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from error
    except UNREADABLE as error:
        raise CheckpointError(
            f"cannot read {path}: it is broken, or holds more than tensors and plain values"
        ) from error
    weights = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(weights, dict) or not all(isinstance(v, Tensor) for v in weights.values()):
        raise CheckpointError(f"{path} is no supernet that the OFA authors released")
    return {str(name).removeprefix("module."): value for name, value in weights.items()}


def _prefixes(space: Space) -> dict[str, int]:
    """The place of each of their layers."""
    last = len(space.places) - 1
    if isinstance(space, ResNetSpace):
        stem = {f"input_stem.{i}.": i for i in range(3)}
        blocks = {f"blocks.{i}.": 4 + i for i in range(len(space.slots))}
        return stem | blocks | {"classifier.": last}
    if not isinstance(space, MobileSpace) or space.first_block is None:
        raise CheckpointError(f"the OFA authors released no supernets like {space.name}")
    blocks = {f"blocks.{i}.": 1 + i for i in range(1 + len(space.slots))}
    head = len(space.slots) + 2
    mixes = {"final_expand_layer.": head, "feature_mix_layer.": head + 2}
    if not space.mix_width:
        mixes = {"feature_mix_layer.": head}
    return {"first_conv.": 0} | blocks | mixes | {"classifier.": last}


def _our_name(space: Space, prefixes: dict[str, int], name: str, path: Path) -> str:
    """What we call a tensor of theirs."""
    prefix = next((prefix for prefix in prefixes if name.startswith(prefix)), None)
    if prefix is not None:
        place, rest = prefixes[prefix], name[len(prefix) :]
        block = space.block_of(place, space.largest)
        matrix = _MATRIX.fullmatch(rest)
        if matrix:
            return f"layers.{place}.kernel_transform.matrices.{matrix[1]}"
        inner = "layer." if block.kind == "conv" and block.residual else ""
        for theirs, ours in _PARTS[block.kind]:
            match = re.fullmatch(theirs, rest)
            if match:
                return f"layers.{place}.largest.{inner}{match.expand(ours)}"
    raise CheckpointError(f"{path} does not fit {space.name}, which has nothing for {name}")
