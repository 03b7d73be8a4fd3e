"""MNN on the CPU."""

import MNN
import numpy
from MNN import expr, nn

from inputs import array_of, random_input
from timing import CpuRuntime

CPU = 0
DTYPES = {expr.float: "float32", expr.int: "int32", expr.int64: "int64", expr.uint8: "uint8"}


class MnnRuntime(CpuRuntime):
    """MNN in full precision: takes .mnn files."""

    def __init__(self, request):
        CpuRuntime.__init__(self, request)
        self.settings = {"backend": CPU, "precision": "high", "numThread": request["threads"]}
        self.environment = {"MNN": MNN.version(), "numpy": numpy.__version__}

    def load(self, request):
        manager = nn.create_runtime_manager((self.settings,))
        network = nn.load_module_from_file(request["model"], [], [], runtime_manager=manager)
        if network is None:
            raise ValueError("MNN cannot read the file")
        inputs = [placed(array) for array in self.arrays(network, request)]

        def run():
            for output in network.onForward(inputs):
                output.read()  # nothing is computed before it is asked for

        return (manager, network), run

    def arrays(self, network, request):
        """As the request tells; without a word, what the file says, random."""
        seed = request["seed"]
        if "feeds" in request:
            return [array_of(feed, seed) for feed in request["feeds"]]
        inputs = network.get_info()["inputs"]
        return [random_input(each.shape, DTYPES[each.dtype], seed) for each in inputs]

    def infer(self, model, images, shape):
        pixels = numpy.frombuffer(images, dtype=numpy.float32).reshape(shape)
        (logits,) = model[1].onForward([placed(pixels)])
        return logits.read().astype(numpy.float32).tobytes()


def placed(array):
    """An input as .onnx files have them: channels first."""
    kinds = {"float32": expr.float, "int32": expr.int, "int64": expr.int64, "uint8": expr.uint8}
    return expr.const(array.ravel().tolist(), list(array.shape), expr.NCHW, kinds[str(array.dtype)])


start = MnnRuntime
