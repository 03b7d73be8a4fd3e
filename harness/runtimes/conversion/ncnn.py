"""Workloads as ncnn's two files in one: pnnx's, from a traced network."""

import io
import re
import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import ClassVar
from zipfile import ZipFile, ZipInfo

from harness import files
from harness.errors import ConversionFailed, MissingExtra
from harness.hints import install
from harness.runtimes.conversion.cache import content_path, named
from harness.runtimes.session import Workload

TIMEOUT_S = 600.0


@dataclass(frozen=True)
class NcnnConverter:
    """By pnnx: 0.4 s a block. Its files are of one image."""

    suffix: ClassVar[str] = ".ncnn"  # a zip file of model.param and model.bin
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (0.4, 1.5)

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where pnnx is not installed."""
        try:
            settings = {name: version(name) for name in ("pnnx", "torch")}
        except PackageNotFoundError as error:
            raise MissingExtra(
                f"making ncnn's files needs the package {error.name}, which is not installed: "
                f"{install('ncnn')}"
            ) from error
        return content_path(self.suffix, dict(settings), workload)

    def make(self, workload: Workload) -> bytes:
        """Raises ConversionFailed where pnnx cannot convert it."""
        import pnnx
        import torch

        from harness.networks.build import input_shape
        from harness.runtimes.conversion.source import source_of

        source = source_of(workload)
        shape = input_shape(source.blocks, 1)
        with warnings.catch_warnings(), files.scratch() as folder:
            warnings.simplefilter("ignore", category=DeprecationWarning)  # of tracing
            torch.jit.trace(source.network.eval(), torch.zeros(shape)).save(folder / "model.pt")
            ended = subprocess.run(
                [
                    pnnx.EXEC_PATH,
                    "model.pt",
                    f"inputshape={list(shape)}".replace(" ", ""),
                    "fp16=0",
                ],
                cwd=folder,
                capture_output=True,
                timeout=TIMEOUT_S,
                check=False,
            )
            made = [folder / f"model.ncnn.{part}" for part in ("param", "bin")]
            if ended.returncode or not all(path.is_file() for path in made):
                said = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
                raise ConversionFailed(f"pnnx cannot convert {named(workload)}: {''.join(said)}")
            param, weights = made
            return _packed(_with_sizes(param.read_text(), shape), weights.read_bytes())


def _with_sizes(param: str, shape: Sequence[int]) -> str:
    """The network with the sizes of its input, as ncnn's layer Input may have them."""
    _, channels, height, width = shape
    line = re.compile(r"^(Input +\S+ +0 1 \S+)$", re.MULTILINE)
    return line.sub(rf"\1 0={width} 1={height} 2={channels}", param, count=1)


def _packed(param: str, weights: bytes) -> bytes:
    content = io.BytesIO()
    with ZipFile(content, "w") as archive:  # no dates in it
        archive.writestr(ZipInfo("model.param"), param)
        archive.writestr(ZipInfo("model.bin"), weights)
    return content.getvalue()
