"""What do we add to a run? Our times beside a bare loop over the same runtime, taken in turns.

The loop is a process of its own that knows nothing of us: it loads the same .onnx file, and times
runs with `time.perf_counter_ns`, on the same core. Prints a table and, as its last line, one JSON
object.

    python benchmarks/overhead.py --rounds 60
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Printed

from harness.device.device import Device
from harness.runtimes.conversion.cache import converted
from harness.runtimes.conversion.onnx import OnnxConverter
from harness.runtimes.session import Workload
from harness.spaces.catalogue import find_space
from harness.spaces.genome import decode, sample

RUNS = 5
BARE_LOOP = """
import json, os, sys, time
import numpy, onnxruntime
os.sched_setaffinity(0, {int(sys.argv[1])})
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[2], options, providers=["CPUExecutionProvider"])
given = session.get_inputs()[0]
images = numpy.random.default_rng(0).standard_normal(given.shape).astype(numpy.float32)
for line in sys.stdin:
    session.run(None, {given.name: images})
    times = []
    for _ in range(int(line)):
        start = time.perf_counter_ns()
        session.run(None, {given.name: images})
        times.append(time.perf_counter_ns() - start)
    print(json.dumps(times), flush=True)
"""


def in_turns(rounds: int, workload: Workload) -> tuple[float, float]:
    """Median wall time of our runs and of the bare loop's, ns."""
    device = Device.find("cpu-onnxruntime", Path())
    model = converted(OnnxConverter(1), workload)
    core = max(os.sched_getaffinity(0))
    command = [sys.executable, "-c", BARE_LOOP, str(core), str(model)]
    ours: list[int] = []
    bare: list[int] = []
    with (
        device.open() as session,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as loop,
    ):
        assert loop.stdin is not None
        assert loop.stdout is not None
        session.load(workload)
        for number in range(rounds):
            turns = [0, 1] if number % 2 else [1, 0]
            for turn in turns:
                if turn:
                    ours += session.visit(workload, RUNS).values["wall"]
                else:
                    loop.stdin.write(f"{RUNS}\n".encode())
                    loop.stdin.flush()
                    bare += json.loads(loop.stdout.readline())
        loop.stdin.close()
    return float(np.median(ours)), float(np.median(bare))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    arguments = parser.parse_args()
    space = find_space("ofa-mbv3-w1.2").at([160])
    network = space.blocks(decode(space, sample(space, 1, np.random.default_rng(0))[0]))
    printed = Printed(title="wall time of one run, onnxruntime, taken in turns")
    for heading in ("", "ours, ms", "bare loop, ms", "ratio"):
        printed.add_column(heading)
    found = {}
    for name, workload in (("network", network), ("block", (network[3],))):
        ours, bare = in_turns(arguments.rounds * (1 if name == "network" else 5), workload)
        found[name] = ours / bare
        printed.add_row(name, f"{ours / 1e6:.4f}", f"{bare / 1e6:.4f}", f"{ours / bare:.4f}")
    Console().print(printed)
    print(json.dumps({"median_ratio": found["network"], "median_ratio_block": found["block"]}))


if __name__ == "__main__":
    main()
