"""Which way a device's .tflite files are made."""

from collections.abc import Iterator

from harness.runtimes.conversion import faithful
from harness.runtimes.conversion.cache import Converter
from harness.runtimes.conversion.onnx_tf import OnnxTfConverter
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.options import RuntimeOptions


def tflite_converter(options: RuntimeOptions) -> Converter:
    if options.converter == "onnx-tf":
        return OnnxTfConverter(options.batch)
    return TfliteConverter(options.batch, options.precision, options.range_images)


def tflite_steps(options: RuntimeOptions) -> Iterator[tuple[str, str]]:
    """Of `harness devices check`: whether our files are those of litert-torch."""
    if options.converter != "onnx-tf":
        yield from faithful.check()
