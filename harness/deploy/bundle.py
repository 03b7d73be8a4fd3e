"""A network as the files that runtimes take, each loaded again and compared before it counts."""

import io
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from harness import files
from harness.errors import ConversionFailed
from harness.networks.build import input_shape
from harness.networks.file import NetworkFile
from harness.runtimes.conversion.cache import convert_all
from harness.runtimes.conversion.onnx import OnnxConverter
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.session import RuntimeOptions, Session
from harness.transports.local import LocalTransport

Floats = npt.NDArray[np.float32]
Infer = Callable[[Floats], Floats]
TOLERANCE = 1e-3  # of float logits, relative to the largest one
CHECKED = 16  # images on which outputs are compared


@dataclass(frozen=True)
class Format:
    """A kind of file."""

    name: str
    file: str
    exact: bool  # computes in float32 what torch does


FORMATS = (
    Format("pt2", "network.pt2", exact=True),
    Format("onnx", "network.onnx", exact=True),
    Format("tflite", "network.tflite", exact=True),
    Format("tflite-int8", "network-int8.tflite", exact=False),
)


@dataclass(frozen=True)
class Written:
    """One file, and how it compares with the network in torch."""

    format: str
    file: str
    size_bytes: int
    largest_difference: float  # of logits, relative to torch's largest
    same_answers: float  # share of the compared images with the same class
    accuracy: float | None  # percent; None where there are no images to tell


def write(
    format_: Format,
    network: NetworkFile,
    source: Path,
    folder: Path,
    ranges: Path | None,
    judges: tuple[Floats, npt.NDArray[np.int64]] | None,
) -> Written:
    """Make the file, load it again with its own runtime, and compare.

    `ranges`: images from which int8 ranges are collected. `judges`: prepared images and labels.

    Raises:
        MissingExtra: a converter or runtime is not installed.
        ConversionFailed: what was written does not compute what the network does.
    """
    path = folder / format_.file
    files.replace_atomically(path, _content(format_, network, source, ranges))
    checked = _images(network) if judges is None else judges[0][:CHECKED]
    with torch.inference_mode():
        expected = network.module().eval()(torch.from_numpy(checked)).numpy()
    infer, close = _opened(format_, path)
    try:
        got = infer(checked)
        accuracy = None
        if judges is not None:
            answers = infer(judges[0]).argmax(1)
            accuracy = float(np.mean(answers == judges[1]) * 100)
    finally:
        close()
    if got.shape != expected.shape or not np.isfinite(got).all():
        raise ConversionFailed(f"{path} gives {got.shape}, not {expected.shape} finite numbers")
    difference = float(np.abs(got - expected).max() / np.abs(expected).max())
    if format_.exact and difference > TOLERANCE:
        raise ConversionFailed(
            f"{path} does not compute what the network does: logits differ by {difference:.2%}"
        )
    same = float(np.mean(got.argmax(1) == expected.argmax(1)))
    return Written(format_.name, path.name, path.stat().st_size, difference, same, accuracy)


def _content(format_: Format, network: NetworkFile, source: Path, ranges: Path | None) -> bytes:
    if format_.name == "pt2":
        example = torch.zeros(input_shape(network.blocks, 1))
        program = torch.export.export(network.module().eval(), (example,))
        buffer = io.BytesIO()
        torch.export.save(program, buffer)
        return buffer.getvalue()
    if format_.name == "onnx":
        return OnnxConverter(1).make(source)
    precision = "int8" if format_.name == "tflite-int8" else "float32"
    converter = TfliteConverter(1, precision, ranges)
    convert_all(converter, [source])  # in a process of its own: it talks a lot
    return converter.path(source).read_bytes()


def _opened(format_: Format, path: Path) -> tuple[Infer, Callable[[], None]]:
    """What runs the file that was written, and how that ends."""
    if format_.name == "pt2":
        program = torch.export.load(path).module()

        def infer(images: Floats) -> Floats:
            with torch.inference_mode():
                logits = [program(torch.from_numpy(image[None])) for image in images]
            return torch.cat(logits).numpy()

        return infer, lambda: None
    runtime = import_module(
        f"harness.runtimes.{'onnxruntime' if format_.name == 'onnx' else 'litert'}"
    )
    session: Session = runtime.open_session(LocalTransport(), RuntimeOptions())
    return lambda images: session.infer(path, images), closing(session).__exit__


def _images(network: NetworkFile) -> Floats:
    """Random ones, normalised, where there are no others."""
    shape = input_shape(network.blocks, CHECKED)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
