"""Workloads as .pte files: torch's own export, lowered to XNNPACK."""

import logging
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

from harness.hints import versions
from harness.runtimes.conversion.cache import content_path
from harness.runtimes.conversion.ranges import range_inputs, ranges_from
from harness.runtimes.session import Workload

if TYPE_CHECKING:
    from torch import nn


ROUTE = 2  # one more whenever other files come out of the same packages


@dataclass(frozen=True)
class ExecutorchConverter:
    """By executorch's exporter: 1 to 2 s a block."""

    batch: int
    precision: str = "float32"  # or "int8"
    images: Path | None = None  # on which the int8 ranges of network files are collected
    suffix: ClassVar[str] = ".pte"
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (1.0, 4.0)

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where executorch is not installed."""
        made_by = versions("making .pte files needs", "executorch", "executorch", "torch")
        settings: dict[str, Any] = made_by | {"batch": self.batch, "route": ROUTE}
        if self.precision == "int8":
            settings |= {"precision": "int8"} | ranges_from(workload, self.images)
        return content_path(self.suffix, settings, workload)

    def make(self, workload: Workload) -> bytes:
        import torch

        from harness.networks.build import input_shape
        from harness.runtimes.conversion.source import without_loops

        logging.getLogger("torch.utils._pytree").setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries, about themselves
            from executorch.backends.xnnpack.partition.xnnpack_partitioner import (
                XnnpackPartitioner,
            )
            from executorch.exir import to_edge_transform_and_lower
            from torch.fx.experimental.optimization import fuse

            source = without_loops(workload)
            example = torch.zeros(input_shape(source.blocks, self.batch))
            network = source.network.eval()
            if self.precision == "float32":
                # The same operators come out, in two thirds of the time: each pass has less to do.
                network = fuse(network)
            exported = torch.export.export(network, (example,))
            if self.precision == "int8":
                inputs = range_inputs(workload, source, self.batch, self.images)
                exported = torch.export.export(_in_int8(exported.module(), inputs), (example,))
            lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
            return bytes(lowered.to_executorch().buffer)


def _in_int8(network: "nn.Module", inputs: npt.NDArray[np.float32]) -> "nn.Module":
    """By XNNPACK's own quantiser; ranges from these inputs."""
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    quantiser = XNNPACKQuantizer()
    quantiser.set_global(get_symmetric_quantization_config(is_per_channel=True))
    observed = prepare_pt2e(network, quantiser)
    for batch in inputs:
        observed(torch.from_numpy(np.ascontiguousarray(batch)))
    smaller: nn.Module = convert_pt2e(observed)
    return smaller
