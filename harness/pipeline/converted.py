"""Whether a user's .onnx file answers in another runtime as it does in onnxruntime."""

from contextlib import closing
from pathlib import Path

import numpy as np

from harness.errors import ConversionFailed
from harness.runtimes import onnxruntime
from harness.runtimes.model_file_session import ModelFileSession
from harness.runtimes.model_inputs.feeding import Feeding
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import Session
from harness.transports.local import LocalTransport

TOLERANCE = 1e-3  # of the largest number that onnxruntime gives


def compare_converted(session: Session, model: Path, fed: Feeding, options: RuntimeOptions) -> bool:
    """False where it cannot be compared: only answers to images in float32 are, to random ones.

    Raises:
        ConversionFailed: it gives something else.
        MissingExtra: onnxruntime is not installed.
    """
    if not (isinstance(session, ModelFileSession) and session.converts(model)):
        return True
    shapes = [feed.shape for feed in fed.feeds]
    known = len(shapes) == 1 and len(shapes[0]) == 4 and fed.feeds[0].dtype == "float32"
    if not known or shapes[0][0] != options.batch or options.precision != "float32":
        return False
    images = np.random.default_rng(0).standard_normal(shapes[0]).astype(np.float32)
    with closing(onnxruntime.open_session(LocalTransport(), options.here())) as here:
        expected = here.infer(model, images)
    found = session.infer(model, images)
    apart = np.inf
    if found.shape == expected.shape:
        apart = float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-30))
    if not apart <= TOLERANCE:
        raise ConversionFailed(
            f"{model} answers otherwise, once it is converted, than in onnxruntime (by {apart:.2g} "
            "of the largest number): nothing was timed"
        )
    return True
