"""Accuracy against sparsity: pruned, pre-defined, lottery tickets, and dense networks of that size.

One network of digits (12 x 12 pixels) is trained from random weights by `harness finetune`'s own
code, which makes zeros in three ways: the smallest weights little by little (while it is trained
for the first time, or trained once more), connections drawn at random before training, and lottery
tickets, which train once more for each halving. Dense networks have fewer inner channels, so many
that as many weights are there as the sparse ones have left. All with the same images, rates and
steps a training; nothing is chosen by accuracy, and the held-out images only judge. Runs are
network files in --folder: an interrupted benchmark goes on.

Prints a table, saves the figure, and prints, as its last line, one JSON object.

    python benchmarks/sparsity.py --output docs/sparsity.png [--seeds 3] [--epochs 12]
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from harness.errors import UsageError
from harness.networks.build import build, build_lively
from harness.networks.file import NetworkFile, Preprocessing
from harness.reports.style import COLOURS, as_csv, drawing, plain, save
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.digits import DIGITS
from harness.training.channels import cut
from harness.training.data import MEAN, STD, Digits
from harness.training.finetune import Tuning, finetune
from harness.training.sparsity import Sparsity, thinned

ARCH = Arch(12, (1, 1, 1), (3,) * 9, (6,) * 9)
ZEROS = (0.5, 0.75, 0.875, 0.9375)  # where lottery tickets pass when they halve
LEARNING_RATE, BATCH = 0.1, 64
EARLY = 0.1  # of a training: where tickets go back to
NEAR = 0.05  # how far a dense network's weights may be from as many as a sparse one's
WAYS = (
    "pruned while trained",
    "pre-defined",
    "lottery tickets",
    "dense, as many weights",
    "trained, then pruned",
)

Accuracies = dict[str, dict[float, list[float]]]  # by way, by share of zeros: of each seed, percent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("sparsity.png"))
    parser.add_argument("--folder", type=Path, default=Path("sparsity-runs"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=float, default=12)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    data = Digits.load()
    found: Accuracies = {way: {} for way in WAYS}
    narrow = {share: narrower(left_of(share)) for share in ZEROS}
    sizes = {share: blocks for share, blocks in narrow.items() if near(blocks, left_of(share))}
    for seed in range(asked.seeds):
        for way, share, accuracy in runs(data, sizes, asked.epochs, seed, asked.folder):
            found[way].setdefault(share, []).append(accuracy)
            print(f"seed {seed}: {way}, {share:.2%} zeros: {accuracy:.1f} %", flush=True)
    show(found)
    draw(found, asked.output)
    report(found, sizes, asked.epochs)


def runs(
    data: Digits, sizes: dict[float, tuple[Block, ...]], epochs: float, seed: int, folder: Path
) -> list[tuple[str, float, float]]:
    """All trainings of a seed: way, share of zeros, accuracy."""
    tuning = Tuning(epochs, LEARNING_RATE, BATCH, seed)
    rewind = round(EARLY * tuning.steps(data.count))
    whole = DIGITS.blocks(ARCH)

    def trained(
        name: str, start: tuple[Block, ...] | NetworkFile, sparsity: Sparsity | None
    ) -> NetworkFile:
        path = folder / f"{name}-{seed}.pt"
        settings = replace(tuning, sparsity=sparsity)
        network = start if isinstance(start, NetworkFile) else random_network(start, seed)
        return finetune(network, data, settings, path, {"benchmark": name})

    full = trained("full", whole, None)
    again = trained("full-again", full, None)  # what the second training alone brings
    found = [(way, 0.0, judged(again if way == WAYS[4] else full)) for way in WAYS]
    for share in ZEROS:
        later = trained(f"later-{share}", full, Sparsity(share))
        found.append((WAYS[4], share, judged(later)))
        pruned = trained(f"pruned-{share}", whole, Sparsity(share))
        drawn = trained(f"predefined-{share}", whole, Sparsity(share, "predefined"))
        found += [(WAYS[0], share, judged(pruned)), (WAYS[1], share, judged(drawn))]
        if share in sizes:
            dense = trained(f"dense-{share}", sizes[share], None)
            found.append((WAYS[3], share, judged(dense)))
    ticket = trained("tickets", whole, Sparsity(ZEROS[-1], rewind=rewind))
    rounds = zip(ZEROS[:-1], ticket.origin["tickets"][1:], strict=True)
    found += [(WAYS[2], share, each["accuracy"]) for share, each in rounds]
    return [*found, (WAYS[2], ZEROS[-1], judged(ticket))]


def judged(network: NetworkFile) -> float:
    return float(network.origin["held_out"]["accuracy_after"])


def random_network(blocks: tuple[Block, ...], seed: int) -> NetworkFile:
    weights = dict(build_lively(blocks, seed).state_dict())
    names = tuple(str(digit) for digit in range(10))
    return NetworkFile("digits", None, blocks, weights, Preprocessing(12, MEAN, STD), names, {})


def weights_of(blocks: tuple[Block, ...]) -> int:
    with torch.device("meta"):
        parameters = list(build(blocks).parameters())
    return sum(each.numel() for each in parameters if each.ndim > 1)


def left_of(share: float) -> int:
    """Weights that a sparse network has: those of layers that are left whole among them."""
    with torch.device("meta"):
        network = build(DIGITS.blocks(ARCH))
    gone = sum(round(share * each.numel()) for each in thinned(network).values())
    return weights_of(DIGITS.blocks(ARCH)) - gone


def narrower(weights: int) -> tuple[Block, ...]:
    """The network with fewer inner channels whose number of weights is nearest."""
    whole = random_network(DIGITS.blocks(ARCH), 0)
    found = [whole.blocks]
    for share in np.arange(0.02, 1, 0.02):
        try:
            found.append(cut(whole, float(share)).blocks)
        except UsageError:
            continue
    return min(found, key=lambda blocks: abs(weights_of(blocks) - weights))


def near(blocks: tuple[Block, ...], weights: int) -> bool:
    """Inner channels come in fours: below some size there is no network."""
    return abs(weights_of(blocks) / weights - 1) <= NEAR


def show(found: Accuracies) -> None:
    printed = Table(title="accuracy on held-out images, %")
    printed.add_column("zeros")
    printed.add_column("weights left", justify="right")
    for way in found:
        printed.add_column(way, justify="right")
    for share in (0.0, *ZEROS):
        row = [spread(by_share.get(share, [])) for by_share in found.values()]
        printed.add_row(f"{share:.2%}", str(left_of(share)), *row)
    Console(width=120).print(printed)


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds."""
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else "-"
    return f"{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}"


def report(found: Accuracies, sizes: dict[float, tuple[Block, ...]], epochs: float) -> None:
    facts: dict[str, Any] = {
        "epochs": epochs,
        "weights": weights_of(DIGITS.blocks(ARCH)),
        "left": {share: left_of(share) for share in ZEROS},
        "dense": {share: weights_of(blocks) for share, blocks in sizes.items()},
        "trainings_of_tickets": {share: round(1 - np.log2(1 - share)) for share in ZEROS},
        "accuracy": found,
    }
    print(json.dumps(facts))


def draw(found: Accuracies, output: Path) -> None:
    with drawing("sparsity") as plt:
        figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
        shares = (0.0, *ZEROS)
        left = {share: left_of(share) for share in shares}
        for (way, by_share), colour in zip(found.items(), COLOURS, strict=False):
            dashed = "--" if way == WAYS[3] else "-"
            there = sorted(by_share)
            means = [np.mean(by_share[share]) for share in there]
            xs = [left[share] for share in there]
            axes.plot(xs, means, dashed, color=colour, linewidth=1.8, label=way)
            for share in there:
                ys = by_share[share]
                axes.scatter([left[share]] * len(ys), ys, s=12, color=colour, linewidth=0)
        axes.set_xscale("log")
        ticks = [f"{weights}\n{share:.4g}" for share, weights in left.items()]
        axes.set_xticks(list(left.values()), ticks)
        axes.minorticks_off()
        axes.invert_xaxis()
        axes.set_xlabel("weights left; below, share of zeros in layers that are thinned")
        axes.set_ylabel("accuracy on held-out images, %")
        axes.set_title("digits: a line is the mean, a point a seed", loc="left", fontweight="bold")
        axes.legend(frameon=False, loc="lower left")
        plain(axes, "y")
        rows = [
            (way, share, left_of(share), seed, accuracy)
            for way, by_share in found.items()
            for share, accuracies in by_share.items()
            for seed, accuracy in enumerate(accuracies)
        ]
        names = ("way", "zeros", "weights_left", "seed", "accuracy")
        save(figure, output.parent, output.stem, as_csv(names, rows))


if __name__ == "__main__":
    main()
