"""What runs the files of a bundle: the runtime that each was made for, and a second one."""

from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from harness.errors import ConversionFailed
from harness.hints import install
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import Session
from harness.transports.local import LocalTransport

Floats = npt.NDArray[np.float32]
Infer = Callable[[Floats], Floats]
MICRO = "tflite-micro"
MICRO_HINT = f"{MICRO} is not installed: {install('micro')}"
RUNTIME_OF = {
    ".onnx": "onnxruntime",
    ".tflite": "litert",
    ".xml": "openvino",
    ".pte": "executorch",
    ".param": "ncnn",
    ".mnn": "mnn",
}
ARENA_BYTES = 2**30  # all maps of a network; what is not touched takes no memory


def opened(path: Path) -> tuple[Infer, Callable[[], None]]:
    """The runtime that a file was made for, and how it ends."""
    if path.suffix == ".pt2":
        program = torch.export.load(path).module()

        def infer(images: Floats) -> Floats:
            with torch.inference_mode():
                logits = [program(torch.from_numpy(image[None])) for image in images]
            return torch.cat(logits).numpy()

        return infer, lambda: None
    runtime = import_module(f"harness.runtimes.{RUNTIME_OF[path.suffix]}")
    session: Session = runtime.open_session(LocalTransport(), RuntimeOptions())
    return lambda images: session.infer(path, images), closing(session).__exit__


def has_micro() -> bool:
    return find_spec("tflite_micro") is not None


def in_tflite_micro(path: Path, images: Floats) -> Floats:
    """Logits of a .tflite file on TFLite Micro, the interpreter of microcontrollers.

    Raises:
        ConversionFailed: it cannot run the file.
    """
    from tflite_micro import runtime

    try:
        model = runtime.Interpreter.from_file(str(path), arena_size=ARENA_BYTES)
        given, wanted = model.get_input_details(0), model.get_output_details(0)
        found = []
        for image in images.transpose(0, 2, 3, 1)[:, None]:
            model.set_input(_as_given(image, given), 0)
            model.invoke()
            found.append(_as_floats(model.get_output(0), wanted))
    except RuntimeError as error:
        raise ConversionFailed(f"{MICRO} cannot run {path}: {error}") from error
    return np.concatenate(found)


def _as_given(image: Floats, details: dict[str, Any]) -> npt.NDArray[Any]:
    if details["dtype"] == np.float32:
        return np.ascontiguousarray(image)
    levels = np.round(image / _scale(details)) + _zero(details)
    limits = np.iinfo(details["dtype"])
    return np.ascontiguousarray(np.clip(levels, limits.min, limits.max).astype(details["dtype"]))


def _as_floats(logits: npt.NDArray[Any], details: dict[str, Any]) -> Floats:
    if details["dtype"] == np.float32:
        return np.asarray(logits)
    return ((logits.astype(np.float32) - _zero(details)) * _scale(details)).astype(np.float32)


def _scale(details: dict[str, Any]) -> float:
    return float(details["quantization_parameters"]["scales"][0])


def _zero(details: dict[str, Any]) -> int:
    return int(details["quantization_parameters"]["zero_points"][0])
