"""Programs that torch.export saved, as .onnx files."""

import warnings
from pathlib import Path

from harness.errors import FileFormatError, MissingExtra
from harness.hints import install
from harness.runtimes.conversion.onnx import OPSET


def as_onnx(program: Path, folder: Path) -> Path:
    """An .onnx file of the program, in `folder`.

    Raises:
        FileFormatError: torch cannot read it.
        MissingExtra: torch is not installed.
    """
    try:
        import torch
    except ImportError as error:
        raise MissingExtra(
            f"reading .pt2 files needs torch, which is not installed: {install('train')}"
        ) from error
    path = folder / f"{program.stem}.onnx"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.export.load(program)
            given, named = loaded.example_inputs
            module = loaded.module()
            # The exporter calls it, and programs refuse.
            module.train = lambda *_: module  # type: ignore[method-assign]
            torch.onnx.export(module, given, path, kwargs=named, dynamo=False, opset_version=OPSET)
    except Exception as error:  # whatever torch raises at a file of anybody
        told = " ".join(str(error).split()) or repr(error)
        raise FileFormatError(f"torch cannot read {program} as a program: {told:.300}") from error
    return path
