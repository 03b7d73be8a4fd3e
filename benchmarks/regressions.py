"""Does `harness benchmark --baseline` find what became slower, and nothing else?

Networks, and versions of them that really take some percent longer (one or two of their choices
are larger), are timed in two campaigns, each in a new process. Unchanged networks are compared with
themselves, the slower versions of the second campaign with the originals of the first. How much
slower a version is, the versions of the first and the originals of the second tell.

    python benchmarks/regressions.py --device cpu-onnxruntime --networks 60
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from campaigns import measured
from rich.console import Console
from rich.table import Table as Printed

from harness.device.device import Device
from harness.measuring.campaign import Campaign
from harness.measuring.plan import Entry, network_entry, sentinel
from harness.pipeline.benchmark import PLAN, references, result_of
from harness.pipeline.regression import ModelChange, compare
from harness.spaces.block import Block
from harness.spaces.catalogue import find_space, part_of
from harness.spaces.cost import CostTable
from harness.spaces.digits import DIGITS
from harness.spaces.genome import Genomes, decode, encode, sample
from harness.spaces.space import Space

MODEL = {"name": "network", "sha256": "0" * 64}  # of no file
MORE_MACS = (1.03, 1.25)  # of the versions that are tried
SLOWER = (1.05, 1.07)  # of those that count
Network = tuple[Block, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--device", default="cpu-onnxruntime")
    parser.add_argument("--networks", type=int, default=60)
    parser.add_argument("--space", default="digits")
    parser.add_argument("--resolutions")
    arguments = parser.parse_args()
    space = part_of(find_space(arguments.space), arguments.resolutions)
    device = Device.find(arguments.device, Path())
    pairs = list(versions(space, arguments.networks))
    blocks = dict.fromkeys(network for pair in pairs for network in pair)
    networks = [Entry("network", each, each) for each in blocks]
    entries = [sentinel(DIGITS), *networks, *references()]
    results = []
    for number in range(2):
        with device.open() as session:
            plan = replace(PLAN, sustain_s=0.0, seed=number)
            campaign = measured(device, session, entries, plan)
            results.append(as_results(device, device.identity(session), campaign))
    first, second = results
    found = figures(pairs, first, second, device.clock)
    show(arguments, found)
    print(json.dumps(found))


def versions(space: Space, count: int) -> Iterator[tuple[Network, Network]]:
    """Networks with somewhat larger ones that differ in one or two choices."""
    rng = np.random.default_rng(7)
    macs = CostTable.of(space, lambda block: block.macs)
    made = 0
    while made < count:
        original = sample(space, 1, rng)
        tried = encode(space, [decode(space, each) for each in _changed(space, original[0], rng)])
        ratios = macs.total(tried) / macs.total(original)
        fits = np.flatnonzero((ratios >= MORE_MACS[0]) & (ratios <= MORE_MACS[1]))
        if len(fits):
            made += 1
            pair = (original[0], tried[rng.choice(fits)])
            first, second = (network_entry("network", space, decode(space, g)) for g in pair)
            yield first.blocks, second.blocks


def _changed(space: Space, original: Genomes, rng: np.random.Generator) -> Genomes:
    """Sixty-four times one or two genes anew; the resolution stays."""
    found = np.repeat(original[None], 64, axis=0)
    for row in found:
        for column in rng.integers(1, len(original), rng.integers(1, 3)):
            row[column] = rng.integers(len(space.genes[column].choices))
    return found


def as_results(
    device: Device, identity: dict[str, Any], campaign: Campaign
) -> dict[Network, dict[str, Any]]:
    """What `harness benchmark` keeps, by network."""
    found = {}
    for network in {record.blocks for record in campaign.records if record.role == "network"}:
        timed = [r for r in campaign.records if r.role == "network" and r.blocks == network]
        found[network] = result_of(MODEL, device.name, identity, campaign, timed)
    return found


def figures(
    pairs: list[tuple[Network, Network]],
    first: dict[Network, dict[str, Any]],
    second: dict[Network, dict[str, Any]],
    clock: str,
) -> dict[str, float]:
    def value(results: dict[Network, dict[str, Any]], network: Network) -> float:
        return float(results[network]["statistics"][clock]["value_ns"])

    level = np.median([value(second, each) / value(first, each) for each in first])
    unchanged = [compare(first[network], second[network]) for network, _ in pairs]
    slower: list[ModelChange] = []
    for pair in pairs:
        # Of the other two estimates than those that are compared: none judges itself.
        truth = level * value(first, pair[1]) / value(second, pair[0])
        if SLOWER[0] <= truth <= SLOWER[1]:
            slower.append(compare(first[pair[0]], second[pair[1]]))
    ends = np.array([each.interval for each in unchanged])
    return {
        "unchanged": len(unchanged),
        "called_slower_at_1": share(unchanged, 1.01),
        "called_slower_at_5": share(unchanged, 1.05),
        "held": float(np.mean((ends[:, 0] <= 1) & (ends[:, 1] >= 1))),
        "half_width": float(np.median(np.sqrt(ends[:, 1] / ends[:, 0]) - 1)),
        "slower": len(slower),
        "found_at_1": share(slower, 1.01),
        "found_at_0": share(slower, 1.0),
    }


def share(compared: list[ModelChange], limit: float) -> float:
    """Of those whose ratio has its lower end above the limit, as `--fail-above` has it."""
    return float(np.mean([each.interval[0] > limit for each in compared])) if compared else 0.0


def show(arguments: argparse.Namespace, found: dict[str, float]) -> None:
    printed = Printed(title=f"{arguments.space} on {arguments.device}, two campaigns")
    for heading in ("", "networks", "slower at all", "at 1 %", "at 5 %"):
        printed.add_column(heading)
    printed.add_row(
        "unchanged",
        str(found["unchanged"]),
        "",
        f"{found['called_slower_at_1']:.1%}",
        f"{found['called_slower_at_5']:.1%}",
    )
    printed.add_row(
        f"really {SLOWER[0] - 1:.0%} to {SLOWER[1] - 1:.0%} slower",
        str(found["slower"]),
        f"{found['found_at_0']:.1%}",
        f"{found['found_at_1']:.1%}",
        "",
    )
    Console().print(printed)


if __name__ == "__main__":
    main()
