"""LiteRT, or the older tflite_runtime, on the CPU."""

import importlib
import importlib.util

import numpy

from inputs import fixed_shape, random_input
from timing import CpuRuntime


class LitertRuntime(CpuRuntime):
    """LiteRT (TensorFlow Lite) with XNNPACK: takes .tflite files, channels last."""

    def __init__(self, request):
        CpuRuntime.__init__(self, request)
        self.threads = request["threads"]
        for name in ("ai_edge_litert", "tflite_runtime"):  # a board may have only the older one
            if importlib.util.find_spec(name):
                break
        else:
            raise ImportError("neither ai_edge_litert nor tflite_runtime is installed")
        self.make = importlib.import_module(name + ".interpreter").Interpreter
        version = importlib.import_module(name).__version__
        self.environment = {name: version, "numpy": numpy.__version__}

    def load(self, request):
        model = self.make(model_path=request["model"], num_threads=self.threads)
        for given in model.get_input_details():
            shape = [int(size) for size in given["shape_signature"]]
            shape = fixed_shape(given["name"], shape, request["batch"])
            if shape != list(given["shape"]):
                model.resize_tensor_input(given["index"], shape)
        model.allocate_tensors()
        for given in model.get_input_details():
            dtype = numpy.dtype(given["dtype"]).name
            values = random_input(list(given["shape"]), dtype, request["seed"])
            model.set_tensor(given["index"], values)
        return model, model.invoke

    def infer(self, model, images, shape):
        given, wanted = model.get_input_details()[0], model.get_output_details()[0]
        pixels = numpy.frombuffer(images, dtype=numpy.float32).reshape(shape)
        if list(given["shape"]) != list(shape):  # channels last, as nearly all .tflite files are
            pixels = pixels.transpose(0, 2, 3, 1)
        if given["dtype"] != numpy.float32:
            scale, zero = given["quantization"]
            limits = numpy.iinfo(given["dtype"])
            pixels = numpy.clip(numpy.round(pixels / scale) + zero, limits.min, limits.max)
        model.set_tensor(given["index"], numpy.ascontiguousarray(pixels, dtype=given["dtype"]))
        model.invoke()
        logits = model.get_tensor(wanted["index"]).astype(numpy.float32)
        if wanted["dtype"] != numpy.float32:
            scale, zero = wanted["quantization"]
            logits = ((logits - zero) * scale).astype(numpy.float32)
        return logits.tobytes()
