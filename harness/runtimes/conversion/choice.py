"""Which way a device's .tflite files are made."""

from harness.runtimes.conversion.cache import Converter
from harness.runtimes.conversion.onnx_tf import OnnxTfConverter
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.options import RuntimeOptions


def tflite_converter(options: RuntimeOptions) -> Converter:
    if options.converter == "onnx-tf":
        return OnnxTfConverter(options.batch)
    return TfliteConverter(options.batch, options.precision, options.range_images)
