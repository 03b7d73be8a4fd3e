"""How far are sums over blocks from whole networks, both as Arm's compiler estimates them?

Random networks of a space and all blocks that they have are compiled for each NPU. As in a table of
a device, some networks calibrate the sums (`harness/tables/calibration.py`), and the others, which
took no part in it, judge. What is compared are two estimates: nobody measured silicon here.

Prints a table, and as its last line one JSON object, by configuration: `mape` is of the networks
left out, as `within_5` and `largest` are; `mape_fitted` of those that calibrated; `uncalibrated` of
bare sums; `over_sum` is the range of network over sum, `sram_share` the mean share of vela's SRAM
in what TFLite Micro would plan for the same network.

    python benchmarks/vela_tables.py [--networks 40] [--space ofa-proxyless-w0.35 --resolution 128]
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from harness.device.device import Device
from harness.memory.needs import head_bytes
from harness.runtimes.conversion.cache import convert_all
from harness.runtimes.conversion.vela import VelaConverter
from harness.runtimes.session import Workload
from harness.runtimes.vela import VelaOptions
from harness.spaces.block import Block
from harness.spaces.catalogue import find_space
from harness.spaces.genome import decode, sample
from harness.tables.calibration import Sums, fit

DEVICES = ("ethos-u55-128", "ethos-u65-256", "ethos-u85-256")
SEED = 0

Floats = npt.NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--space", default="ofa-proxyless-w0.35")
    parser.add_argument("--resolution", type=int, default=128)
    parser.add_argument("--device", nargs="*", default=DEVICES)
    asked = parser.parse_args()
    space = find_space(asked.space).at([asked.resolution])
    genomes = sample(space, asked.networks, np.random.default_rng(SEED))
    networks = [space.blocks(decode(space, genome)) for genome in genomes]
    found = {name: judged(name, networks) for name in asked.device}
    title = f"{asked.networks} networks of {space.name} at {asked.resolution} pixels"
    show(found, title)
    print(json.dumps(found))


def judged(device: str, networks: list[tuple[Block, ...]]) -> dict[str, Any]:
    options = Device.find(device, Path()).options.of(VelaOptions)
    converter = VelaConverter(options.accelerator, options.system_config, options.memory_mode)
    blocks = sorted({block for network in networks for block in network})
    workloads: list[Workload] = [*networks, *((block,) for block in blocks)]
    convert_all(converter, workloads)
    alone = {block: float(converter.estimate((block,)).latency_ns) for block in blocks}
    estimates = [converter.estimate(network) for network in networks]
    if on_cpu := {each for estimate in estimates for each in estimate.on_cpu}:
        raise SystemExit(f"{device} leaves {', '.join(sorted(on_cpu))} to the CPU")
    whole = np.array([estimate.latency_ns for estimate in estimates], dtype=float)
    half = len(networks) // 2
    calibration = fit(Sums.of(networks[:half], alone), whole[:half])
    errors = np.abs(calibration.network(Sums.of(networks, alone)) / whole - 1)
    over_sum = whole / Sums.of(networks, alone).total
    planned = np.array([head_bytes(network) for network in networks])
    sram = np.array([estimate.sram_bytes for estimate in estimates])
    return {
        "mape": float(errors[half:].mean()),
        "within_5": float(np.mean(errors[half:] <= 0.05)),
        "largest": float(errors[half:].max()),
        "mape_fitted": float(errors[:half].mean()),
        "uncalibrated": float(np.abs(1 / over_sum - 1).mean()),
        "over_sum": [float(over_sum.min()), float(over_sum.max())],
        "latency_ms": [float(whole.min() / 1e6), float(whole.max() / 1e6)],
        "sram_share": float(np.mean(sram / planned)),
        "networks": len(networks),
        "left_out": len(networks) - half,
        "blocks": len(blocks),
    }


def show(found: dict[str, dict[str, Any]], title: str) -> None:
    table = Table(title=title)
    headings = (
        "NPU",
        "network over sum",
        "fitted, MAPE",
        "left out, MAPE",
        "largest",
        "ms",
        "SRAM",
    )
    for heading in headings:
        table.add_column(heading)
    for name, each in found.items():
        table.add_row(
            name,
            "{:.3f} to {:.3f}".format(*each["over_sum"]),
            f"{each['mape_fitted']:.2%}",
            f"{each['mape']:.2%}",
            f"{each['largest']:.2%}",
            "{:.2f} to {:.2f}".format(*each["latency_ms"]),
            f"{each['sram_share']:.0%} of TFLite Micro's",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
