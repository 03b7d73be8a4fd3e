"""OpenVINO on the CPU."""

import functools
import zipfile

import numpy
import openvino

from inputs import ANY_SIZE, fed
from timing import CpuRuntime


PARTS = ("model.xml", "model.bin")


class OpenvinoRuntime(CpuRuntime):
    """OpenVINO on the CPU: takes .onnx and .xml files, and .openvino files, which are
    zip files of an .xml and its .bin."""

    def __init__(self, request):
        CpuRuntime.__init__(self, request)
        self.core = openvino.Core()
        self.options = {
            "INFERENCE_NUM_THREADS": request["threads"],
            "NUM_STREAMS": 1,
            "INFERENCE_PRECISION_HINT": self.hint(request["settings"]["precision"]),
            "ENABLE_HYPER_THREADING": True,  # as many threads as were asked for
            "PERF_COUNT": False,
        }
        self.environment = {"openvino": openvino.__version__, "numpy": numpy.__version__}

    def hint(self, precision):
        """Without one it would be bfloat16 where the CPU has that."""
        if precision != "bfloat16":
            return "f32"
        if "BF16" not in self.core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ValueError("OpenVINO has no bfloat16 on this processor")
        return "bf16"

    def load(self, request):
        return self.compiled(request, self.options)

    def compiled(self, request, options):
        model = self.read(request["model"])
        arrays = fed(request, described(model))
        shapes = {given: arrays[given.any_name].shape for given in model.inputs}
        if any(given.partial_shape.is_dynamic for given in model.inputs):
            model.reshape(shapes)
        running = self.core.compile_model(model, "CPU", options).create_infer_request()
        for name, array in arrays.items():
            running.set_tensor(name, openvino.Tensor(array))
        # Results stay where OpenVINO wrote them: copying a map takes longer than many a layer.
        return running, functools.partial(running.infer, share_outputs=True)

    def inputs(self, model):
        return described(self.read(model))

    def read(self, model):
        if not model.endswith(".openvino"):
            return self.core.read_model(model)
        with zipfile.ZipFile(model) as archive:
            graph, weights = (archive.read(part) for part in PARTS)
        weights = openvino.Tensor(numpy.frombuffer(weights, numpy.uint8).copy())
        return self.core.read_model(graph, weights)

    def profile(self, run, request, runs):
        """By a network of its own, as counters take time.

        They tell the mean of all its runs, in whole us: the first is taken out, which is much
        slower.
        """
        running, run = self.compiled(request, dict(self.options, PERF_COUNT=True))
        run()
        first = self.counters(running)
        for _ in range(runs):
            run()
        found = {}  # by type, [node, ms]
        for name, (op, mean_ms) in self.counters(running).items():
            own_ms = max(0.0, (mean_ms * (runs + 1) - first[name][1]) / runs)
            found.setdefault(op, []).append([name[:1000] or "unnamed", own_ms])
        return [[op, len(told), sum(ms for _, ms in told), told] for op, told in found.items()]

    def counters(self, running):
        """Type and mean time of each node, ms."""
        return {
            node.node_name: (node.node_type, node.real_time.total_seconds() * 1e3)
            for node in running.profiling_info
            if node.status.name == "EXECUTED"
        }

    def infer(self, running, images, shape):
        pixels = numpy.frombuffer(images, dtype=numpy.float32).reshape(shape)
        other = running.get_compiled_model().create_infer_request()  # visits keep their input
        (logits,) = other.infer({0: pixels}).values()
        return logits.tobytes()


def described(model):
    return [
        [
            given.any_name,
            given.element_type.to_dtype().name,
            [size.get_length() if size.is_static else ANY_SIZE for size in given.partial_shape],
        ]
        for given in model.inputs
    ]


start = OpenvinoRuntime
