"""What do we add to a run? Our times beside a bare loop over the same library, taken in turns.

The loop is a process of its own that knows nothing of us: it loads the same file, and times runs
with `time.perf_counter_ns`, on the same core, one thread, with memory kept between runs as ours is
(agent/__main__.py says why: torch is several times slower without). Where a process has its memory
makes its runs some percent faster or slower, so that both sides are started anew several times: the
ratio is the middle one of all starts. OpenVINO's own benchmark_app is started in turns with ours,
too; none of the other packages has such a tool. Prints a table and, as its last line, one JSON
object.

    python benchmarks/overhead.py --starts 7 [--runtimes onnxruntime,openvino]
"""

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Printed

from harness import files
from harness.device.device import Device
from harness.errors import HarnessError
from harness.networks.build import build_lively, input_shape
from harness.runtimes.conversion.cache import Converter, convert_all
from harness.runtimes.conversion.executorch import ExecutorchConverter
from harness.runtimes.conversion.mnn import MnnConverter
from harness.runtimes.conversion.ncnn import NcnnConverter
from harness.runtimes.conversion.onnx import OnnxConverter
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.session import seed_of
from harness.spaces.block import Block
from harness.spaces.catalogue import find_space
from harness.spaces.convolution import convolutions
from harness.spaces.genome import decode, sample

Blocks = tuple[Block, ...]
RUNS, ROUNDS = 5, 12
APP_RUNS = 200  # of benchmark_app, which takes seconds to start
MALLOC = ("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_")
APP_MEDIAN = re.compile(r"Median:\s+([\d.]+) ms")
LOOP = """
for line in sys.stdin:
    run()
    times = []
    for _ in range(int(line)):
        start = time.perf_counter_ns()
        run()
        times.append(time.perf_counter_ns() - start)
    print(json.dumps(times), file=answers, flush=True)
"""
START = """
import json, os, sys, time
import numpy
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
os.sched_setaffinity(0, {int(sys.argv[1])})
path, shape = sys.argv[2], json.loads(sys.argv[3])
images = numpy.random.default_rng(0).standard_normal(shape).astype(numpy.float32)
"""


@dataclass(frozen=True)
class Bare:
    """A library without us: Python that makes a function `run` of `path` and `images`."""

    device: str
    converter: Converter | None  # None: the torch module itself
    code: str


BARE = {
    "torch": Bare(
        "cpu",
        None,
        """
import torch
torch.set_num_threads(1)
torch.set_grad_enabled(False)
from harness.networks.layers import make_network
kept = torch.load(path, weights_only=True)
network, given = make_network(kept["specs"]).eval(), torch.from_numpy(images)
network.load_state_dict(kept["weights"])
run = lambda: network(given)
""",
    ),
    "onnxruntime": Bare(
        "cpu-onnxruntime",
        OnnxConverter(1),
        """
import onnxruntime
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
feed = {session.get_inputs()[0].name: images}
run = lambda: session.run(None, feed)
""",
    ),
    "litert": Bare(
        "cpu-litert",
        TfliteConverter(1, "float32"),
        """
from ai_edge_litert.interpreter import Interpreter
model = Interpreter(model_path=path, num_threads=1)
model.allocate_tensors()
given = model.get_input_details()[0]
model.set_tensor(given["index"], images.reshape(given["shape"]))
run = model.invoke
""",
    ),
    "openvino": Bare(
        "cpu-openvino",
        OnnxConverter(1),
        """
import openvino
options = {"INFERENCE_NUM_THREADS": 1, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
compiled = openvino.Core().compile_model(path, "CPU", options)
request = compiled.create_infer_request()
request.set_input_tensor(openvino.Tensor(images))
run = request.infer
""",
    ),
    "executorch": Bare(
        "cpu-executorch",
        ExecutorchConverter(1),
        """
import torch
from executorch.extension.pybindings import portable_lib
from executorch.runtime import Runtime
portable_lib._unsafe_reset_threadpool(1)
program = Runtime.get().load_program(path)
method, given = program.load_method("forward"), [torch.from_numpy(images)]
run = lambda: method.execute(given)
""",
    ),
    "ncnn": Bare(
        "cpu-ncnn",
        NcnnConverter(),
        """
import tempfile, zipfile
import ncnn
network = ncnn.Net()
network.opt.num_threads = 1
for name in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
    setattr(network.opt, "use_" + name, False)
with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as both:
    both.extractall(folder)
    network.load_param(folder + "/model.param")
    network.load_model(folder + "/model.bin")
(name,), (output,) = network.input_names(), network.output_names()
given = ncnn.Mat(images[0]).clone()

def run():
    extractor = network.create_extractor()
    extractor.input(name, given)
    return extractor.extract(output)[1]
""",
    ),
    "mnn": Bare(
        "cpu-mnn",
        MnnConverter(1),
        """
from MNN import expr, nn
settings = ({"backend": 0, "precision": "high", "numThread": 1},)
manager = nn.create_runtime_manager(settings)
network = nn.load_module_from_file(path, [], [], runtime_manager=manager)
given = [expr.const(images.ravel().tolist(), list(images.shape), expr.NCHW)]
run = lambda: network.onForward(given)[0].read()
""",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=7)
    parser.add_argument("--runtimes", default=",".join(BARE))
    arguments = parser.parse_args()
    space = find_space("ofa-mbv3-w1.2").at([160])
    network = space.blocks(decode(space, sample(space, 1, np.random.default_rng(0))[0]))
    printed = Printed(title="wall time of one run in the middle, taken in turns")
    for heading in ("runtime", "", "ours, ms", "without us, ms", "ratio", "of single starts"):
        printed.add_column(heading)
    found: dict[str, dict[str, float]] = {}
    for name in arguments.runtimes.split(","):
        bare = BARE[name]
        found[name] = {}
        # Blocks are shorter, and more rounds of them take no longer.
        for what, blocks, rounds in (
            ("network", network, ROUNDS),
            ("block", (network[3],), 5 * ROUNDS),
        ):
            try:
                starts = [in_turns(bare, blocks, rounds) for _ in range(arguments.starts)]
            except HarnessError as error:
                print(f"{name}: {error}")
                break
            found[name][f"median_ratio_{what}"] = row(printed, name, f"{what}, bare loop", starts)
        if name == "openvino" and found[name]:
            starts = beside_benchmark_app(bare, network, arguments.starts)
            ratio = row(printed, name, "network, benchmark_app", starts)
            found[name]["median_ratio_benchmark_app"] = ratio
    Console().print(printed)
    print(json.dumps(found))


def row(printed: Printed, name: str, what: str, starts: Sequence[tuple[float, float]]) -> float:
    """The ratio in the middle of all starts' times, ours and others', ns."""
    ratios = [ours / others for ours, others in starts]
    times = [f"{middle / 1e6:.4f}" for middle in np.median(starts, axis=0)]
    ratio = float(np.median(ratios))
    ends = f"{min(ratios):.3f} to {max(ratios):.3f}"
    printed.add_row(name, what, *times, f"{ratio:.4f}", ends)
    return ratio


def in_turns(bare: Bare, blocks: Blocks, rounds: int) -> tuple[float, float]:
    """Median wall time of our runs and of the bare loop's, ns."""
    ours: list[int] = []
    others: list[int] = []
    with files.scratch() as folder, Device.find(bare.device, Path()).open() as session:
        session.load(blocks)
        command = [
            *(sys.executable, "-c", START + bare.code + LOOP),
            *(str(core()), str(file_of(bare, blocks, folder)), json.dumps(input_shape(blocks, 1))),
        ]
        with subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | dict.fromkeys(MALLOC, str(1 << 30)),
        ) as loop:

            def bare_times() -> list[int]:
                assert loop.stdin is not None
                assert loop.stdout is not None
                loop.stdin.write(f"{RUNS}\n".encode())
                loop.stdin.flush()
                return list(json.loads(loop.stdout.readline()))

            bare_times()  # it has loaded, and is warm
            for number in range(rounds):
                turns: list[Callable[[], None]] = [
                    lambda: ours.extend(session.visit(blocks, RUNS).values["wall"]),
                    lambda: others.extend(bare_times()),
                ]
                for turn in turns if number % 2 else reversed(turns):
                    turn()
            assert loop.stdin is not None
            loop.stdin.close()
    return float(np.median(ours)), float(np.median(others))


def core() -> int:
    """The one that our devices of this computer stay on."""
    return max(os.sched_getaffinity(0))


def file_of(bare: Bare, blocks: Blocks, folder: Path) -> Path:
    if bare.converter is not None:
        convert_all(bare.converter, [blocks])
        return bare.converter.path(blocks)
    import torch

    path = folder / "network.pt"
    specs = [block.spec for block in convolutions(blocks)]
    weights = build_lively(blocks, seed_of(blocks)).state_dict()
    torch.save({"specs": specs, "weights": weights}, path)
    return path


def beside_benchmark_app(bare: Bare, blocks: Blocks, starts: int) -> list[tuple[float, float]]:
    """Of each start: the median wall time of our runs, and benchmark_app's own, ns."""
    found = []
    with files.scratch() as folder:
        command = [
            *("taskset", "-c", str(core()), str(Path(sys.executable).with_name("benchmark_app"))),
            *("-m", str(file_of(bare, blocks, folder)), "-d", "CPU", "-api", "sync"),
            *("-hint", "none", "-nstreams", "1", "-nthreads", "1", "-infer_precision", "f32"),
            *("-niter", str(APP_RUNS)),
        ]
        for _ in range(starts):
            with Device.find(bare.device, Path()).open() as session:
                session.load(blocks)
                ours = [*session.visit(blocks, APP_RUNS // 2).values["wall"]]
                said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                ours += session.visit(blocks, APP_RUNS // 2).values["wall"]  # before and after it
            told = APP_MEDIAN.search(said)
            if told is None:
                raise SystemExit(f"benchmark_app tells no median: {said[-300:]}")
            found.append((float(np.median(ours)), float(told[1]) * 1e6))
    return found


if __name__ == "__main__":
    main()
