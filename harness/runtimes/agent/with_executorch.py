"""ExecuTorch with XNNPACK on the CPU."""

from importlib.metadata import version

import numpy
import torch
from executorch.extension.pybindings import portable_lib
from executorch.runtime import Runtime

from inputs import fed
from timing import CpuRuntime

DTYPES = {1: "int8", 3: "int32", 4: "int64", 5: "float16", 6: "float32", 7: "float64", 11: "bool"}


class ExecutorchRuntime(CpuRuntime):
    """ExecuTorch with what its package was built for: takes .pte files."""

    def __init__(self, request):
        CpuRuntime.__init__(self, request)
        torch.set_num_threads(request["threads"])
        portable_lib._unsafe_reset_threadpool(request["threads"])  # safe before the first program
        self.runtime = Runtime.get()
        self.environment = {"executorch": version("executorch"), "torch": torch.__version__}

    def load(self, request):
        program = self.runtime.load_program(request["model"])
        method = program.load_method("forward")
        arrays = fed(request, described(method))
        inputs = [torch.from_numpy(array) for array in arrays.values()]
        return (program, method), lambda: method.execute(inputs)

    def inputs(self, model):
        return described(self.runtime.load_program(model).load_method("forward"))

    def infer(self, model, images, shape):
        pixels = numpy.frombuffer(images, dtype=numpy.float32).reshape(shape)
        (logits,) = model[1].execute([torch.from_numpy(pixels.copy())])
        return logits.numpy().tobytes()


def described(method):
    """The file has no names for them."""
    meta = method.metadata
    tensors = [meta.input_tensor_meta(number) for number in range(meta.num_inputs())]
    return [
        ["input%d" % number, DTYPES.get(each.dtype(), "unknown"), list(each.sizes())]
        for number, each in enumerate(tensors)
    ]


start = ExecutorchRuntime
