"""What do devices make of zeros?

NPUs: int8 weights of a trained network of somebody else's (MCUNet's person detection,
HARNESS_DATA/tinyml/vww.tflite) become zero as `harness finetune --sparsity` makes them, the
smallest of each layer but the first and depthwise ones, and Arm's compiler estimates each file.

Processors: the same is done to a random network of ofa-mbv3-w1.0 at 160 pixels, whose times do not
depend on values; runtimes and shares take turns, one thread, the fastest run of each by the
runtime's clock.

Prints two tables, and as its last line one JSON object: by NPU the times in ms and the kB that
weights take, by runtime the times over those of the network without zeros.

    python benchmarks/zeros.py [--only npu|cpu] [--rounds 15]
"""

import argparse
import json
import os
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ai_edge_litert import schema_py_generated as schema
from rich.console import Console
from rich.table import Table

from harness.device.device import Device
from harness.errors import HarnessError
from harness.networks.build import build_lively
from harness.networks.file import IMAGENET, NetworkFile, Preprocessing
from harness.runtimes.conversion.flatbuffer import written
from harness.runtimes.conversion.self_contained import self_contained
from harness.runtimes.conversion.vela import VelaConverter
from harness.runtimes.vela import VelaOptions
from harness.spaces.catalogue import find_space
from harness.spaces.genome import decode, sample
from harness.training.sparsity import GROUP, prune, prune_2_4, zeros
from harness.transports.local import LocalTransport

DATA = Path(os.environ.get("HARNESS_DATA", "../shared/data")) / "tinyml"
NPUS = ("ethos-u55-128", "ethos-u65-256", "ethos-u85-256")
DEEP = "ethos-u55-128, deep embedded"  # weights in slower flash
SHARES = ("0 %", "50 %", "2:4", "75 %", "90 %")
DEVICES = {
    "torch": "cpu",
    "onnxruntime": "cpu-onnxruntime",
    "litert (XNNPACK)": "cpu-litert",
    "litert int8 (XNNPACK)": "cpu-litert-int8",
    "openvino": "cpu-openvino",
    "ncnn": "cpu-ncnn",
    "mnn": "cpu-mnn",
}
ROUNDS, RUNS, SEED = 15, 5, 11


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=("npu", "cpu"))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    found: dict[str, Any] = {}
    if asked.only != "cpu":
        found["npu"] = on_npus(DATA / "vww.tflite")
    if asked.only != "npu":
        found["cpu"] = on_processors(asked.rounds)
    print(json.dumps(found))


def on_npus(path: Path) -> dict[str, dict[str, dict[str, float]]]:
    converters = {}
    for name in NPUS:
        own = Device.find(name, Path()).options.of(VelaOptions)
        converters[name] = VelaConverter(own.accelerator, own.system_config, own.memory_mode)
    deep = replace(converters[NPUS[0]], system_config="Ethos_U55_Deep_Embedded")
    converters = {NPUS[0]: converters.pop(NPUS[0]), DEEP: deep} | converters
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in converters}
    with TemporaryDirectory() as folder:
        for share in SHARES:
            file = Path(folder, "thinned.tflite")
            file.write_bytes(thinned_file(path.read_bytes(), share))
            for name, converter in converters.items():
                told = converter.compiled(file, f"{path.name} with {share} zeros")
                weights_kb = (told.flash_bytes + told.dram_bytes) / 1e3
                found[name][share] = {"ms": told.latency_ns / 1e6, "kb": weights_kb}
    printed = Table(title=f"{path.name}, by vela: ms (kB beside the SRAM)")
    for heading in ("NPU", *SHARES):
        printed.add_column(heading)
    for name, by_share in found.items():
        cells = [f"{each['ms']:.3g} ({each['kb']:.0f})" for each in by_share.values()]
        printed.add_row(name, *cells)
    Console(width=120).print(printed)
    return found


def thinned_file(content: bytes, share: str) -> bytes:
    """The int8 file with zeros in its convolutions and classifiers, but the first and depthwise."""
    model = schema.ModelT.InitFromPackedBuf(self_contained(content))
    (graph,) = model.subgraphs
    kinds = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED)
    codes = [model.operatorCodes[each.opcodeIndex] for each in graph.operators]
    layers = [
        graph.tensors[operator.inputs[1]]
        for operator, code in zip(graph.operators, codes, strict=True)
        if max(code.builtinCode, code.deprecatedBuiltinCode) in kinds
    ]
    for weight in layers[1:]:
        buffer = model.buffers[weight.buffer]
        values = np.frombuffer(bytes(buffer.data), np.int8).reshape(weight.shape).astype(np.int16)
        buffer.data = with_zeros(values, share).astype(np.int8).reshape(-1).view(np.uint8)
    return written(model)


def with_zeros(values: npt.NDArray[np.int16], share: str) -> npt.NDArray[np.int16]:
    """Of weights whose last axis are input channels."""
    if share == "2:4":
        if values.shape[-1] % GROUP:
            return values
        fours = values.reshape(-1, GROUP).copy()
        smallest = np.abs(fours).argsort(1, kind="stable")[:, : GROUP // 2]
        np.put_along_axis(fours, smallest, 0, 1)
        return fours.reshape(values.shape)
    gone = round(float(share.removesuffix(" %")) / 100 * values.size)
    flat = values.reshape(-1).copy()
    flat[np.abs(flat).argsort(kind="stable")[:gone]] = 0
    return flat.reshape(values.shape)


def on_processors(rounds: int) -> dict[str, dict[str, float]]:
    fastest: dict[str, dict[str, float]] = {}
    with TemporaryDirectory() as folder, ExitStack() as stack:
        files = network_files(Path(folder))
        sessions = {}
        for name, device_name in DEVICES.items():
            device = Device.find(device_name, Path())
            try:
                opened = device.profile.runs_on.open(LocalTransport(), device.options)
                session = stack.enter_context(closing(opened))
                session.prepare(list(files.values()))
            except HarnessError as error:
                print(f"{name}: {error}")
                continue
            sessions[name] = device, session
            fastest[name] = dict.fromkeys(files, float("inf"))
        for _ in range(rounds):
            for name, (device, session) in sessions.items():
                for share, file in files.items():
                    took = min(session.visit(file, RUNS).values[device.clock]) / 1e6
                    fastest[name][share] = min(fastest[name][share], took)
    printed = Table(title="time over that without zeros")
    for heading in ("runtime", *SHARES, "0 %, ms"):
        printed.add_column(heading)
    for name, by_share in fastest.items():
        dense = by_share["0 %"]
        ratios = [f"{each / dense:.3f}" for each in by_share.values()]
        printed.add_row(name, *ratios, f"{dense:.2f}")
    Console(width=120).print(printed)
    return {
        name: {share: each / by_share["0 %"] for share, each in by_share.items()}
        for name, by_share in fastest.items()
    }


def network_files(folder: Path) -> dict[str, Path]:
    """A random network, with zeros."""
    space = find_space("ofa-mbv3-w1.0").at([160])
    arch = decode(space, sample(space, 1, np.random.default_rng(SEED))[0])
    blocks = space.blocks(arch)
    found: dict[str, Path] = {}
    for share in SHARES:
        network = build_lively(blocks, SEED)
        if share == "2:4":
            prune_2_4(network)
        else:
            prune(network, float(share.removesuffix(" %")) / 100)
        print(f"{share}: {zeros(network):.1%} of the weights that pruning is about are zero")
        found[share] = folder / f"{len(found)}.pt"
        weights = {name: each.to(torch.float32) for name, each in network.state_dict().items()}
        classes = tuple(str(number) for number in range(space.classes))
        pixels = Preprocessing(160, *IMAGENET)
        NetworkFile(space.name, arch, blocks, weights, pixels, classes, {}).save(found[share])
    return found


if __name__ == "__main__":
    main()
