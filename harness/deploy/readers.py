"""What runs the files of a bundle: the runtime that each was made for."""

from collections.abc import Callable
from contextlib import closing
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import Session
from harness.transports.local import LocalTransport

Floats = npt.NDArray[np.float32]
Infer = Callable[[Floats], Floats]
RUNTIME_OF = {
    ".onnx": "onnxruntime",
    ".tflite": "litert",
    ".xml": "openvino",
    ".pte": "executorch",
    ".param": "ncnn",
    ".mnn": "mnn",
}


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
