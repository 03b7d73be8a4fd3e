"""MNN on the CPU."""

import MNN
import numpy
from MNN import expr, nn

from inputs import ANY_SIZE, fed
from timing import CpuRuntime, wall_clock_ns

CPU = 0
DTYPES = {expr.float: "float32", expr.int: "int32", expr.int64: "int64", expr.uint8: "uint8"}


class MnnRuntime(CpuRuntime):
    """MNN in full precision: takes .mnn files."""

    def __init__(self, request):
        CpuRuntime.__init__(self, request)
        self.settings = {"backend": CPU, "precision": "high", "numThread": request["threads"]}
        self.environment = {"MNN": MNN.version(), "numpy": numpy.__version__}

    def load(self, request):
        manager, network = self.read(request["model"])
        inputs = [placed(array) for array in fed(request, described(network)).values()]

        def run():
            for output in network.onForward(inputs):
                output.read()  # nothing is computed before it is asked for

        return (manager, network), run

    def read(self, model):
        manager = nn.create_runtime_manager((self.settings,))
        try:
            network = nn.load_module_from_file(model, [], [], runtime_manager=manager)
        except SystemError as error:
            raise ValueError("MNN cannot read it: %s" % error.__cause__) from error
        return manager, network

    def inputs(self, model):
        return described(self.read(model)[1])

    def profile(self, run, request, runs):  # noqa: ARG002 - another interface's
        """By its older interface, whose session calls us around each operator: that takes time.

        Its input keeps whatever numbers it has; of the user's only the sizes are taken.
        """
        network = MNN.Interpreter(request["model"])
        session = network.createSession({"numThread": self.settings["numThread"]})
        inputs = network.getSessionInputAll(session)
        for feed in request.get("feeds") or ():
            network.resizeTensor(inputs[feed["name"]], tuple(feed["shape"]))
        network.resizeSession(session)
        spent, started = {}, []

        def before(_tensors, _operator):
            started.append(wall_clock_ns())
            return True

        def after(_tensors, operator):
            kind = operator.getType()
            count, ns = spent.get(kind, (0, 0))
            spent[kind] = count + 1, ns + wall_clock_ns() - started.pop()
            return True

        network.runSession(session)
        for _ in range(runs):
            network.runSessionWithCallBackInfo(session, before, after)
        return [[kind, count // runs, ns / runs / 1e6] for kind, (count, ns) in spent.items()]

    def infer(self, model, images, shape):
        pixels = numpy.frombuffer(images, dtype=numpy.float32).reshape(shape)
        (logits,) = model[1].onForward([placed(pixels)])
        return logits.read().astype(numpy.float32).tobytes()


def described(network):
    info = network.get_info()
    return [
        [
            name,
            DTYPES.get(each.dtype, "unknown"),
            [size if size >= 0 else ANY_SIZE for size in each.shape],
        ]
        for name, each in zip(info["inputNames"], info["inputs"])
    ]


def placed(array):
    """An input as .onnx files have them: channels first."""
    kinds = {"float32": expr.float, "int32": expr.int, "int64": expr.int64, "uint8": expr.uint8}
    return expr.const(array.ravel().tolist(), list(array.shape), expr.NCHW, kinds[str(array.dtype)])


start = MnnRuntime
