"""onnxruntime on the CPU."""

import json
import os
import tempfile

import numpy
import onnxruntime

from inputs import fed
from onnx_profile import times_of_operators
from timing import CpuRuntime


class OnnxRuntime(CpuRuntime):
    """onnxruntime on the CPU: takes .onnx files."""

    def __init__(self, request):
        CpuRuntime.__init__(self, request)
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = request["threads"]
        self.options.inter_op_num_threads = 1
        self.options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.options.log_severity_level = 3
        self.environment = {"onnxruntime": onnxruntime.__version__, "numpy": numpy.__version__}

    def load(self, request):
        session = onnxruntime.InferenceSession(
            request["model"], self.options, providers=["CPUExecutionProvider"]
        )
        inputs = [[given.name, dtype_of(given), given.shape] for given in session.get_inputs()]
        feed = fed(request, inputs)
        return session, lambda: session.run(None, feed)

    def profile(self, run, request, runs):
        """By a session of its own, as profiling cannot be switched on later."""
        with tempfile.TemporaryDirectory() as folder:
            self.options.enable_profiling = True
            self.options.profile_file_prefix = os.path.join(folder, "ops")
            try:
                session, run = self.load(request)
            finally:
                self.options.enable_profiling = False
            for _ in range(runs):
                run()
            with open(session.end_profiling()) as file:
                events = json.load(file)
        return times_of_operators(events)

    def infer(self, session, images, shape):
        given = session.get_inputs()[0]
        pixels = numpy.frombuffer(images, dtype=numpy.float32).reshape(shape)
        return session.run(None, {given.name: pixels})[0].tobytes()


def dtype_of(given):
    """As numpy calls it: float32 of `tensor(float)`."""
    name = given.type[len("tensor(") : -1]
    return {"float": "float32", "double": "float64"}.get(name, name)


start = OnnxRuntime
