"""Are translators the sums of their blocks? Of blocks that find their weights in a cache, as one
does that is timed again and again, and of blocks that do not, as in a network.

Networks of a space, their blocks warm and their blocks cold are timed in the same rounds, in torch,
on one thread. Prints what networks take over the sums of their blocks, which nothing calibrates,
and as its last line one JSON object.

    python benchmarks/cold_blocks.py --space hat-wmt14-ende --networks 8
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable

import numpy as np
import torch
from rich.console import Console
from rich.table import Table as Printed
from torch import nn

from harness.networks.layers import input_shape, make_network
from harness.spaces.catalogue import find_space
from harness.spaces.genome import decode, sample

SEED = 404


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="hat-wmt14-ende")
    parser.add_argument("--networks", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.set_grad_enabled(False)
    space = find_space(arguments.space)
    genomes = sample(space, arguments.networks, np.random.default_rng(SEED))
    networks = [[block.spec for block in space.blocks(decode(space, genome))] for genome in genomes]
    runs: dict[str, Callable[[], object]] = {}
    for specs in networks:
        runs[str(specs)] = run_of(specs)
        for spec in specs:
            runs.setdefault(str(spec), run_of([spec]))
            if spec.get("in_turn", 1) > 1:
                runs.setdefault(warm(spec), run_of([spec | {"in_turn": 1}]))
    times_ms = fastest_ms(runs, arguments.rounds)
    found = {}
    for name, key in (("warm", warm), ("cold", str)):
        sums = [sum(times_ms[key(spec)] for spec in specs) for specs in networks]
        ratios = np.array([times_ms[str(specs)] for specs in networks]) / sums
        found[name] = {
            "least": float(ratios.min()),
            "median": float(np.median(ratios)),
            "most": float(ratios.max()),
            "spread": float(np.std(np.log(ratios))),
        }
    show(found)
    print(json.dumps({"space": space.name, "networks": len(networks)} | found))


def warm(spec: dict[str, object]) -> str:
    """The name of a block that runs alone, without others that take turns."""
    return str(spec | ({"in_turn": 1} if "in_turn" in spec else {}))


def run_of(specs: list[dict[str, object]]) -> Callable[[], object]:
    network: nn.Module = make_network(specs).eval()
    images = torch.randn(1, *input_shape(specs[0]))
    return lambda: network(images)


def fastest_ms(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """CPU time of the thread, of the second of two runs of each round, at its fastest."""
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(rounds):
        for name, run in runs.items():
            run()
            begun = time.thread_time()
            run()
            times[name].append(1e3 * (time.thread_time() - begun))
    return {name: min(each) for name, each in times.items()}


def show(found: dict[str, dict[str, float]]) -> None:
    printed = Printed(title="what networks take over the sum of their blocks")
    for heading in ("blocks", "least", "median", "most", "spread (log)"):
        printed.add_column(heading)
    for name, ratios in found.items():
        printed.add_row(name, *(f"{ratio:.2f}" for ratio in ratios.values()))
    Console().print(printed)


if __name__ == "__main__":
    main()
