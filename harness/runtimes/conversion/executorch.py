"""Workloads as .pte files: torch's own export, lowered to XNNPACK."""

import logging
import warnings
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar

from harness.errors import MissingExtra
from harness.hints import install
from harness.runtimes.conversion.cache import content_path
from harness.runtimes.session import Workload


@dataclass(frozen=True)
class ExecutorchConverter:
    """By executorch's exporter: 1 to 2 s a block."""

    batch: int
    suffix: ClassVar[str] = ".pte"
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (1.5, 5.0)

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where executorch is not installed."""
        try:
            settings = {name: version(name) for name in ("executorch", "torch")}
        except PackageNotFoundError as error:
            raise MissingExtra(
                f"making .pte files needs the package {error.name}, which is not installed: "
                f"{install('executorch')}"
            ) from error
        return content_path(self.suffix, settings | {"batch": self.batch}, workload)

    def make(self, workload: Workload) -> bytes:
        import torch

        from harness.networks.build import input_shape
        from harness.runtimes.conversion.source import source_of

        logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, about themselves
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
                XnnpackPartitioner,
            )
            from executorch.exir import to_edge_transform_and_lower

            source = source_of(workload)
            example = torch.zeros(input_shape(source.blocks, self.batch))
            exported = torch.export.export(source.network.eval(), (example,))
            lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
            return bytes(lowered.to_executorch().buffer)
