"""The memory that networks were planned to take on microcontrollers, against TFLite Micro itself.

Random networks of three spaces (squeeze-and-excitation and h_swish among them) become int8 .tflite
files, and the interpreter tells what it took of its arena: the head, which the maps share, has to
be what was planned from the blocks alone and from the file; all of it, and the size of the file,
are compared too. Models of other people lie in HARNESS_DATA/tinyml. Networks of TinyEngine's README
(STM32H743) are compared with what is printed there for TFLite Micro and for TinyEngine.

Prints tables, and as its last line one JSON object: `exact` and `largest_error` are of heads, by
the blocks; `files_exact` is of heads by the file, other people's included.

    python benchmarks/arena.py [--networks 40]
"""

import argparse
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.errors import TargetFailed
from harness.memory.arena import arena_bytes
from harness.memory.in_place import in_place_bytes
from harness.memory.model_file import read_graph
from harness.memory.needs import (
    FILE,
    arena_of,
    flash_of,
    head_bytes,
    in_place_of,
)
from harness.memory.parts import part_of
from harness.networks.baselines import BASELINES
from harness.runtimes.conversion.cache import convert_all, converted
from harness.runtimes.conversion.self_contained import self_contained, without_names
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.session import Workload
from harness.runtimes.tflite_micro import Arena, arena_of_file
from harness.spaces.block import Block
from harness.spaces.catalogue import find_space
from harness.spaces.genome import decode, sample
from harness.spaces.mobile import conv, plain
from harness.spaces.space import make_divisible

SPACES = (("digits", None), ("ofa-proxyless-w0.35", 128), ("ofa-mbv3-w0.35", 128))
PRINTED = (  # SRAM in kB of TFLite Micro and of TinyEngine: TinyEngine's README, STM32H743
    ("mobilenet-v2", 0.3, 64, 173, 61),
    ("proxylessnas-mobile", 0.3, 176, 453, 259),
    ("proxylessnas-mobile", 0.3, 64, 128, 35),
)
PRINTED_VWW = ("vww.tflite", 220, 92)  # of the same README; MCUNet's network itself
DATA = Path(os.environ.get("HARNESS_DATA", "../shared/data")) / "tinyml"
CONVERTER = TfliteConverter(1, "int8")
SEED = 0


@dataclass(frozen=True)
class Judged:
    """A network: what was planned, and what came out."""

    space: str
    blocks: tuple[Block, ...]
    took: Arena
    by_file: int  # the head by the graph in the file
    file_bytes: int

    @property
    def head_error(self) -> float:
        return abs(head_bytes(self.blocks) / self.took.head - 1)

    @property
    def total_error(self) -> float:
        return abs(arena_of(self.blocks) / self.took.total - 1)

    @property
    def flash_error(self) -> float:
        return abs((FILE + sum(map(flash_of, self.blocks))) / self.file_bytes - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", type=int, default=40)
    judged = networks(parser.parse_args().networks)
    others = other_files()
    printed = published()
    show(judged, printed)
    exact = [each.head_error == 0 for each in judged]
    files = [each.by_file == each.took.head for each in judged] + list(others.values())
    result = {
        "networks": len(judged),
        "exact": float(np.mean(exact)),
        "largest_error": max(each.head_error for each in judged),
        "files": len(files),
        "files_exact": float(np.mean(files)),
        "largest_error_with_bookkeeping": max(each.total_error for each in judged),
        "largest_error_flash": max(each.flash_error for each in judged),
        "fragmented": float(np.mean([fragmented(each.blocks) for each in judged])),
        "printed_tflite_micro": max(abs(ours / theirs - 1) for _, ours, theirs, *_ in printed),
        "printed_tinyengine": max(abs(ours / theirs - 1) for *_, ours, theirs in printed),
    }
    print(json.dumps(result))


def networks(count: int) -> list[Judged]:
    """Random ones, as many of each space."""
    found: list[tuple[str, tuple[Block, ...]]] = []
    for number, (name, pixels) in enumerate(SPACES):
        space = find_space(name) if pixels is None else find_space(name).at([pixels])
        share = (count + len(SPACES) - 1 - number) // len(SPACES)
        genomes = sample(space, share, np.random.default_rng(SEED))
        found += [(name, space.blocks(decode(space, genome))) for genome in genomes]
    workloads: list[Workload] = [blocks for _, blocks in found]
    convert_all(CONVERTER, workloads)
    return [judge(name, blocks) for name, blocks in found]


def judge(space: str, blocks: tuple[Block, ...]) -> Judged:
    path = converted(CONVERTER, blocks)
    by_file = arena_bytes(read_graph(path).buffers)
    return Judged(
        space, blocks, arena_of_file(path), by_file, len(without_names(path.read_bytes()))
    )


def fragmented(blocks: tuple[Block, ...]) -> bool:
    """Whether the planner takes more than is ever alive."""
    return head_bytes(blocks) > max(part_of(block).alive_bytes for block in blocks)


def other_files() -> dict[str, bool]:
    """Models of other people, and whether their heads were planned exactly."""
    found = {}
    with TemporaryDirectory() as folder:
        for model in sorted(DATA.glob("*.tflite")):
            inside = Path(folder) / model.name
            inside.write_bytes(self_contained(model.read_bytes()))
            try:
                planned = arena_bytes(read_graph(inside).buffers)
            except TargetFailed as error:
                print(f"left out: {error}")
                continue
            took = arena_of_file(inside)
            found[model.name] = planned == took.head
            print(f"{model.name}: planned {planned}, took {took.head} of {took.total} bytes")
    return found


def published() -> list[tuple[str, float, int, float, int]]:
    """Name; SRAM of TFLite Micro by us and as printed, of TinyEngine by us and as printed, kB."""
    found = []
    for name, width, pixels, micro, tiny in PRINTED:
        blocks = scaled(name, width, pixels)
        in_place = max(map(in_place_of, blocks))
        found.append(
            (f"{name} {width} {pixels}", arena_of(blocks) / 1e3, micro, in_place / 1e3, tiny)
        )
    name, micro, tiny = PRINTED_VWW
    if (DATA / name).is_file():
        graph, took = read_graph(DATA / name), arena_of_file(DATA / name)
        found.append((name, took.total / 1e3, micro, in_place_bytes(graph) / 1e3, tiny))
    return found


def scaled(name: str, width: float, pixels: int) -> list[Block]:
    """A published network with all its channels scaled, as MCUNet's repository does."""
    (network,) = (each for each in BASELINES if each.name == name)

    def channels(count: int) -> int:
        return make_divisible(count * width, 8)

    blocks = [conv(pixels, 3, channels(network.stem), 3, 2, network.act)]
    for layer in network.layers:
        blocks.append(replace(layer, out=channels(layer.out)).after(blocks[-1]))
    last, head = blocks[-1], channels(network.head)
    blocks.append(conv(last.out_height, last.out_channels, head, 1, 1, network.act))
    blocks.append(plain("pool", last.out_height, head, head, "none"))
    return [*blocks, plain("linear", 1, head, 1000, "none")]


def show(judged: list[Judged], printed: list[tuple[str, float, int, float, int]]) -> None:
    table = Table(title="planned against TFLite Micro")
    for heading in ("space", "networks", "heads exact", "whole arena within", "file within"):
        table.add_column(heading)
    for name, _ in SPACES:
        own = [each for each in judged if each.space == name]
        exact = sum(each.head_error == 0 for each in own)
        total, flash = (
            max(getattr(e, f"{what}_error") for e in own) for what in ("total", "flash")
        )
        table.add_row(name, str(len(own)), str(exact), f"{total:.2%}", f"{flash:.2%}")
    Console().print(table)
    table = Table(title="SRAM, kB: here and as printed (STM32H743)")
    for heading in ("network", "TFLite Micro", "printed", "in place", "TinyEngine printed"):
        table.add_column(heading)
    for name, *values in printed:
        table.add_row(name, *(f"{value:.4g}" for value in values))
    Console().print(table)


if __name__ == "__main__":
    main()
