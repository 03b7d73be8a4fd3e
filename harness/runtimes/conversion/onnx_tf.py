"""Workloads as .tflite files the old way, by onnx-tf: archived, and slower than litert-torch's.

It stays for those who must repeat what was measured so. Its packages go with no others, so that
they live in an environment of their own.
"""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from harness import files
from harness.errors import ConversionFailed, MissingExtra
from harness.runtimes.conversion.cache import content_path, named
from harness.runtimes.conversion.onnx import export, exporter_versions
from harness.runtimes.session import Workload

OPSET = 13  # the last that onnx-tf 1.10 knows well
VARIABLE = "HARNESS_ONNX_TF"
USUAL = Path(".tox/onnx-tf/bin/python")
WORKER = Path(__file__).with_name("onnx_tf_worker.py")
REMAKE = "make it anew by `tox -r -e onnx-tf --notest`"
TIMEOUT_S = 900.0  # a whole network takes one minute


@dataclass(frozen=True)
class OnnxTfConverter:
    """In float32. The files take images channels first, unlike those of litert-torch."""

    batch: int
    suffix: ClassVar[str] = ".tflite"
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (1.3, 4.0)

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where the environment of onnx-tf, or onnx here, is missing."""
        settings = {"route": "onnx-tf", "opset": OPSET, "batch": self.batch}
        theirs = {f"worker {name}": v for name, v in worker_versions(worker_python()).items()}
        versions = exporter_versions() | theirs
        return content_path(self.suffix, versions | settings, workload)

    def make(self, workload: Workload) -> bytes:
        """Raises ConversionFailed where onnx-tf or TensorFlow cannot do it."""
        with files.scratch() as folder:
            source, target = folder / "model.onnx", folder / "model.tflite"
            source.write_bytes(export(workload, self.batch, OPSET))
            try:
                run_worker(worker_python(), [str(WORKER), str(source), str(target)])
                return target.read_bytes()
            except (subprocess.SubprocessError, OSError) as error:
                reason = getattr(error, "stderr", None) or str(error)
                last = reason.strip().splitlines()[-1] if reason.strip() else "no message"
                raise ConversionFailed(
                    f"cannot convert {named(workload)} to .tflite by onnx-tf: {last:.300}"
                ) from error


def worker_python() -> Path:
    """The interpreter of the environment that has onnx-tf.

    Raises:
        MissingExtra: there is none.
    """
    chosen = os.environ.get(VARIABLE)
    path = Path(chosen) if chosen else USUAL
    if not path.is_file():
        raise MissingExtra(
            f"onnx-tf needs an environment of its own, and {path} is not there: make it by "
            f"`tox -e onnx-tf --notest`, or name another's python in {VARIABLE}"
        )
    return path.absolute()  # not resolved: a virtual environment's python is a link


@cache
def worker_versions(python: Path) -> dict[str, str]:
    """What decides the files, as the other environment has it.

    Raises:
        MissingExtra: it does not run, or has no onnx-tf.
    """
    try:
        versions: dict[str, str] = json.loads(run_worker(python, [str(WORKER), "--version"]))
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        raise MissingExtra(f"{python} does not run: {error}; {REMAKE}") from error
    if "onnx-tf" not in versions:
        raise MissingExtra(f"{python} has no onnx-tf; {REMAKE}")
    return versions


def run_worker(python: Path, arguments: Sequence[str]) -> str:
    """The output of a script in the other environment.

    Raises:
        SubprocessError: it failed, or took far too long.
    """
    # Isolated: neither our PYTHONPATH nor the script's folder belongs on its path.
    return subprocess.run(
        [str(python), "-I", *arguments],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
        timeout=TIMEOUT_S,
    ).stdout
