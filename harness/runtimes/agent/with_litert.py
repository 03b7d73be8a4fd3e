"""LiteRT, or the older tflite_runtime, on the CPU."""

import importlib
import importlib.util

import numpy

from inputs import fed
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
        if request.get("signature") is not None:
            return model, self.graph(model, request)
        arrays = self.arrays(model.get_input_details(), request)
        for index, values in arrays.items():
            model.resize_tensor_input(index, values.shape)
        model.allocate_tensors()
        for index, values in arrays.items():
            model.set_tensor(index, values)
        return model, model.invoke

    def graph(self, model, request):
        """A run of one of several graphs; in public no other than the first runs without copies."""
        model.allocate_tensors()  # which gives delegates to all graphs
        runner = model.get_signature_runner(request["signature"])
        arrays = self.arrays(runner.get_input_details().values(), request)
        inner, number = model._interpreter, runner._subgraph_index
        for index, values in arrays.items():
            inner.ResizeInputTensor(index, numpy.array(values.shape, numpy.int32), False, number)
        inner.AllocateTensors(number)
        for index, values in arrays.items():
            inner.SetTensor(index, values, number)
        return lambda: inner.Invoke(number)

    def arrays(self, details, request):
        """By the number of the input; as the request tells, or images for a file of ours."""
        details = list(details)
        images = [
            [each["name"], numpy.dtype(each["dtype"]).name, each["shape"]] for each in details
        ]
        arrays = fed(request, images)
        return {each["index"]: arrays[each["name"]] for each in details}

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


start = LitertRuntime
