"""Programs that torch.export saved, as .onnx files."""

import warnings
from pathlib import Path

from harness.errors import FileFormatError
from harness.graphs.by_torch import loaded
from harness.runtimes.conversion.onnx import OPSET


def as_onnx(program: Path, folder: Path) -> Path:
    """An .onnx file of the program, in `folder`.

    Raises:
        FileFormatError: torch cannot read it, or make a file of it.
        MissingExtra: torch is not installed.
    """
    read = loaded(program)
    import torch

    path = folder / f"{program.stem}.onnx"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            given, named = read.example_inputs
            module = read.module()
            # The exporter calls it, and programs refuse.
            module.train = lambda *_: module
            torch.onnx.export(module, given, path, kwargs=named, dynamo=False, opset_version=OPSET)
    except Exception as error:  # whatever torch raises at a program of anybody
        why = " ".join(str(error).split()) or repr(error)
        raise FileFormatError(f"torch cannot read {program} as a program: {why:.300}") from error
    return path
