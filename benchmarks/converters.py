"""What does each way to a .tflite file cost, beside the same network written by hand in Keras?

One block and one whole network go through litert-torch, through onnx-tf, and are built in Keras.
All files are timed in turns in this process, one thread each, and judged by their fastest run.
Needs the environment of onnx-tf, which has Keras too: `tox -e onnx-tf --notest`. Prints a table
and, as its last line, one JSON object.

    python benchmarks/converters.py --resolution 160
"""

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table as Printed

from harness.errors import MissingExtra
from harness.runtimes.conversion.cache import Converter, convert_all, converted
from harness.runtimes.conversion.graph import read_graph
from harness.runtimes.conversion.onnx_tf import OnnxTfConverter, run_worker, worker_python
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.spaces.block import Block
from harness.spaces.catalogue import find_space
from harness.spaces.convolution import convolutions
from harness.spaces.genome import decode, sample

Blocks = tuple[Block, ...]
TWIN = "keras"
CONVERTERS: dict[str, Converter] = {
    "litert-torch": TfliteConverter(1, "float32"),
    "onnx-tf": OnnxTfConverter(1),
}
RUNS = {"block": 100, "network": 4}  # one after the other, in each round


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--resolution", type=int, default=160, help="of the whole network, pixels")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0, help="of the network drawn")
    arguments = parser.parse_args()
    try:
        python = worker_python()
    except MissingExtra as error:
        raise SystemExit(str(error)) from error
    network = draw(arguments.resolution, arguments.seed)
    workloads = {"block": (typical(network),), "network": network}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, blocks in workloads.items():
        contents = convert(blocks, python)
        fastest_ns = in_turns(contents, arguments.rounds, RUNS[name])
        for route, content in contents.items():
            ops = read_graph(content).ops
            found.setdefault(route, {})[name] = {
                "ops": sum(ops.values()),
                "transposes": ops.get("TRANSPOSE", 0),
                "latency_ms": fastest_ns[route] / 1e6,
                "latency_ratio": fastest_ns[route] / fastest_ns[TWIN],
            }
    console = Console()
    console.print(f"block: {workloads['block'][0].key}", soft_wrap=True, highlight=False)
    console.print(overview(found))
    print(json.dumps(found))


def draw(resolution: int, seed: int) -> Blocks:
    """A random network of OFA-MobileNetV3."""
    space = find_space("ofa-mbv3-w1.0").at([resolution])
    return space.blocks(decode(space, sample(space, 1, np.random.default_rng(seed))[0]))


def typical(network: Blocks) -> Block:
    """Its first block with kernel 5, squeeze-and-excitation and h_swish."""
    wanted = (5, "h_swish")
    return next(b for b in convolutions(network) if (b.kernel, b.act) == wanted and b.se_channels)


def convert(blocks: Blocks, python: Path) -> dict[str, bytes]:
    """The file of each route; the twin is built anew."""
    contents = {}
    for route, converter in CONVERTERS.items():
        convert_all(converter, [blocks])
        contents[route] = converted(converter, blocks).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "blocks.json"), Path(folder, "model.tflite")
        source.write_text(json.dumps([block.spec for block in blocks]))
        script = Path(__file__).with_name("keras_twin.py")
        try:
            run_worker(python, [str(script), str(source), str(target)])
        except subprocess.CalledProcessError as error:
            raise SystemExit(f"no Keras twin: {error.stderr}") from error
        contents[TWIN] = target.read_bytes()
    return contents


def in_turns(contents: Mapping[str, bytes], rounds: int, runs: int) -> dict[str, int]:
    """The fastest run of each file, ns."""
    models = {route: loaded(content) for route, content in contents.items()}
    fastest: dict[str, int] = {}
    order = list(models)
    for _ in range(rounds):
        for route in order:
            for _ in range(runs):
                start = time.perf_counter_ns()
                models[route]()
                took = time.perf_counter_ns() - start
                fastest[route] = min(took, fastest.get(route, took))
        order = order[1:] + order[:1]  # none is always after the same one
    return fastest


def loaded(content: bytes) -> Callable[[], Any]:
    """The file with an input set, warm; called, it runs once."""
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_content=content, num_threads=1)
    model.allocate_tensors()
    (given,) = model.get_input_details()
    images = np.random.default_rng(0).standard_normal(given["shape"]).astype(np.float32)
    model.set_tensor(given["index"], images)
    for _ in range(3):
        model.invoke()
    run: Callable[[], Any] = model.invoke
    return run


def overview(found: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Printed:
    printed = Printed(title="LiteRT with XNNPACK, one thread, fastest run")
    for heading in ("route", "", "operators", "TRANSPOSE", "ms", "against Keras"):
        printed.add_column(heading)
    for route, by_workload in found.items():
        for name, figures in by_workload.items():
            printed.add_row(
                *(route, name, f"{figures['ops']:.0f}", f"{figures['transposes']:.0f}"),
                *(f"{figures['latency_ms']:.4f}", f"{figures['latency_ratio']:.3f}"),
            )
    return printed


if __name__ == "__main__":
    main()
