"""How well does the DPU's cost model agree with blocks measured on a board, and what is each of its
parts worth?

Reads every `fpga/*.csv` below HARNESS_DATA (the columns of `harness devices fit`). The first table
has the shipped constants of zu3eg, nothing fitted; what is fitted is judged on blocks left out.
What lies on maps of one pixel (classifiers, what stands before them) is judged apart, with its
share of whole networks. ZU9EG is set beside published frame rates. Prints tables and, as its last
line, one JSON object.

    python benchmarks/dpu_accuracy.py [--skip TYPE]
"""

import argparse
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from zcu102_networks import NETWORKS, PUBLISHED_FPS

from harness.device.device import Device
from harness.errors import FileFormatError, Infeasible
from harness.runtimes.dpu import fit, model
from harness.runtimes.dpu.architecture import WEIGHT_BYTES_PER_CYCLE, Dpu, Map
from harness.runtimes.dpu.fit import Error, error, measured_ms, predicted_ms
from harness.runtimes.dpu.measurements import Measured, left_aside, read
from harness.runtimes.dpu.model import Cost, block_cost, network_cost
from harness.runtimes.dpu.options import DpuOptions
from harness.runtimes.dpu.timeline import Timeline
from harness.spaces.catalogue import find_space
from harness.spaces.convolution import Convolution, convolutions
from harness.spaces.genome import decode, sample

Floats = npt.NDArray[np.float64]
Regression = Callable[[Floats, Floats, Floats], Floats]  # features, times; features -> times
DATA = Path(os.environ.get("HARNESS_DATA", "../shared/data"))
ONE = "maps of one pixel"
DRAWN = 100  # networks of a space
ANY_KERNEL = 5  # what all count as where the kernel must not matter
WORST = 8  # blocks shown
FOUND_ON = "the model was found on, its constants fitted to, ultra96_b2304_dev.csv"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--skip", action="append", default=[], help="a block_type to leave aside")
    skip = parser.parse_args().skip
    files = {path.name: read_file(path, skip) for path in sorted(DATA.glob("fpga/*.csv"))}
    if not files:
        raise SystemExit(f"no fpga/*.csv below {DATA}: set HARNESS_DATA")
    measured = [each for of_file in files.values() for each in of_file]
    both = (Device.find(name, Path()).options for name in ("zu3eg", "zu9eg"))
    board, larger = (Dpu.of(options.of(DpuOptions)) for options in both)
    by_kernel = {
        str(kernel): [each for each in measured if each.block.kernel == kernel]
        for kernel in sorted({each.block.kernel for each in measured})
    }
    shipped = {
        name: error(predicted_ms(board, group), measured_ms(group))
        for name, group in {
            "all": measured,
            **{f"kernel {kernel}": group for kernel, group in by_kernel.items()},
            ONE: [each for each in measured if on_one_pixel(each.block)],
            **(files if len(files) > 1 else {}),
        }.items()
        if group
    }
    left_out = ablations(board, measured) | yardsticks(board, measured)
    stages = by_stage(board, measured)
    rates = frame_rates(larger)
    shares = shares_of_one_pixel(board)
    console = Console()
    title = "Shipped constants of zu3eg, nothing fitted here"
    console.print(errors(title, shipped, FOUND_ON))
    console.print(worst(board, measured))
    title = f"Constants fitted anew, judged on blocks left out ({fit.FOLDS} folds)"
    console.print(errors(title, left_out))
    if stages:
        console.print(errors("Each stage by a fit to all others", stages))
    console.print(traffic(board, measured))
    console.print(one_pixel(shares, shipped.get(ONE)))
    console.print(published(rates))
    found = figures(shipped["all"]) | {
        "by_kernel": {kernel: figures(shipped[f"kernel {kernel}"]) for kernel in by_kernel},
        "one_pixel": figures(shipped[ONE]) if ONE in shipped else None,
        "one_pixel_shares": shares,
        "held_out": figures(left_out["full model"]),
        "by_stage": {stage: each.mape for stage, each in stages.items()},
        "ablations": {name: figures(each) for name, each in left_out.items()},
        "zu9eg_fps_ratio": {name: fps / PUBLISHED_FPS[name] for name, fps in rates.items()},
    }
    print(json.dumps(found))


def read_file(path: Path, skip: Sequence[str]) -> list[Measured]:
    try:
        for kind, count in left_aside(path, skip).items():
            print(f"{path.name}: {count} rows of type {kind} left aside")
        return read(path, skip)
    except FileFormatError as error:
        raise SystemExit(str(error)) from error


def figures(of: Error) -> dict[str, Any]:
    """For JSON; a rank correlation of too few blocks is null."""
    return asdict(of) | {"kendall": None if math.isnan(of.kendall) else of.kendall}


def errors(title: str, rows: Mapping[str, Error], caption: str | None = None) -> Table:
    table = Table(title=title, caption=caption)
    table.add_column("", no_wrap=True)
    for heading in ("blocks", "MAPE", "in 10 %", "tau"):
        table.add_column(heading, justify="right")
    for name, each in rows.items():
        shares = f"{each.mape:.1%}", f"{each.within_10:.1%}"
        tau = "-" if math.isnan(each.kendall) else f"{each.kendall:.3f}"
        table.add_row(name, str(each.blocks), *shares, tau)
    return table


def worst(dpu: Dpu, measured: Sequence[Measured]) -> Table:
    table = Table(title="Largest errors")
    table.add_column("block", no_wrap=True)
    for heading in ("ms", "model", "error"):
        table.add_column(heading, justify="right", no_wrap=True)
    predictions = predicted_ms(dpu, measured)
    off = predictions / measured_ms(measured) - 1
    for place in np.argsort(-np.abs(off))[:WORST]:
        each = measured[place]
        times = f"{each.latency_ms:.3f}", f"{predictions[place]:.3f}"
        table.add_row(each.block.key, *times, f"{off[place]:+.1%}")
    return table


# Parts of the model, replaced for the time of an ablation.

alu_steps, load_weights = Dpu.alu_steps, Timeline.load_weights


def array_steps(dpu: Dpu, features: Map) -> float:
    """A depthwise convolution with as many multiply-accumulates a cycle as any other."""
    rows = math.ceil(features.height / dpu.architecture.pixel_parallel)
    words = dpu.channel_words(features.channels)
    return words * rows * features.width / dpu.architecture.channel_parallel


def alu_swish(dpu: Dpu, features: Map) -> float:
    return dpu.constants.pass_cycles * alu_steps(dpu, features)


def any_kernel(dpu: Dpu, block: Convolution) -> Cost:
    return block_cost(dpu, replace(block, kernel=ANY_KERNEL) if block.kind == "mbconv" else block)


def bytes_alone(_dpu: Dpu, vectors: int, vector_bytes: int) -> float:
    return vectors * vector_bytes / WEIGHT_BYTES_PER_CYCLE


def in_turn(line: Timeline, vectors: int, vector_bytes: int, _since: float | None = None) -> None:
    load_weights(line, vectors, vector_bytes)


ABLATIONS: dict[str, AbstractContextManager[object]] = {
    "full model": nullcontext(),
    "depthwise on the full array": patch.multiple(Dpu, alu_steps=array_steps, swish=alu_swish),
    "depthwise independent of the kernel": patch.object(fit, "block_cost", any_kernel),
    "no h_swish passes": patch.object(model, "_swish", lambda *_: None),
    "no cost per weight vector": patch.object(Dpu, "weights", bytes_alone),
    "no spills": patch.object(Dpu, "words", lambda *_: 0),
    "always serial": patch.object(Timeline, "load_weights", in_turn),
    "always overlapped": patch.object(model, "stays_on_chip", lambda *_: True),
}


def ablations(dpu: Dpu, measured: Sequence[Measured]) -> dict[str, Error]:
    """Each variant with its constants fitted anew."""
    found = {}
    for name, replaced in ABLATIONS.items():
        with replaced:
            found[name] = fit.held_out_error(dpu, measured)
    return found


def yardsticks(dpu: Dpu, measured: Sequence[Measured]) -> dict[str, Error]:
    """Predictions without a model of the DPU; the roofline has nothing to fit."""
    macs = np.array([each.block.macs for each in measured], float)
    moved = np.array([moved_bytes(dpu, each) for each in measured], float)
    truth_ms = measured_ms(measured)
    roofline_ms = np.maximum(2 * macs / dpu.peak_gops, moved / dpu.ddr_gb_s) / 1e6
    coarse = np.column_stack((macs, moved)) / 1e6
    fine = np.column_stack((coarse, [shape(each.block) for each in measured]))
    groups = np.array(fit.folds(measured))

    def held_out(features: Floats, regression: Regression) -> Error:
        predicted = np.empty(len(measured))
        for group in sorted(set(groups)):
            own = groups == group
            predicted[own] = regression(features[~own], truth_ms[~own], features[own])
        return error(predicted, truth_ms)

    return {
        "yardstick: roofline": error(roofline_ms, truth_ms),
        "yardstick: linear in MACs, bytes": held_out(coarse, linear),
        "yardstick: boosting on shapes": held_out(fine, boosting),
    }


def moved_bytes(dpu: Dpu, measured: Measured) -> int:
    """Loaded and saved, as the compiler has it where the file tells."""
    if measured.loaded_bytes is None or measured.saved_bytes is None:
        return block_cost(dpu, measured.block).traffic_bytes
    return measured.loaded_bytes + measured.saved_bytes


def shape(block: Convolution) -> tuple[float, ...]:
    channels = block.in_channels, block.mid_channels, block.out_channels, block.se_channels
    others = block.height, block.width, block.kernel, block.stride
    return (*channels, *others, block.act == "h_swish", block.residual, block.kind == "conv")


def linear(features: Floats, times_ms: Floats, asked: Floats) -> Floats:
    """Least squares of relative errors."""
    from sklearn.linear_model import LinearRegression

    fitted = LinearRegression().fit(features, times_ms, sample_weight=times_ms**-2)
    return np.asarray(fitted.predict(asked))


def boosting(features: Floats, times_ms: Floats, asked: Floats) -> Floats:
    """Of the logarithm of time; shapes, MACs and bytes."""
    from sklearn.ensemble import GradientBoostingRegressor

    trees = GradientBoostingRegressor(n_estimators=300, subsample=0.5, random_state=0)
    return np.asarray(np.exp(trees.fit(features, np.log(times_ms)).predict(asked)))


def by_stage(dpu: Dpu, measured: Sequence[Measured]) -> dict[str, Error]:
    """Empty where the files tell no stages, or one only."""
    staged = [each for each in measured if each.stage]
    groups = [each.stage for each in staged]
    if len(set(groups)) < 2:
        return {}
    return {
        stage: error(predicted, measured_ms([each for each in staged if each.stage == stage]))
        for stage, predicted in sorted(fit.left_out(dpu, staged, groups).items())
    }


def traffic(dpu: Dpu, measured: Sequence[Measured]) -> Table:
    """The model counts no rows that neighbouring tiles share, and therefore moves less."""
    table = Table(title="Bytes moved, beside the compiler's")
    for heading in ("", "exact", "largest difference, of"):
        table.add_column(heading, no_wrap=True)
    costs = [(each, block_cost(dpu, each.block)) for each in measured]
    for name, pairs in {
        "loaded": [(each, each.loaded_bytes, cost.loaded_bytes) for each, cost in costs],
        "saved": [(each, each.saved_bytes, cost.saved_bytes) for each, cost in costs],
    }.items():
        off = [(ours / known - 1, each.block.key) for each, known, ours in pairs if known]
        exact = sum(difference == 0 for difference, _ in off)
        largest, block = max(off, key=lambda pair: abs(pair[0]), default=(0, ""))
        shown = f"{largest:+.1%} {block}" if largest else "-"
        table.add_row(name, f"{exact} of {len(off)}", shown)
    return table


def on_one_pixel(block: Convolution) -> bool:
    """A layer with weights each of which is used once: nothing hides how long they take to load."""
    return block.kind != "pool" and block.height == block.width == 1


def shares_of_one_pixel(dpu: Dpu) -> dict[str, list[float]]:
    """The least, median and largest share of a network's time, of random networks."""
    found = {}
    for name in ("ofa-mbv3-w1.0", "ofa-mbv3-w1.2", "ofa-proxyless-w1.3", "ofa-resnet50"):
        space = find_space(name)
        shares = []
        for genome in sample(space, DRAWN, np.random.default_rng(0)):
            blocks = space.blocks(decode(space, genome))
            with suppress(Infeasible):
                whole = network_cost(dpu, blocks).cycles
                last = [block for block in convolutions(blocks) if on_one_pixel(block)]
                shares.append(network_cost(dpu, last).cycles / whole)
        found[name] = [float(share) for share in np.quantile(shares, (0, 0.5, 1))]
    return found


def one_pixel(shares: Mapping[str, Sequence[float]], off: Error | None) -> Table:
    """How far what is wrong on one pixel moves whole networks."""
    table = Table(title=f"Share of whole networks' time on maps of one pixel, {DRAWN} random ones")
    for heading in ("", "least", "median", "largest", "off by that much at the median"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, each in shares.items():
        moved = "-" if off is None else f"{off.mape * each[1]:.1%}"
        table.add_row(name, *(f"{share:.1%}" for share in each), moved)
    table.caption = "no such layer was measured" if off is None else f"their error: {off.mape:.1%}"
    return table


def frame_rates(dpu: Dpu) -> dict[str, float]:
    """Simulated frames/s of each published network."""
    return {
        name: 1e6 * dpu.clock_mhz / network_cost(dpu, blocks).cycles
        for name, blocks in NETWORKS.items()
    }


def published(rates: Mapping[str, float]) -> Table:
    table = Table(title="ZU9EG, one core: uncalibrated")
    for heading in ("", "GMACs", "simulated fps", "published fps", "ratio"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, fps in rates.items():
        macs = sum(block.macs for block in NETWORKS[name])
        row = f"{macs / 1e9:.3f}", f"{fps:.0f}", str(PUBLISHED_FPS[name])
        table.add_row(name, *row, f"{fps / PUBLISHED_FPS[name]:.2f}")
    table.caption = (
        "the constants were fitted on another board; published: one thread, the CPU's work before "
        "and after the DPU included"
    )
    return table


if __name__ == "__main__":
    main()
