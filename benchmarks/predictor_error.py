"""How good must the accuracy predictor be? The paper's figure 12, from our own on digits.

Predictors are fitted to more and more evaluated sub-networks; each steers a search within three
MAC limits; what it finds is then really evaluated. Prints a table, saves the figure, and prints,
as its last line, one JSON object. The first run trains the supernet (about two minutes).

    python benchmarks/predictor_error.py --root /tmp/figure-12 --output docs/predictor-error.png
"""

import argparse
import json
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from harness.cli.terminal import Terminal
from harness.effort import NORMAL
from harness.pipeline import steps
from harness.pipeline.job import Run
from harness.pipeline.supernet import evaluate_subnets
from harness.predictors.accuracy import fit
from harness.reports.style import COLOURS, as_csv, drawing, plain, save
from harness.searching.archive import search_front
from harness.searching.objectives import Cost, Objectives
from harness.spaces.cost import CostTable
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode
from harness.training.evaluate import SubnetEvaluator
from harness.workspace import Workspace

SIZES = (10, 20, 40, 80, 160, 400)  # evaluated sub-networks that a predictor is fitted to
LIMITS = (0.35, 0.7, 1.2)  # million MACs
EVALUATIONS = 10_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--output", type=Path, default=Path("predictor-error.png"))
    parser.add_argument("--seeds", type=int, default=4)
    arguments = parser.parse_args()
    job = Run(Workspace(arguments.root), DIGITS, Terminal(), NORMAL)
    evaluator = steps.train(job)
    genomes, accuracies = evaluate_subnets(job, evaluator)
    macs = CostTable.of(DIGITS, lambda block: block.macs / 1e6)
    cost = Cost("MAC count", "M", macs.total, *macs.cheapest())
    rows = []
    for size in SIZES:
        for seed in range(arguments.seeds):
            chosen = np.random.default_rng([seed, size]).choice(len(genomes), size, replace=False)
            predictor = fit(DIGITS, genomes[chosen], accuracies[chosen], seed)
            unseen = np.setdiff1d(np.arange(len(genomes)), chosen)
            error = predictor.quality.rmse
            if len(unseen):
                gaps = predictor.accuracy(genomes[unseen]) - accuracies[unseen]
                error = float(np.sqrt(np.mean(gaps**2)))
            objectives = Objectives(DIGITS, predictor.accuracy, cost)
            rows.append((size, error, *found(objectives, evaluator, seed)))
    show(rows, arguments.output)


def found(objectives: Objectives, evaluator: SubnetEvaluator, seed: int) -> list[float]:
    """Accuracy on validation images, percent, of what is found within each limit."""
    front = search_front(objectives, EVALUATIONS, seed)
    accuracies = []
    for limit in LIMITS:
        best = front.genomes[front.cost <= limit][-1]
        accuracies.append(evaluator.accuracy(decode(DIGITS, best)))
    return accuracies


def show(rows: list[tuple[float, ...]], output: Path) -> None:
    printed = Table(title="what a predictor is fitted to, its error, and what its search finds")
    limits = [f"{limit:g}M MACs, %" for limit in LIMITS]
    for heading in ("sub-networks", "RMSE, points", *limits, "mean, %"):
        printed.add_column(heading, justify="right")
    by_size = {}
    for size in SIZES:
        values = np.array([row[1:] for row in rows if row[0] == size])
        error, *accuracies = values.mean(axis=0)
        by_size[str(size)] = {"rmse": float(error), "accuracy": float(np.mean(accuracies))}
        cells = [f"{value:.1f}" for value in (*accuracies, np.mean(accuracies))]
        printed.add_row(str(size), f"{error:.2f}", *cells)
    Console().print(printed)
    draw(rows, output)
    every = np.array(rows)
    correlation = float(np.corrcoef(every[:, 1], every[:, 2:].mean(axis=1))[0, 1])
    print(json.dumps({"correlation": correlation, "by_size": by_size}))


def draw(rows: list[tuple[float, ...]], output: Path) -> None:
    with drawing("predictor-error") as plt:
        figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
        for column, (limit, colour) in enumerate(zip(LIMITS, COLOURS, strict=False), start=2):
            errors, accuracies = ([row[index] for row in rows] for index in (1, column))
            axes.scatter(errors, accuracies, s=22, color=colour, label=f"within {limit:g}M MACs")
        axes.set_xscale("log")
        axes.set_xticks([1, 1.5, 2, 3, 4], ["1", "1.5", "2", "3", "4"])
        axes.minorticks_off()
        axes.set_xlabel("error of the accuracy predictor on unseen sub-networks, RMSE in points")
        axes.set_ylabel("validation accuracy of what its search found, %")
        axes.set_title("a better predictor finds better networks", loc="left", fontweight="bold")
        plain(axes)
        axes.legend(frameon=False)
        names = ("subnets", "rmse", *(f"within_{limit:g}m_macs" for limit in LIMITS))
        save(figure, output.parent, output.stem, as_csv(names, rows))


if __name__ == "__main__":
    main()
