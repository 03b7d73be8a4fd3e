"""Workloads as ncnn's two files in one: pnnx's, from a traced network."""

import re
import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness import files
from harness.errors import ConversionFailed
from harness.hints import versions
from harness.runtimes.conversion.cache import content_path, named
from harness.runtimes.conversion.of_onnx import Shapes, is_onnx, with_sizes
from harness.runtimes.conversion.packed import packed
from harness.runtimes.session import Workload

TIMEOUT_S = 600.0
PARTS = ("model.param", "model.bin")


@dataclass(frozen=True)
class NcnnConverter:
    """By pnnx: 0.4 s a block. Its files are of one image."""

    shapes: Shapes = ()  # of a user's .onnx file
    suffix: ClassVar[str] = ".ncnn"  # a zip file of model.param and model.bin
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (0.4, 1.5)

    def path(self, workload: Workload) -> Path:
        """Raises MissingExtra where pnnx is not installed."""
        made_by = versions("making ncnn's files needs", "ncnn", "pnnx", "torch")
        shapes = {"shapes": self.shapes} if is_onnx(workload) else {}
        return content_path(self.suffix, made_by | shapes, workload)

    def make(self, workload: Workload) -> bytes:
        """Raises ConversionFailed where pnnx cannot convert it."""
        with files.scratch() as folder:
            if is_onnx(workload):
                model = folder / "model.onnx"
                model.write_bytes(with_sizes(workload, dict(self.shapes)))
                shapes = [shape for _, shape in self.shapes]
            else:
                model = folder / "model.pt"
                shapes = [_trace(workload, model)]
            param, weights = _made(model, shapes, named(workload))
            told = _with_sizes(param.read_text(), shapes).encode()
            return packed(dict(zip(PARTS, (told, weights.read_bytes()), strict=True)))


def _trace(workload: Workload, path: Path) -> tuple[int, ...]:
    """Write a traced network; the shape of its input."""
    import torch

    from harness.networks.build import input_shape
    from harness.runtimes.conversion.source import without_loops

    source = without_loops(workload)
    shape = input_shape(source.blocks, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", category=DeprecationWarning)  # of tracing
        torch.jit.trace(source.network.eval(), torch.zeros(shape)).save(path)
    return tuple(shape)


def _made(model: Path, shapes: Sequence[Sequence[int]], name: str) -> list[Path]:
    """The two files that pnnx makes of one that people know by `name`."""
    import pnnx

    sizes = ",".join(f"[{','.join(map(str, shape))}]" for shape in shapes)
    ended = subprocess.run(
        [pnnx.EXEC_PATH, model.name, *([f"inputshape={sizes}"] if sizes else []), "fp16=0"],
        cwd=model.parent,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    made = [model.with_name(f"model.ncnn.{part}") for part in ("param", "bin")]
    if ended.returncode or not all(path.is_file() for path in made):
        last_line = ended.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ConversionFailed(f"pnnx cannot convert {name}: {''.join(last_line)}")
    return made


def _with_sizes(param: str, shapes: Sequence[Sequence[int]]) -> str:
    """The network with the sizes of its inputs, as ncnn's layer Input may have them."""
    line = re.compile(r"^(Input +\S+ +0 1 \S+)$", re.MULTILINE)
    left = iter(shapes)

    def told(found: re.Match[str]) -> str:
        sizes = reversed(next(left)[1:])  # of one image: width, height, channels
        return " ".join([found[1], *(f"{key}={size}" for key, size in enumerate(sizes))])

    return line.sub(told, param)
