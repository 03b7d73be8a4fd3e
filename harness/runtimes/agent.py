"""The resident agent: loads, times and runs networks on the device it was started on.

One JSON object a line on standard input, one answer a line on standard output; the end of input
ends it. It imports nothing of the project, needs only the standard library and the runtime that
it is asked for, and runs on Python 3.6. Operations:

open    {runtime, threads, cpus, layers}     -> {environment}
load    {id, blocks | model, weights, batch, seed}           -> {run_ns}
visit   {id, warmup, runs}                   -> {at_ns, wall_ns, thread_ns}
infer   {id, images (base64 float32), batches, shape of a batch} -> {logits (base64 float32)}
unload  {id}
conditions {}                                -> {load_1m, other_cpus, frequency_mhz, ...}
"""

import base64
import gc
import importlib
import importlib.util
import json
import os
import platform
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
# A script's folder comes first on the path, and ours holds files named like the runtimes.
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != HERE]

if sys.version_info >= (3, 7):
    wall_clock_ns, thread_clock_ns = time.perf_counter_ns, time.thread_time_ns
else:

    def wall_clock_ns():
        return int(time.perf_counter() * 1e9)

    def thread_clock_ns():
        return int(time.clock_gettime(3) * 1e9)  # CLOCK_THREAD_CPUTIME_ID


class TorchRuntime(object):
    """torch eager: blocks and networks are built here from their specifications."""

    def __init__(self, request):
        import torch

        self.torch = torch
        torch.set_num_threads(request["threads"])
        torch.set_grad_enabled(False)
        spec = importlib.util.spec_from_file_location("layers", request["layers"])
        self.layers = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(self.layers)
        self.environment = {"torch": torch.__version__}

    def load(self, request):
        torch = self.torch
        torch.manual_seed(request["seed"])
        network = self.layers.make_network(request["blocks"]).eval()
        if request.get("weights"):
            state = self._read_weights(request["weights"])
            # torch < 2 may want the counter of batches, which evaluation does not use
            missing = network.load_state_dict(state, strict=False).missing_keys
            missing = [name for name in missing if not name.endswith("num_batches_tracked")]
            if missing:
                raise ValueError("weights lack " + ", ".join(missing))
        first = request["blocks"][0]
        shape = (request["batch"], first["in_channels"], first["height"], first["width"])
        images = torch.randn(shape)
        return network, lambda: network(images)

    def _read_weights(self, weights):
        with open(weights["path"], "rb") as file:
            flat = self.torch.frombuffer(bytearray(file.read()), dtype=self.torch.float32)
        state, start = {}, 0
        for name, shape in weights["tensors"]:
            count = 1
            for size in shape:
                count *= size
            state[name] = flat[start : start + count].view(shape)
            start += count
        return state

    def infer(self, network, images, shape):
        flat = self.torch.frombuffer(bytearray(images), dtype=self.torch.float32)
        return network(flat.view(shape)).contiguous().numpy().tobytes()


class OnnxRuntime(object):
    """onnxruntime on the CPU: takes .onnx files."""

    def __init__(self, request):
        import numpy
        import onnxruntime

        self.numpy = numpy
        self.onnxruntime = onnxruntime
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = request["threads"]
        self.options.inter_op_num_threads = 1
        self.options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.options.log_severity_level = 3
        self.environment = {"onnxruntime": onnxruntime.__version__, "numpy": numpy.__version__}

    def load(self, request):
        session = self.onnxruntime.InferenceSession(
            request["model"], self.options, providers=["CPUExecutionProvider"]
        )
        feed = {}
        for given in session.get_inputs():
            shape = fixed_shape(given.name, given.shape, request["batch"])
            dtype = given.type[len("tensor(") : -1]
            dtype = {"float": "float32", "double": "float64"}.get(dtype, dtype)
            feed[given.name] = random_input(self.numpy, shape, dtype, request["seed"])
        return session, lambda: session.run(None, feed)

    def infer(self, session, images, shape):
        given = session.get_inputs()[0]
        pixels = self.numpy.frombuffer(images, dtype=self.numpy.float32).reshape(shape)
        return session.run(None, {given.name: pixels})[0].tobytes()


class LitertRuntime(object):
    """LiteRT (TensorFlow Lite) with XNNPACK: takes .tflite files, channels last."""

    def __init__(self, request):
        import numpy

        self.numpy = numpy
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
            dtype = self.numpy.dtype(given["dtype"]).name
            values = random_input(self.numpy, list(given["shape"]), dtype, request["seed"])
            model.set_tensor(given["index"], values)
        return model, model.invoke

    def infer(self, model, images, shape):
        numpy = self.numpy
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


def fixed_shape(name, shape, batch):
    """The input's shape; an open first size is the batch, other open sizes cannot be guessed."""
    sizes = [size if isinstance(size, int) and size > 0 else None for size in shape]
    if sizes and sizes[0] is None:
        sizes[0] = batch
    if None in sizes:
        raise ValueError(
            "input %r has no fixed shape: %s; export the model with fixed sizes" % (name, shape)
        )
    return sizes


def random_input(numpy, shape, dtype, seed):
    """Normal numbers, any 8-bit ones; zeros for longer integers, which may be indices."""
    random = numpy.random.RandomState(seed)
    if dtype in ("float16", "float32", "float64"):
        return numpy.asarray(random.randn(*shape), dtype=dtype)
    if dtype in ("int8", "uint8"):
        return random.randint(0, 256, shape).astype("uint8").view(dtype)
    return numpy.zeros(shape, dtype=dtype)


def read_line(path, start=""):
    """The first line of a file of /proc or /sys that begins with `start`; None without one."""
    try:
        with open(path) as file:
            for line in file:
                if line.startswith(start):
                    return line.strip()
    except (OSError, UnicodeDecodeError):
        pass
    return None


def read_number(path, divisor, start=""):
    line = read_line(path, start)
    words = [word for word in (line or "").split() if word.lstrip("-").replace(".", "").isdigit()]
    return float(words[0]) / divisor if words else None


def processor():
    """The processor's name as the system gives it."""
    line = read_line("/proc/cpuinfo", "model name") or read_line("/proc/cpuinfo", "Model")
    name = line.split(":", 1)[1].strip() if line else platform.processor() or "unknown processor"
    return "%s, %s, %s processors" % (name, platform.machine(), os.cpu_count())


RUNTIMES = {"torch": TorchRuntime, "onnxruntime": OnnxRuntime, "litert": LitertRuntime}


class Agent(object):
    """What is open and loaded, and an answer to each request."""

    def __init__(self):
        self.runtime = None
        self.one_thread = True
        self.loaded = {}
        self.spent = processor_seconds()

    def open(self, request):
        pin(request["cpus"])
        self.one_thread = request["threads"] == 1
        self.runtime = RUNTIMES[request["runtime"]](request)
        gc.collect()
        gc.disable()
        environment = {"python": platform.python_version(), "os": platform.platform()}
        if hasattr(os, "sched_getaffinity"):
            environment["processors"] = str(sorted(os.sched_getaffinity(0)))
        environment["processor"] = processor()
        environment.update(self.runtime.environment)
        return {"environment": environment}

    def load(self, request):
        model, run = self.runtime.load(request)
        self.loaded[request["id"]] = model, run
        return {"run_ns": warm_up(run)}

    def visit(self, request):
        run = self.loaded[request["id"]][1]
        for _ in range(request["warmup"]):
            run()
        at = time.time()
        walls, threads = [], []
        for _ in range(request["runs"]):
            wall, thread = wall_clock_ns(), thread_clock_ns()
            run()
            threads.append(thread_clock_ns() - thread)
            walls.append(wall_clock_ns() - wall)
        # With more threads the caller's CPU time is not that of the work.
        thread_ns = threads if self.one_thread else None
        return {"at_ns": int(at * 1e9), "wall_ns": walls, "thread_ns": thread_ns}

    def infer(self, request):
        model = self.loaded[request["id"]][0]
        images = base64.b64decode(request["images"])
        size = len(images) // request["batches"]
        logits = [
            self.runtime.infer(model, images[start : start + size], request["shape"])
            for start in range(0, len(images), size)
        ]
        return {"logits": base64.b64encode(b"".join(logits)).decode()}

    def conditions(self, _request):
        """What the system says of itself; null where it says nothing."""
        frequency = "/sys/devices/system/cpu/cpu0/cpufreq/"
        before, self.spent = self.spent, processor_seconds()
        return {
            "load_1m": read_number("/proc/loadavg", 1),
            "other_cpus": other_cpus(before, self.spent),
            "governor": read_line(frequency + "scaling_governor"),
            "frequency_mhz": read_number(frequency + "scaling_cur_freq", 1000),
            "temperature_c": read_number("/sys/class/thermal/thermal_zone0/temp", 1000),
            "memory_available_mb": read_number("/proc/meminfo", 1024, "MemAvailable"),
        }

    def unload(self, request):
        del self.loaded[request["id"]]
        gc.collect()
        return {}


def warm_up(run, longest_s=2.0):
    """Run until three runs in a row are no faster; the time of the fastest."""
    fastest, stale, end = None, 0, time.time() + longest_s
    while stale < 3 and (fastest is None or time.time() < end):
        start = wall_clock_ns()
        run()
        took = wall_clock_ns() - start
        stale = 0 if fastest is None or took < 0.98 * fastest else stale + 1
        fastest = took if fastest is None else min(took, fastest)
    return fastest


def processor_seconds():
    """The time of day, and the processors' busy seconds in all and for us (and who started us)."""
    try:
        ticks = os.sysconf("SC_CLK_TCK")
        words = read_line("/proc/stat", "cpu ").split()[1:]
        busy = sum(int(word) for word in words[:3] + words[5:8])  # not idle, not waiting for disks
        with open("/proc/%d/stat" % os.getppid()) as file:
            parent = file.read().rpartition(")")[2].split()[11:13]
        own = time.clock_gettime(2) * ticks + int(parent[0]) + int(parent[1])
    except (AttributeError, OSError, ValueError, IndexError):
        return None
    return time.time(), busy / ticks, own / ticks


def other_cpus(before, after):
    """How many processors other programs used in between; None where that is too short to tell."""
    if before is None or after is None or after[0] - before[0] < 0.2:
        return None
    busy, own = after[1] - before[1], after[2] - before[2]
    return round(max(0.0, busy - own) / (after[0] - before[0]), 3)


def pin(cpus):
    """Stay on the processors named: "any", "one" (the last that we may use), or a hex mask."""
    if cpus == "any" or not hasattr(os, "sched_setaffinity"):
        return
    allowed = os.sched_getaffinity(0)
    if cpus == "one":
        chosen = {max(allowed)}
    else:
        mask = int(cpus, 16)
        chosen = {number for number in range(mask.bit_length()) if mask >> number & 1}
        if not chosen or not chosen <= allowed:
            raise ValueError("cpus = %r names processors that are not here" % (cpus,))
    os.sched_setaffinity(0, chosen)


def main():
    # Libraries that print must not break the protocol: what they write goes to standard error.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    agent = Agent()
    operations = {
        "open": agent.open,
        "load": agent.load,
        "visit": agent.visit,
        "infer": agent.infer,
        "unload": agent.unload,
        "conditions": agent.conditions,
    }
    for line in sys.stdin:
        try:
            request = json.loads(line)
            answer = operations[request["op"]](request)
        except Exception as error:  # whatever failed, the other side is told and we go on
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
