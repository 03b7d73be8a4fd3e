"""Workloads as files that OpenVINO reads: .onnx files, or in 8 bits, by its own quantiser nncf, as
its two files in one."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from harness import files
from harness.hints import versions
from harness.runtimes.conversion.cache import content_path
from harness.runtimes.conversion.kernel_openvino import PARTS, kernel_file
from harness.runtimes.conversion.onnx import OPSET, OnnxConverter, export, exporter_versions
from harness.runtimes.conversion.packed import packed
from harness.runtimes.conversion.ranges import range_inputs, ranges_from
from harness.runtimes.session import Workload
from harness.spaces.kernel import is_kernel

SUFFIX = ".openvino"  # of a zip file of PARTS


@dataclass(frozen=True)
class FloatConverter:
    """Networks as .onnx files, kernels of OpenVINO's as its own."""

    batch: int
    slow: ClassVar[bool] = OnnxConverter.slow
    takes_s: ClassVar[tuple[float, float]] = OnnxConverter.takes_s

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where torch or onnx is not installed."""
        if is_kernel(workload):
            return content_path(SUFFIX, {}, workload)
        return OnnxConverter(self.batch).path(workload)

    def make(self, workload: Workload) -> bytes:
        """Raises Infeasible: a kernel that cannot be timed alone."""
        if is_kernel(workload):
            return kernel_file(workload[0])
        return OnnxConverter(self.batch).make(workload)


@dataclass(frozen=True)
class OpenvinoConverter:
    """By torch's exporter to ONNX, and nncf: weights and activations in 8 bits."""

    batch: int
    images: Path | None = None  # on which the int8 ranges of network files are collected
    suffix: ClassVar[str] = SUFFIX
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (1.3, 4.0)

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where OpenVINO, nncf, torch or onnx is not installed."""
        settings: dict[str, Any] = exporter_versions()
        needing = "making int8 files for OpenVINO needs"
        settings |= versions(needing, "openvino", "openvino", "nncf")
        settings |= {"batch": self.batch} | ranges_from(workload, self.images)
        return content_path(self.suffix, settings, workload)

    def make(self, workload: Workload) -> bytes:
        os.environ["NNCF_CI"] = "1"  # else it reports to a server what is done with it
        import nncf
        import openvino

        from harness.runtimes.conversion.source import source_of

        inputs = range_inputs(workload, source_of(workload), self.batch, self.images)
        with files.scratch() as folder:
            (folder / "model.onnx").write_bytes(export(workload, self.batch, OPSET))
            model = openvino.Core().read_model(folder / "model.onnx")
            smaller = nncf.quantize(model, nncf.Dataset(list(inputs)), subset_size=len(inputs))
            openvino.save_model(smaller, folder / PARTS[0], compress_to_fp16=False)
            return packed({part: (folder / part).read_bytes() for part in PARTS})
