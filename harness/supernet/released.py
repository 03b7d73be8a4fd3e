"""Supernets in the format that the OFA authors released: `{"state_dict": ...}`, their names."""

from dataclasses import replace
from pathlib import Path

from harness.errors import CheckpointError
from harness.networks.published import read_state
from harness.networks.released_names import our_name
from harness.spaces.convolution import convolutions
from harness.spaces.mobile import MobileSpace
from harness.spaces.resnet import ResNetSpace
from harness.spaces.space import Space
from harness.supernet.supernet import Supernet


def load_released(path: Path, space: Space) -> Supernet:
    """The supernet in a released file, for as many classes as it has; nothing is executed.

    Raises:
        CheckpointError: the file is broken, or does not fit the space.
    """
    weights = read_state(path)
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
        (block,) = convolutions([space.block_of(place, space.largest)])
        ours = our_name(block, rest)
        if ours is not None and ours.startswith("kernel_transform."):
            return f"layers.{place}.{ours.replace('.', '.matrices.', 1)}"
        if ours is not None:
            return f"layers.{place}.largest.{ours}"
    raise CheckpointError(f"{path} does not fit {space.name}, which has nothing for {name}")
