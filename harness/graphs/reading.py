"""Runtimes whose kernels are known: how a file becomes kernels, and kernels a file again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import files
from harness.errors import UsageError
from harness.graphs.by_litert import read_tflite
from harness.graphs.by_onnxruntime import read_onnx
from harness.graphs.by_openvino import read_openvino
from harness.graphs.by_torch import read_program
from harness.graphs.graph import Graph, Source
from harness.graphs.program import as_onnx
from harness.runtimes.conversion import kernel_onnx, kernel_openvino, kernel_tflite, kernel_torch
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
from harness.spaces.kernel import Kernel

SUFFIXES = (".onnx", ".pt2", ".tflite")


@dataclass(frozen=True)
class KernelRuntime:
    """What executes the kernels."""

    name: str
    suffixes: tuple[str, ...]  # of files that are read
    read: Callable[[Path, Asked], Graph]
    kernel_file: Callable[[Kernel], bytes]
    network_file: Callable[[Sequence[Kernel], Sequence[Sequence[Source]]], bytes]
    suffix: str  # of both of these


def _by(read: Callable[[Path, Asked], Graph]) -> Callable[[Path, Asked], Graph]:
    """What reads programs of torch.export, too."""

    def either(model: Path, asked: Asked) -> Graph:
        if model.suffix.lower() == ".onnx":
            return read(model, asked)
        with files.scratch() as folder:
            return read(as_onnx(model, folder), asked)

    return either


ONNXRUNTIME = KernelRuntime(
    "onnxruntime",
    (".onnx", ".pt2"),
    _by(read_onnx),
    kernel_onnx.kernel_file,
    kernel_onnx.network_file,
    ".onnx",
)
LITERT = KernelRuntime(
    "litert",
    (".tflite",),
    read_tflite,
    kernel_tflite.kernel_file,
    kernel_tflite.network_file,
    ".tflite",
)
OPENVINO = KernelRuntime(
    "openvino",
    (".onnx", ".pt2"),
    _by(read_openvino),
    kernel_openvino.kernel_file,
    kernel_openvino.network_file,
    ".openvino",
)
TORCH = KernelRuntime(
    "torch",
    (".pt2",),
    read_program,
    kernel_torch.kernel_file,
    kernel_torch.network_file,
    kernel_torch.SUFFIX,
)
KERNEL_RUNTIMES = {each.name: each for each in (ONNXRUNTIME, LITERT, OPENVINO, TORCH)}


def read_model(
    model: Path, asked: Asked = NOTHING_ASKED, runtime: KernelRuntime | None = None
) -> Graph:
    """The kernels of a model file, as the runtime executes them; as the first that reads such
    files, where none is given. A program that torch.export saved (.pt2) becomes an .onnx file.

    Raises:
        UsageError: there is no such file, or none that is read here, or sizes have to be said.
        FileFormatError: it is broken, or has control flow.
        MissingExtra: what reads it is not installed.
    """
    suffix = model.suffix.lower()
    if runtime is None:
        found = (each for each in KERNEL_RUNTIMES.values() if suffix in each.suffixes)
        runtime = next(found, ONNXRUNTIME)
    if suffix not in runtime.suffixes:
        whose = f" of {runtime.name}" if suffix in SUFFIXES else ""
        told = " and ".join(runtime.suffixes if whose else SUFFIXES)
        raise UsageError(f"{model}: {told} files are read as kernels{whose}, no others")
    if not model.is_file():
        raise UsageError(f"there is no file {model}")
    files.check_regular(model)
    return runtime.read(model, asked)
