"""Which way a device's .tflite files are made."""

from harness.runtimes.conversion import images
from harness.runtimes.conversion.cache import Converter
from harness.runtimes.conversion.onnx_tf import OnnxTfConverter
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.options import RuntimeOptions


def range_images_fact(options: RuntimeOptions) -> dict[str, str]:
    """What int8 ranges were collected on, for the record; nothing where that is random numbers."""
    if options.range_images is None or options.precision != "int8":
        return {}
    return {"range_images": images.digest(options.range_images)[:16]}


def tflite_converter(options: RuntimeOptions) -> Converter:
    if options.converter == "onnx-tf":
        return OnnxTfConverter(options.batch)
    return TfliteConverter(options.batch, options.precision, options.range_images)
