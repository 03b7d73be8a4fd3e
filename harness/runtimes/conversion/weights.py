"""A network file's weights in a form that any torch reads and nothing in it can execute."""

from dataclasses import dataclass
from pathlib import Path

from harness.runtimes.conversion.cache import content_path, is_whole, keep
from harness.spaces.block import Block


@dataclass(frozen=True)
class RawWeights:
    """Little-endian float32, one tensor after the other in `path`."""

    path: Path
    tensors: list[tuple[str, list[int]]]  # name and shape
    blocks: tuple[Block, ...]


def to_weights(workload: Path) -> RawWeights:
    import torch

    from harness.networks.file import NetworkFile

    network_file = NetworkFile.load(workload)
    weights = {
        name: value.float().contiguous()
        for name, value in network_file.weights.items()
        if value.dtype.is_floating_point  # not the batch counters
    }
    path = content_path(".f32", {"format": 1}, workload)
    if not is_whole(path):
        flat = torch.cat([value.flatten() for value in weights.values()])
        keep(path, flat.numpy().tobytes())
    tensors = [(name, list(value.shape)) for name, value in weights.items()]
    return RawWeights(path, tensors, network_file.blocks)
