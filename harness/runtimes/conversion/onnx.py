"""Workloads as .onnx files."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness import files
from harness.hints import missing
from harness.runtimes.conversion.cache import content_path
from harness.runtimes.conversion.kernel_onnx import kernel_file
from harness.runtimes.session import Workload
from harness.spaces.kernel import is_kernel

OPSET = 17


@dataclass(frozen=True)
class OnnxConverter:
    """By torch's exporter without dynamo: 0.04 s a block, with it 1 to 4 s."""

    batch: int
    opset: int = OPSET  # older runtimes on boards need an older one
    suffix: ClassVar[str] = ".onnx"
    slow: ClassVar[bool] = False
    takes_s: ClassVar[tuple[float, float]] = (0.02, 0.1)

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where torch or onnx is not installed."""
        settings = exporter_versions() | {"opset": self.opset, "batch": self.batch}
        return content_path(self.suffix, settings, workload)

    def make(self, workload: Workload) -> bytes:
        """Raises Infeasible: a kernel that cannot be timed alone."""
        if is_kernel(workload):
            return kernel_file(workload[0])
        return export(workload, self.batch, self.opset)


def exporter_versions() -> dict[str, str | int]:
    """What decides the files of `export`.

    Raises:
        MissingExtra: torch or onnx is not installed.
    """
    try:
        import onnx
        import torch
    except ImportError as error:
        raise missing("making .onnx files needs", error.name, "onnx") from error
    return {"onnx": onnx.__version__, "torch": torch.__version__}


def export(workload: Workload, batch: int, opset: int) -> bytes:
    """An .onnx file that takes `images` [batch, channels, height, width]."""
    import torch

    from harness.networks.build import input_shape
    from harness.networks.layers import Translator
    from harness.runtimes.conversion.onnx_steps import translator_file
    from harness.runtimes.conversion.source import source_of

    source = source_of(workload)
    example = torch.zeros(input_shape(source.blocks, batch))
    if isinstance(source.network, Translator):
        random = not isinstance(workload, Path)
        return translator_file(source.network, example, opset, random)
    with warnings.catch_warnings(), files.scratch() as folder:
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        torch.onnx.export(
            source.network,
            (example,),
            folder / "model.onnx",
            dynamo=False,
            opset_version=opset,
            input_names=["images"],
            output_names=["output"],
        )
        return (folder / "model.onnx").read_bytes()
