"""The torch module behind a workload, for converters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import nn

from harness.errors import ConversionFailed
from harness.networks.build import build_lively
from harness.networks.file import NetworkFile, Preprocessing
from harness.runtimes.conversion.cache import named
from harness.runtimes.session import Workload, seed_of
from harness.spaces.block import Block
from harness.spaces.transformer import DECODING


@dataclass(frozen=True)
class Source:
    build: Callable[[], nn.Module]
    blocks: Sequence[Block]
    preprocessing: Preprocessing | None = None  # where it is a network file's

    @cached_property
    def network(self) -> nn.Module:
        """Built when it is asked for: much of what a conversion takes."""
        return self.build()


def source_of(workload: Workload) -> Source:
    """A network file's network, or blocks with random weights that are always the same."""
    if isinstance(workload, Path):
        network_file = NetworkFile.load(workload)
        return Source(network_file.module, network_file.blocks, network_file.preprocessing)
    return Source(lambda: build_lively(workload, seed_of(workload)), workload)


def without_loops(workload: Workload) -> Source:
    """The same, for files that hold no loops.

    Raises:
        ConversionFailed: it has a decoder, which goes on step by step.
    """
    source = source_of(workload)
    if any(block.kind in DECODING for block in source.blocks):
        raise ConversionFailed(
            f"{named(workload)}: decoders go on step by step, which torch and onnxruntime run here"
        )
    return source
