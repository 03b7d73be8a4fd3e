"""Model files that runtimes take, made from blocks and network files and cached by content."""

import hashlib
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

import harness.networks
from harness import files
from harness.errors import MissingExtra
from harness.runtimes.session import Workload
from harness.spaces.block import Block

OPSET = 17
LAYERS = Path(harness.networks.__file__).with_name("layers.py")


def cache_folder() -> Path:
    """Where converted files are kept: `HARNESS_CACHE`, or the user's cache folder."""
    chosen = os.environ.get("HARNESS_CACHE")
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("harness"))


def cached(
    suffix: str, content: dict[str, Any], workload: Workload, make: Callable[[], bytes]
) -> Path:
    """The file for `workload`, made only where the cache does not have it yet.

    `content` is all else that decides what is in the file: converter, versions, batch, seed.
    """
    source: Any = (
        hashlib.sha256(workload.read_bytes()).hexdigest()
        if isinstance(workload, Path)
        else [block.key for block in workload]
    )
    key = json.dumps(content | {"workload": source}, sort_keys=True)
    path = cache_folder() / f"{hashlib.sha256(key.encode()).hexdigest()}{suffix}"
    if not path.exists():
        files.replace_atomically(path, make())
    return path


def to_onnx(workload: Workload, batch: int, seed: int) -> Path:
    """The workload as an .onnx file with a fixed batch; blocks get random weights from `seed`.

    Raises:
        MissingExtra: torch or onnx is not installed.
    """
    try:
        import onnx
        import torch
    except ImportError as error:
        raise MissingExtra(f"making ONNX files: {error}; pip install '.[onnx]'") from error
    from harness.networks.build import build_random, input_shape
    from harness.networks.file import NetworkFile

    def make() -> bytes:
        if isinstance(workload, Path):
            network_file = NetworkFile.load(workload)
            network, blocks = network_file.module(), network_file.blocks
        else:
            network, blocks = build_random(workload, seed), workload
        example = torch.zeros(input_shape(blocks, batch))
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            # The exporter without dynamo takes 0.01 s a block, the one with it 1 to 4 s.
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            torch.onnx.export(
                network,
                (example,),
                Path(folder, "model.onnx"),
                dynamo=False,
                opset_version=OPSET,
                input_names=["images"],
                output_names=["output"],
            )
            return Path(folder, "model.onnx").read_bytes()

    versions = {
        "onnx": onnx.__version__,
        "torch": torch.__version__,
        "opset": OPSET,
        "layers": hashlib.sha256(LAYERS.read_bytes()).hexdigest(),
    }
    seeds = {} if isinstance(workload, Path) else {"seed": seed}
    return cached(".onnx", versions | seeds | {"batch": batch}, workload, make)


@dataclass(frozen=True)
class RawWeights:
    """A network's weights as little-endian float32, one tensor after the other in `path`."""

    path: Path
    tensors: list[tuple[str, list[int]]]  # name and shape
    blocks: tuple[Block, ...]


def to_weights(workload: Path) -> RawWeights:
    """A network file's weights in a form that any torch reads and nothing in it can execute."""
    import torch

    from harness.networks.file import NetworkFile

    network_file = NetworkFile.load(workload)
    weights = {
        name: value.float().contiguous()
        for name, value in network_file.weights.items()
        if value.dtype.is_floating_point  # not the batch counters
    }

    def make() -> bytes:
        return torch.cat([value.flatten() for value in weights.values()]).numpy().tobytes()

    path = cached(".f32", {"format": 1}, workload, make)
    tensors = [(name, list(value.shape)) for name, value in weights.items()]
    return RawWeights(path, tensors, network_file.blocks)
