"""The kinds of files that a network can be exported as."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

from harness import files
from harness.hints import missing
from harness.networks.build import input_shape
from harness.networks.file import NetworkFile
from harness.runtimes.conversion.cache import Converter, convert_all
from harness.runtimes.conversion.executorch import ExecutorchConverter
from harness.runtimes.conversion.mnn import MnnConverter
from harness.runtimes.conversion.ncnn import PARTS, NcnnConverter
from harness.runtimes.conversion.onnx import OnnxConverter
from harness.runtimes.conversion.tflite import TfliteConverter

INT8 = "tflite-int8"
Contents = Callable[[NetworkFile, Path, Path | None], tuple[bytes, ...]]
"""Of a network, its file, and images from which int8 ranges are collected."""


@dataclass(frozen=True)
class Format:
    """A kind of file, some with a second file for the weights."""

    name: str
    contents: Contents
    files: tuple[str, ...]
    unasked: bool = True
    """Whether it is written where nobody says which."""
    loops: bool = False
    """Whether it holds decoders, which go on step by step."""

    @property
    def file(self) -> str:
        return self.files[0]


def _pt2(network: NetworkFile, _source: Path, _ranges: Path | None) -> tuple[bytes, ...]:
    import torch

    example = torch.zeros(input_shape(network.blocks, 1))
    program = torch.export.export(network.module().eval(), (example,))
    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return (buffer.getvalue(),)


def _tflite_int8(_network: NetworkFile, source: Path, ranges: Path | None) -> tuple[bytes, ...]:
    content = _converted(TfliteConverter(1, "int8", ranges), source)
    from harness.runtimes.conversion.self_contained import without_names

    return (without_names(content),)  # for chips on which they would not fit


def _openvino(_network: NetworkFile, source: Path, _ranges: Path | None) -> tuple[bytes, ...]:
    if find_spec("openvino") is None:
        raise missing("making .xml files needs", "openvino", "openvino")
    import openvino

    with files.scratch() as folder:
        (folder / "model.onnx").write_bytes(OnnxConverter(1).make(source))
        model = openvino.Core().read_model(folder / "model.onnx")
        openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
        return tuple((folder / f"model.{part}").read_bytes() for part in ("xml", "bin"))


def _ncnn(_network: NetworkFile, source: Path, _ranges: Path | None) -> tuple[bytes, ...]:
    with ZipFile(io.BytesIO(_converted(NcnnConverter(), source))) as both:
        return tuple(both.read(part) for part in PARTS)


def _converted(converter: Converter, source: Path) -> bytes:
    """In a process of its own: converters talk a lot."""
    convert_all(converter, [source])
    return converter.path(source).read_bytes()


def _by(converter: Converter) -> Contents:
    return lambda _network, source, _ranges: (_converted(converter, source),)


def _onnx(_network: NetworkFile, source: Path, _ranges: Path | None) -> tuple[bytes, ...]:
    return (OnnxConverter(1).make(source),)


FORMATS = (
    Format("pt2", _pt2, ("network.pt2",), loops=True),
    Format("onnx", _onnx, ("network.onnx",), loops=True),
    Format("tflite", _by(TfliteConverter(1, "float32")), ("network.tflite",)),
    Format(INT8, _tflite_int8, ("network-int8.tflite",)),
    Format("openvino", _openvino, ("network-openvino.xml", "network-openvino.bin"), unasked=False),
    Format("executorch", _by(ExecutorchConverter(1)), ("network.pte",), unasked=False),
    Format("ncnn", _ncnn, ("network-ncnn.param", "network-ncnn.bin"), unasked=False),
    Format("mnn", _by(MnnConverter(1)), ("network.mnn",), unasked=False),
)
