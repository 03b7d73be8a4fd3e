"""ExecuTorch with XNNPACK on the CPU."""

from importlib.metadata import version

import numpy
import torch
from executorch.extension.pybindings import portable_lib
from executorch.runtime import Runtime

from inputs import array_of, random_input
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
        inputs = [torch.from_numpy(array) for array in self.arrays(method, request)]
        return (program, method), lambda: method.execute(inputs)

    def arrays(self, method, request):
        """As the request tells; without a word, what the file says, random."""
        seed = request["seed"]
        if "feeds" in request:
            return [array_of(feed, seed) for feed in request["feeds"]]
        meta = method.metadata
        tensors = [meta.input_tensor_meta(number) for number in range(meta.num_inputs())]
        return [random_input(each.sizes(), DTYPES[each.dtype()], seed) for each in tensors]

    def infer(self, model, images, shape):
        pixels = numpy.frombuffer(images, dtype=numpy.float32).reshape(shape)
        (logits,) = model[1].execute([torch.from_numpy(pixels.copy())])
        return logits.numpy().tobytes()


start = ExecutorchRuntime
