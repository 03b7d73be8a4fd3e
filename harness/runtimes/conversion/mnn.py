"""Workloads as .mnn files: MNN's own converter, from .onnx."""

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from harness import files
from harness.errors import ConversionFailed
from harness.hints import versions
from harness.runtimes.conversion.cache import content_path, named
from harness.runtimes.conversion.of_onnx import Shapes, is_onnx, with_sizes
from harness.runtimes.conversion.onnx import OPSET, export, exporter_versions
from harness.runtimes.session import Workload

# The converter itself. The package's command `mnnconvert` installs others' packages by pip while
# it runs, and reports to a server what was converted.
CONVERT = "import sys, MNN, _tools; _tools.mnnconvert(sys.argv)"
TIMEOUT_S = 600.0


@dataclass(frozen=True)
class MnnConverter:
    """By torch's exporter and MNN's converter: 0.14 s a block."""

    batch: int
    shapes: Shapes = ()  # of a user's .onnx file
    suffix: ClassVar[str] = ".mnn"
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (0.15, 0.5)

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where MNN, torch or onnx is not installed."""
        settings: dict[str, Any] = exporter_versions()
        settings |= versions("making .mnn files needs", "mnn", "MNN")
        settings |= {"shapes": self.shapes} if is_onnx(workload) else {"batch": self.batch}
        return content_path(self.suffix, settings, workload)

    def make(self, workload: Workload) -> bytes:
        """Raises ConversionFailed where MNN cannot convert it."""
        with files.scratch() as folder:
            model, output = folder / "model.onnx", folder / "model.mnn"
            model.write_bytes(
                with_sizes(workload, dict(self.shapes))
                if is_onnx(workload)
                else export(workload, self.batch, OPSET)
            )
            words = ["-f", "ONNX", "--modelFile", str(model), "--MNNModel", str(output)]
            ended = subprocess.run(
                [sys.executable, "-P", "-c", CONVERT, *words, "--bizCode", "harness"],
                cwd=folder,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            if not output.is_file():
                raise ConversionFailed(f"MNN cannot convert {named(workload)}: {_why(ended)}")
            return output.read_bytes()


def _why(ended: "subprocess.CompletedProcess[bytes]") -> str:
    """The last lines that speak of an error, on either stream."""
    lines = (ended.stdout + b"\n" + ended.stderr).decode(errors="replace").splitlines()
    errors = [
        line.strip() for line in lines if re.search("error|fail|not support", line, re.IGNORECASE)
    ]
    return " | ".join(errors[-3:])[:500] or f"it ended with status {ended.returncode}"
