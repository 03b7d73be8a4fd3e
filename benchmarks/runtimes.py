"""The same networks in every runtime of this computer: how fast, how they start, how much memory.

Random sub-networks of a space, one thread on one processor, float32, batch 1. Runtimes take turns,
network by network and round by round, so that a slower minute meets all of them. Latency is the
fastest run, by the runtime's own clock; loading, the first run and the growth of memory are the
middle of three processes of their own. Outputs are compared with torch's before anything is timed.

Prints a table of means over the networks, and as its last line one JSON object.

    python benchmarks/runtimes.py --networks 5 [--space ofa-mbv3-w1.0 --resolution 160]
"""

import argparse
import json
from contextlib import ExitStack, closing
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.device.device import Device
from harness.errors import HarnessError
from harness.runtimes.model_file_session import ModelFileSession
from harness.runtimes.session import Session, StartingSession, Workload
from harness.spaces.catalogue import find_space
from harness.spaces.genome import decode, sample
from harness.transports.local import LocalTransport

DEVICES = {
    "torch": "cpu",
    "onnxruntime": "cpu-onnxruntime",
    "litert": "cpu-litert",
    "openvino": "cpu-openvino",
    "executorch": "cpu-executorch",
    "ncnn": "cpu-ncnn",
    "mnn": "cpu-mnn",
}
ROUNDS, RUNS, STARTS = 10, 10, 3
SEED = 707
AGREE = 1e-3  # of the largest output


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--space", default="ofa-mbv3-w1.0")
    parser.add_argument("--resolution", type=int, default=160)
    asked = parser.parse_args()
    space = find_space(asked.space).at([asked.resolution])
    genomes = sample(space, asked.networks, np.random.default_rng(SEED))
    networks: list[Workload] = [space.blocks(decode(space, genome)) for genome in genomes]
    size = (2, space.image_channels, asked.resolution, asked.resolution)
    images = np.random.default_rng(SEED).normal(size=size).astype(np.float32)
    found: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        sessions: dict[str, tuple[Device, Session]] = {}
        expected: list[np.ndarray] = []
        for name, device_name in DEVICES.items():
            device = Device.find(device_name, Path())
            try:
                opened = device.profile.runs_on.open(LocalTransport(), device.options)
                session = stack.enter_context(closing(opened))
            except HarnessError as error:
                print(f"{name}: {error}")
                continue
            session.prepare(networks)
            sizes = [file_mb(session, network) for network in networks]
            logits = [session.infer(network, images) for network in networks]
            expected = expected or logits
            pairs = zip(logits, expected, strict=True)
            apart = max(float(np.abs(a - b).max() / np.abs(b).max()) for a, b in pairs)
            if apart > AGREE:
                raise SystemExit(f"{name} answers otherwise than torch: {apart:.2g} of the largest")
            assert isinstance(session, StartingSession)
            starts = [[session.start(each) for _ in range(STARTS)] for each in networks]
            found[name] = {
                "outputs_apart": apart,
                "file_mb": mean(sizes),
                "load_ms": mean(median(s.load_ms for s in of_one) for of_one in starts),
                "first_ms": mean(median(s.first_ms for s in of_one) for of_one in starts),
                "memory_mb": mean(median(s.memory_mb or 0.0 for s in of_one) for of_one in starts),
            }
            sessions[name] = device, session
        fastest: dict[str, list[float]] = {name: [float("inf")] * len(networks) for name in found}
        for _ in range(ROUNDS):
            for row, network in enumerate(networks):
                for name, (device, session) in sessions.items():
                    samples = session.visit(network, RUNS).values[device.clock]
                    fastest[name][row] = min(fastest[name][row], min(samples) / 1e6)
    for name, values in fastest.items():
        found[name] |= {"latency_ms": mean(values), "latencies_ms": [round(v, 4) for v in values]}
    show(found, asked.networks, space.name, asked.resolution)


def file_mb(session: Session, network: Workload) -> float:
    """What the runtime loads; of torch, which takes no file, the weights."""
    if isinstance(session, ModelFileSession):
        return session.file_bytes(network) / 1e6
    assert not isinstance(network, Path)
    return sum(4 * block.params for block in network) / 1e6


def show(found: dict[str, dict[str, Any]], networks: int, space: str, resolution: int) -> None:
    printed = Table(title=f"{networks} networks of {space} at {resolution} pixels, one thread")
    columns = ("latency_ms", "load_ms", "first_ms", "memory_mb", "file_mb", "outputs_apart")
    for heading in ("runtime", *columns):
        printed.add_column(heading, justify="left" if heading == "runtime" else "right")
    for name in sorted(found, key=lambda each: found[each]["latency_ms"]):
        printed.add_row(name, *(f"{found[name][column]:.3g}" for column in columns))
    Console().print(printed)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
