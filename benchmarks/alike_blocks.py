"""Do the constants of filled blocks hold where they were not chosen, and what would others do?

`harness/tables/filling.py` says how much alike blocks are. Beside the shipped constants stand the
likeliest by each of the phones' tables that were published with OFA, alone (marginal likelihood;
Rasmussen and Williams 2006, section 5.4): what they tell of the other phone is told by constants
that had not seen it. Prints, and has in its last line as JSON, for all constants and tables: the
log likelihood of a block, the share of blocks within their interval of 95 % where a random third
was visited (20 draws), and of the Note10, which is whole, networks' error by what was expected.

    python benchmarks/alike_blocks.py
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import log
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from harness.effort import NORMAL, QUICK
from harness.spaces.block import Block
from harness.spaces.genome import decode, sample
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.spaces.ofa_proxyless import ofa_proxyless
from harness.spaces.space import Space
from harness.tables import filling
from harness.tables.filling import choose, fill
from harness.tables.ofa import read_published

OFA = Path(os.environ.get("HARNESS_DATA", "../shared/data")) / "ofa"
NOTE10, PIXEL1 = "note10", "pixel1"
SPACE = OFA_MBV3_W1_2.at((160, 192, 224))
SHORTEST_NS = 1e3  # the Pixel 1's table has 0 for its last layer
FARTHEST = 3.0  # logarithm, from the shipped constants
DRAWS = 20

Times = Mapping[Block, float]
Floats = npt.NDArray[np.float64]


def main() -> None:
    tables = {
        NOTE10: published(OFA / "note10", SPACE),
        PIXEL1: published(OFA / "pixel1_proxyless_224.yaml", ofa_proxyless(1.0).at((224,))),
    }
    chosen = {"shipped": shipped()}
    chosen |= {f"by {name}": likeliest(times) for name, times in tables.items()}
    found = {
        name: {"constants": np.exp(constants).round(3).tolist()}
        | {table: judged(times, constants) for table, times in tables.items()}
        | {"networks": networks(tables[NOTE10], constants)}
        for name, constants in chosen.items()
    }
    for name, told in found.items():
        print(name, json.dumps(told))
    print(json.dumps(found))


def published(path: Path, space: Space) -> Times:
    times = read_published([path], space, path.stem, "published").table.block_values("wall")
    return {block: ns for block, ns in times.items() if ns > SHORTEST_NS}


def shipped() -> Floats:
    """Logarithms of the constants, [7]."""
    return np.log([*filling._NEAR, *filling._FAR, filling._NOISE])


@contextmanager
def use(constants: Floats) -> Iterator[None]:
    before = shipped()
    try:
        _set(constants)
        yield
    finally:
        _set(before)


def _set(constants: Floats) -> None:
    near_sd, near, near_word, far_sd, far, far_word, noise = np.exp(constants).tolist()
    filling._NEAR, filling._FAR = (near_sd, near, near_word), (far_sd, far, far_word)
    filling._NOISE = noise
    fill.cache_clear()


def log_likelihood(times: Times, constants: Floats) -> float:
    """Of what the physical model of all blocks leaves, but for a constant."""
    blocks, values = list(times), np.log(list(times.values()))
    surprise = values - filling._Physical.of(blocks, values).predict(blocks)
    with use(constants):
        noise = filling._NOISE**2 + 1e-9
        root = np.linalg.cholesky(filling._kernel(blocks, blocks) + noise * np.eye(len(blocks)))
    white = np.linalg.solve(root, surprise)
    return float(-(white @ white) / 2 - np.log(np.diag(root)).sum())


def likeliest(times: Times) -> Floats:
    start = shipped()
    bounds = [(each - FARTHEST, each + FARTHEST) for each in start]
    found = minimize(
        lambda constants: -log_likelihood(times, constants), start, method="L-BFGS-B", bounds=bounds
    )
    return np.asarray(found.x)


def judged(times: Times, constants: Floats) -> dict[str, float]:
    """How likely a table is, and how many of its blocks lie within their intervals."""
    blocks, held = list(times), list[bool]()
    with use(constants):
        for seed in range(DRAWS):
            drawn = np.random.default_rng(seed).permutation(len(blocks))
            order = [blocks[number] for number in drawn]
            visited, others = order[: len(order) // 3], order[len(order) // 3 :]
            filled = fill(tuple((block, times[block]) for block in visited), tuple(others))
            held += [
                abs(log(each.value / times[block])) <= each.log_error
                for block, each in filled.items()
            ]
    likelihood = log_likelihood(times, constants) / len(blocks)
    return {"log_likelihood": round(likelihood, 2), "within": round(float(np.mean(held)), 3)}


def networks(times: Times, constants: Floats) -> dict[str, dict[str, float]]:
    """By effort: blocks visited, and the standard deviation of networks' times by that expected."""
    drawn = sample(SPACE, 200, np.random.default_rng(11))
    told = [SPACE.blocks(decode(SPACE, genome)) for genome in drawn]
    found = {}
    with use(constants):
        for effort in (QUICK, NORMAL):
            choice = choose(SPACE, effort.table.fill_error)
            visited = tuple((block, times[block]) for block in choice.visited)
            filled = fill(visited, choice.left_out)
            values = dict(visited) | {block: each.value for block, each in filled.items()}
            errors = [
                log(sum(values[block] for block in each) / sum(times[block] for block in each))
                for each in told
            ]
            ratio = round(float(np.std(errors)) / choice.error, 2)
            found[effort.name] = {"visited": len(choice.visited), "error_over_expected": ratio}
    return found


if __name__ == "__main__":
    main()
