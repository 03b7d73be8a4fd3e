"""Which accuracy predictor: the paper's small network, ridge regression or gradient boosting?

All are fitted to equally many evaluated sub-networks of digits, as one-hot genomes, and judged on
others that none of them saw; each then steers a search within three MAC limits, and what it finds
is really evaluated. Ridge takes its penalty, boosting its depth and number of trees by cross
validation; the network keeps the recipe of its authors. Prints a table and, as its last line, one
JSON object. The first run trains the supernet (about two minutes).

    python benchmarks/accuracy_predictors.py --root /tmp/predictors
"""

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV

from harness.cli.terminal import Terminal
from harness.effort import NORMAL
from harness.pipeline import steps
from harness.pipeline.job import Run
from harness.pipeline.supernet import evaluate_subnets
from harness.predictors.accuracy import HELD_OUT, fit
from harness.searching.archive import search_front
from harness.searching.objectives import Cost, Objectives
from harness.spaces.cost import CostTable
from harness.spaces.digits import DIGITS
from harness.spaces.genome import Genomes, decode, one_hot
from harness.tables.end_to_end import spearman
from harness.training.evaluate import SubnetEvaluator
from harness.workspace import Workspace

Floats = npt.NDArray[np.float64]
Predict = Callable[[Genomes], Floats]

SIZES = (50, 100, 200, 320)  # sub-networks that a predictor is trained on
JUDGES = 80
LIMITS = (0.35, 0.7, 1.2)  # million MACs
EVALUATIONS = 10_000


def network(genomes: Genomes, accuracies: Floats, _size: int, seed: int) -> Predict:
    """It holds a fifth out by itself, so it is given more: it trains on `_size` of them."""
    return fit(DIGITS, genomes, accuracies, seed).accuracy


def ridge(genomes: Genomes, accuracies: Floats, size: int, _seed: int) -> Predict:
    model = RidgeCV(alphas=np.logspace(-2, 3, 16))
    model.fit(one_hot(DIGITS, genomes[:size]), accuracies[:size])
    return partial(predict, model)


def boosting(genomes: Genomes, accuracies: Floats, size: int, seed: int) -> Predict:
    trees = GradientBoostingRegressor(learning_rate=0.1, subsample=0.7, random_state=seed)
    choices = {"max_depth": [1, 2, 3], "n_estimators": [50, 100, 200]}
    model = GridSearchCV(trees, choices, scoring="neg_mean_squared_error", cv=5)
    model.fit(one_hot(DIGITS, genomes[:size]), accuracies[:size])
    return partial(predict, model)


def predict(model: RidgeCV | GridSearchCV, genomes: Genomes) -> Floats:
    return np.asarray(model.predict(one_hot(DIGITS, genomes)), dtype=float)


FITS = {"network": network, "ridge": ridge, "boosting": boosting}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--seeds", type=int, default=4)
    arguments = parser.parse_args()
    subnets = given(max(SIZES)) + JUDGES
    effort = replace(NORMAL, subnets=subnets)
    job = Run(Workspace(arguments.root), DIGITS, Terminal(), effort)
    evaluator = steps.train(job)
    genomes, accuracies = evaluate_subnets(job, evaluator)
    macs = CostTable.of(DIGITS, lambda block: block.macs / 1e6)
    cost = Cost("MAC count", "M", macs.total, *macs.cheapest())
    rows: dict[tuple[str, int], list[tuple[float, ...]]] = defaultdict(list)
    for seed in range(arguments.seeds):
        judges, others = np.split(np.random.default_rng(seed).permutation(subnets), [JUDGES])
        for size in SIZES:
            some = others[: given(size)]
            for name, make in FITS.items():
                began = time.perf_counter()
                accuracy = make(genomes[some], accuracies[some], size, seed)
                seconds = time.perf_counter() - began
                predicted = accuracy(genomes[judges])
                rmse = float(np.sqrt(np.mean((predicted - accuracies[judges]) ** 2)))
                rank = spearman(predicted, accuracies[judges])
                best = found(Objectives(DIGITS, accuracy, cost), evaluator, seed)
                rows[name, size].append((rmse, rank, best, seconds))
    show(rows, float(accuracies.std()))


def given(size: int) -> int:
    """Sub-networks of which the paper's network trains on `size`, holding the others out."""
    return round(size / (1 - HELD_OUT))


def found(objectives: Objectives, evaluator: SubnetEvaluator, seed: int) -> float:
    """Mean accuracy on validation images, percent, of what is found within the limits."""
    front = search_front(objectives, EVALUATIONS, seed)
    best = [front.genomes[front.cost <= limit][-1] for limit in LIMITS]
    return float(np.mean([evaluator.accuracy(decode(DIGITS, genome)) for genome in best]))


def show(rows: dict[tuple[str, int], list[tuple[float, ...]]], deviation: float) -> None:
    printed = Table(
        title=f"means ± deviation over seeds; accuracies deviate by {deviation:.2f} points"
    )
    for heading in ("trained on", "", "RMSE, points", "Spearman", "found, %", "fit, s"):
        printed.add_column(heading, justify="right")
    figures: dict[str, dict[str, dict[str, float]]] = defaultdict(dict)
    for (name, size), seeds in sorted(rows.items(), key=lambda row: row[0][1]):
        values = np.array(seeds)
        (rmse, rank, best, seconds), spread = values.mean(axis=0), values.std(axis=0, ddof=1)
        printed.add_row(
            str(size),
            name,
            f"{rmse:.2f} ± {spread[0]:.2f}",
            f"{rank:.3f} ± {spread[1]:.3f}",
            f"{best:.2f} ± {spread[2]:.2f}",
            f"{seconds:.2f}",
        )
        figures[name][str(size)] = {
            "rmse": float(rmse),
            "rmse_sd": float(spread[0]),
            "spearman": float(rank),
            "spearman_sd": float(spread[1]),
            "found": float(best),
            "found_sd": float(spread[2]),
            "fit_s": float(seconds),
        }
    Console().print(printed)
    print(json.dumps({"accuracy_sd": deviation, "judges": JUDGES, **figures}))


if __name__ == "__main__":
    main()
