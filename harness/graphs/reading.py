"""Which reader a model file has."""

import warnings
from pathlib import Path

from harness import files
from harness.errors import FileFormatError, MissingExtra, UsageError
from harness.graphs.by_onnxruntime import read_onnx
from harness.graphs.graph import Graph
from harness.hints import install
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked

SUFFIXES = (".onnx", ".pt2")
OPSET = 17


def read_model(model: Path, asked: Asked = NOTHING_ASKED) -> Graph:
    """The kernels of a model file, as onnxruntime executes them: of an .onnx file, or of a program
    that torch.export saved (.pt2), which becomes one first.

    Raises:
        UsageError: there is no such file, or none that is read here, or sizes have to be said.
        FileFormatError: it is broken, or has control flow.
        MissingExtra: what reads it is not installed.
    """
    if model.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{model}: {' and '.join(SUFFIXES)} files are read as kernels, no others")
    if not model.is_file():
        raise UsageError(f"there is no file {model}")
    files.check_regular(model)
    if model.suffix.lower() == ".onnx":
        return read_onnx(model, asked)
    with files.scratch() as folder:
        return read_onnx(_as_onnx(model, folder), asked)


def _as_onnx(model: Path, folder: Path) -> Path:
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(
            f"reading .pt2 files needs torch, which is not installed: {install('train')}"
        ) from error
    path = folder / f"{model.stem}.onnx"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.load(model)
            given, named = program.example_inputs
            module = program.module()
            # The exporter calls it, and programs refuse.
            module.train = lambda *_: module  # type: ignore[method-assign]
            torch.onnx.export(module, given, path, kwargs=named, dynamo=False, opset_version=OPSET)
    except Exception as error:  # whatever torch raises at a file of anybody
        told = " ".join(str(error).split()) or repr(error)
        raise FileFormatError(f"torch cannot read {model} as a program: {told:.300}") from error
    return path
