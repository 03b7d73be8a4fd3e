"""How much faster are .tflite files made than by litert-torch, and are they the same?

All that a table of a space is measured from, its blocks and whole networks, goes through our
converter into an empty cache. Of each structure (what a block is but its sizes; and of networks)
litert-torch then converts some, in the same processes on the same cores: its time for the others is
theirs, in the middle of the structure. Both times include how the processes start. The two files of
each are compared operator by operator, with options, types, weights and, in 8 bits, scales, and
both are run on the same input. For "int8" the other side collects the ranges in
ai-edge-quantizer's own default mode.

Prints a table and, as its last line, one JSON object: `ratio`, of seconds; `cpu_ratio`, of CPU
seconds, which other programs on the machine change less; `equal`, the share of compared files with
equal operators and outputs; `largest_difference`, of outputs, relative to the largest.

    python benchmarks/conversion.py --space ofa-mbv3-w1.2 --resolutions 128,160,192,208,224
"""

import argparse
import json
import os
import random
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table as Printed

from harness.measuring.plan import HOLDOUTS, table_entries
from harness.runtimes.conversion.cache import Converter, cache_folder, convert_all
from harness.runtimes.conversion.graph import difference
from harness.runtimes.conversion.ranges import range_inputs
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.session import Workload, seed_of
from harness.spaces.block import Block
from harness.spaces.catalogue import find_space, part_of
from harness.spaces.convolution import convolutions

CLOSE = 1e-5  # of outputs, relative to the largest
Blocks = tuple[Block, ...]


@dataclass(frozen=True)
class LitertTorch:
    """The other side: everything by litert-torch; what a file took stands beside it."""

    precision: str
    suffix: ClassVar[str] = ".theirs"
    slow: ClassVar[bool] = True
    takes_s: ClassVar[tuple[float, float]] = (0.0, 0.0)

    def path(self, workload: Workload) -> Path:
        assert isinstance(workload, tuple)
        return cache_folder() / f"{seed_of(workload)}-{self.precision}{self.suffix}"

    def make(self, workload: Workload) -> bytes:
        import litert_torch  # noqa: F401 - part of how a process starts

        from harness.runtimes.conversion.by_litert_torch import by_litert_torch
        from harness.runtimes.conversion.self_contained import self_contained
        from harness.runtimes.conversion.source import source_of

        started, cpu_started = time.perf_counter(), time.process_time()
        source = source_of(workload)
        content = by_litert_torch(source, 1)
        if self.precision == "int8":
            path = self.path(workload).with_suffix(".float32")
            path.write_bytes(content)
            inputs = range_inputs(workload, source, 1, None).transpose(0, 1, 3, 4, 2)
            content = quantized(path, inputs)
        content = self_contained(content)
        took = [time.perf_counter() - started, time.process_time() - cpu_started]
        self.path(workload).with_suffix(".took").write_text(json.dumps(took))
        return content


def quantized(path: Path, inputs: npt.NDArray[np.float32]) -> bytes:
    """In 8 bits, by ai-edge-quantizer alone."""
    from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
    from ai_edge_quantizer.utils.qsv_utils import min_max_update

    recipes = recipe_manager.RecipeManager()
    recipes.load_quantization_recipe(recipe.static_wi8_ai8())
    ranges = calibrator.Calibrator(str(path), 1, qsv_update_func=min_max_update)
    ranges.calibrate({"serving_default": [{"args_0": each} for each in inputs]}, recipes)
    quantize = quantizer.Quantizer(str(path), recipe.static_wi8_ai8())
    result = quantize.quantize(ranges.get_model_qsvs(), enable_progress_report=False)
    return bytes(result.quantized_model)


@dataclass(frozen=True)
class Took:
    seconds: float
    cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--space", default="ofa-mbv3-w1.2")
    parser.add_argument("--resolutions", default="128,160,192,208,224")
    parser.add_argument("--networks", type=int, default=132, help="whole ones, with the blocks")
    parser.add_argument("--precision", default="float32", choices=("float32", "int8"))
    parser.add_argument("--compare", type=int, default=1, help="of each structure; 0: all")
    parser.add_argument("--compare-networks", type=int, default=4, help="the same of networks")
    asked = parser.parse_args()
    space = part_of(find_space(asked.space), asked.resolutions)
    entries = table_entries(space, asked.networks - HOLDOUTS)
    workloads = [entry.blocks for entry in entries]
    by_structure: dict[str, list[Blocks]] = defaultdict(list)
    for blocks in workloads:
        by_structure[structure(blocks)].append(blocks)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HARNESS_CACHE"] = folder
        ours, theirs = TfliteConverter(1, asked.precision), LitertTorch(asked.precision)
        took = all_converted(ours, workloads)
        chosen = {
            name: some(found, asked.compare_networks if name == NETWORK else asked.compare)
            for name, found in by_structure.items()
        }
        sample = [blocks for found in chosen.values() for blocks in found]
        sampled = all_converted(theirs, sample)
        whole = extrapolated(theirs, sampled, chosen, by_structure)
        apart = {blocks: compared(ours, theirs, blocks) for blocks in sample}
    show(asked, len(workloads), took, whole, apart)


NETWORK = "network"


def structure(blocks: Blocks) -> str:
    """What decides the operators."""
    if len(blocks) > 1:
        return NETWORK
    (block,) = convolutions(blocks)
    parts = (
        *(block.kind, f"k{block.kernel}", f"s{block.stride}", block.act),
        *(("se",) if block.se_channels else ()),
        *(("residual",) if block.residual else ()),
        *(("unexpanded",) if block.mid_channels == block.in_channels else ()),
    )
    return " ".join(parts)


def some(found: Sequence[Blocks], count: int) -> list[Blocks]:
    return random.Random(0).sample(found, min(count or len(found), len(found)))


def all_converted(converter: Converter, workloads: Sequence[Workload]) -> Took:
    started, cpu_started = time.perf_counter(), cpu_s()
    convert_all(converter, workloads)
    return Took(time.perf_counter() - started, cpu_s() - cpu_started)


def cpu_s() -> float:
    """Of this process and of those that have ended."""
    used = [resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def extrapolated(
    theirs: LitertTorch,
    sampled: Took,
    chosen: dict[str, list[Blocks]],
    by_structure: dict[str, list[Blocks]],
) -> Took:
    """To all files: what a file of each structure took, and how the processes start."""
    at_once = min(sum(map(len, chosen.values())), os.cpu_count() or 1)
    busy, all_busy = np.zeros(2), np.zeros(2)
    for name, found in chosen.items():
        took = [json.loads(theirs.path(each).with_suffix(".took").read_text()) for each in found]
        mean = np.array([fmean(column) for column in zip(*took, strict=True)])
        busy += len(found) * mean
        all_busy += len(by_structure[name]) * mean
    start_s = max(0.0, sampled.seconds - busy[0] / at_once)
    start_cpu_s = max(0.0, sampled.cpu_s - busy[1])
    return Took(start_s + all_busy[0] / at_once, start_cpu_s + all_busy[1])


def compared(ours: Converter, theirs: Converter, blocks: Blocks) -> tuple[str, float]:
    """What is different in the files, and how far outputs are apart."""
    contents = [each.path(blocks).read_bytes() for each in (ours, theirs)]
    mine, other = (outputs(content) for content in contents)
    apart = np.inf
    if mine.shape == other.shape:
        apart = float(np.abs(mine - other).max() / max(np.abs(other).max(), 1e-30))
    return difference(*contents), apart


def outputs(content: bytes) -> npt.NDArray[np.float32]:
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_content=content, num_threads=1)
    model.allocate_tensors()
    (given,), (wanted,) = model.get_input_details(), model.get_output_details()
    values = np.random.default_rng(0).standard_normal(given["shape"]).astype(np.float32)
    if given["dtype"] != np.float32:
        scale, zero = given["quantization"]
        values = np.clip(np.round(values / scale) + zero, -128, 127).astype(given["dtype"])
    model.set_tensor(given["index"], values)
    model.invoke()
    found: npt.NDArray[np.float32] = model.get_tensor(wanted["index"]).astype(np.float32)
    return found


def show(
    asked: argparse.Namespace,
    files: int,
    ours: Took,
    theirs: Took,
    apart: dict[Blocks, tuple[str, float]],
) -> None:
    equal = [not text and far <= CLOSE for text, far in apart.values()]
    figures: dict[str, Any] = {
        "ratio": theirs.seconds / ours.seconds,
        "cpu_ratio": theirs.cpu_s / ours.cpu_s,
        "equal": fmean(equal),
        "largest_difference": max(far for _, far in apart.values()),
        "precision": asked.precision,
        "files": files,
        "compared": len(apart),
        "seconds": ours.seconds,
        "cpu_s": ours.cpu_s,
        "litert_torch_seconds": theirs.seconds,
        "litert_torch_cpu_s": theirs.cpu_s,
    }
    title = f"{files} files of {asked.space}, {asked.precision}, on {os.cpu_count()} processors"
    printed = Printed(title=title)
    for heading in ("", "seconds", "CPU seconds"):
        printed.add_column(heading, justify="right" if heading else "left")
    printed.add_row("ours", f"{ours.seconds:.1f}", f"{ours.cpu_s:.1f}")
    printed.add_row("litert-torch", f"{theirs.seconds:.0f}", f"{theirs.cpu_s:.0f}")
    printed.add_row("ratio", f"{figures['ratio']:.1f}", f"{figures['cpu_ratio']:.1f}")
    console = Console()
    console.print(printed)
    console.print(f"{sum(equal)} of {len(apart)} compared files are equal")
    for blocks, (text, far) in apart.items():
        if text or far > CLOSE:
            console.print(f"{blocks[0].key} ({len(blocks)}): {text}; outputs {far:.2g} apart")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
