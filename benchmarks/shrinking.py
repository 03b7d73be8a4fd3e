"""Progressive shrinking, naive sampling and the sandwich rule, with equal sub-network passes.

Ways to train the digits supernet, with the same batch and the same number of forward and backward
passes of sub-networks:
- progressive shrinking (Cai et al., 2020): the recipe of digits, choices opened stage by stage
- naive sampling: all choices open from the first step, random sub-networks, one a step, which
  gives it the most updates; or four, which gives it as many as the sandwich
- the sandwich rule (Yu et al., 2019; BigNAS): all open, each step the largest, the smallest and
  two random ones
None distils. Where all is open, the learning rate is chosen among three candidates by validation
accuracy on a seed of its own; the rates of the recipe were chosen on validation images when it was
made. What is reported are accuracies on the test images, batch-norm statistics recomputed on
training images. Prints tables, saves the figure, and prints, as its last line, one JSON object.

    python benchmarks/shrinking.py --output docs/shrinking.png
"""

import argparse
import json
import math
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from harness.reports.style import COLOURS, INK, as_csv, drawing, plain, save
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.training import loop
from harness.training.data import Digits
from harness.training.evaluate import SubnetEvaluator
from harness.training.recipe_files import digits_recipe
from harness.training.stages import Recipe, Stage

SUBNETS = 60  # random ones that judge a run; the same for all runs
RATES = {1: (0.1, 0.2, 0.4), 4: (0.4, 0.8, 1.6)}  # candidates, by sub-networks a step
TUNING_SEED = 1000
JUDGES_SEED = {"validation": 41, "test": 42}


@dataclass(frozen=True)
class Run:
    """A supernet trained by a recipe, and accuracies of its sub-networks, percent."""

    recipe: Recipe
    random: list[float]
    smallest: float
    largest: float
    seconds: float  # of CPU, training alone


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("shrinking.png"))
    parser.add_argument("--steps", type=int, default=280, help="of progressive shrinking")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=1, help="of one thread each")
    arguments = parser.parse_args()
    shrinking = digits_recipe(arguments.steps)
    if passes(shrinking) % 4:
        parser.error(f"--steps: {passes(shrinking)} passes are no whole number of fours")
    methods = {
        "naive, one a step": candidates(shrinking, 1),
        "naive, four a step": candidates(shrinking, 4),
        "sandwich, four a step": candidates(shrinking, 4, sandwich=True),
    }
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(arguments.processes, context, torch.set_num_threads, (1,)) as pool:
        tuning = {
            name: list(pool.map(partial(judged, split="validation"), recipes))
            for name, recipes in methods.items()
        }
        show_tuning(tuning)
        chosen = {"progressive shrinking": shrinking}
        chosen |= {name: max(tuned, key=mean).recipe for name, tuned in tuning.items()}
        waiting = {
            name: pool.map(
                partial(judged, split="test"),
                [replace(recipe, seed=seed) for seed in range(arguments.seeds)],
            )
            for name, recipe in chosen.items()
        }
        runs = {name: list(results) for name, results in waiting.items()}
    show(runs)
    draw(runs, arguments.output)
    report(runs, tuning)


def passes(recipe: Recipe) -> int:
    """Of sub-networks, forward and backward."""
    return sum(stage.steps * stage.subnets_per_step for stage in recipe.stages)


def candidates(like: Recipe, subnets: int, *, sandwich: bool = False) -> list[Recipe]:
    """One stage with all choices open and as many passes, `subnets` of them in each step."""
    stages = [
        Stage(
            name="all open",
            steps=passes(like) // subnets,
            subnets_per_step=subnets,
            learning_rate=rate,
            sandwich=sandwich,
            kernels=None,
            depths=None,
            expands=None,
            widths=None,
        )
        for rate in RATES[subnets]
    ]
    return [replace(like, stages=(stage,), seed=TUNING_SEED) for stage in stages]


def judged(recipe: Recipe, split: str) -> Run:
    """Train by the recipe; judge on images of "validation" or "test"."""
    data = Digits.load()
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        engine = loop.Engine(checkpoint_every_s=math.inf)
        supernet = loop.train(DIGITS, data, recipe, Path(folder, "supernet.pt"), engine=engine)
    seconds = time.process_time() - began
    judges = data if split == "validation" else replace(data, validation=data.test)
    accuracy = SubnetEvaluator(supernet, judges).accuracy
    genomes = sample(DIGITS, SUBNETS, np.random.default_rng(JUDGES_SEED[split]))
    smallest = decode(DIGITS, np.zeros(len(DIGITS.genes), np.int16))
    random = [accuracy(decode(DIGITS, genome)) for genome in genomes]
    run = Run(recipe, random, accuracy(smallest), accuracy(DIGITS.largest), seconds)
    print(f"seed {recipe.seed}: {mean(run):.2f} % of {split} images, {seconds:.0f} s", flush=True)
    return run


def mean(run: Run) -> float:
    """Over the random sub-networks, percent."""
    return float(np.mean(run.random))


def show_tuning(tuning: dict[str, list[Run]]) -> None:
    printed = Table(title="candidates, one seed, validation images")
    for heading in ("", "learning rate", f"{SUBNETS} random, %"):
        printed.add_column(heading, justify="right")
    for name, tuned in tuning.items():
        for run in tuned:
            rate = run.recipe.stages[0].learning_rate
            printed.add_row(name, f"{rate:g}", f"{mean(run):.2f}")
    Console().print(printed)


def show(runs: dict[str, list[Run]]) -> None:
    first = next(iter(runs.values()))[0].recipe
    printed = Table(title=f"{passes(first)} passes of {first.batch_size} images; test images")
    headings = ("", "updates", f"{SUBNETS} random, %", "each seed", "smallest, %", "largest, %")
    for heading in (*headings, "CPU s"):
        printed.add_column(heading, justify="right")
    for name, results in runs.items():
        means = [mean(run) for run in results]
        printed.add_row(
            name,
            str(results[0].recipe.steps),
            spread(means),
            " ".join(f"{value:.2f}" for value in means),
            spread([run.smallest for run in results]),
            spread([run.largest for run in results]),
            f"{np.mean([run.seconds for run in results]):.0f}",
        )
    Console().print(printed)


def report(runs: dict[str, list[Run]], tuning: dict[str, list[Run]]) -> None:
    first = next(iter(runs.values()))[0].recipe
    methods = {name: figures(results) for name, results in runs.items()}
    for name, tuned in tuning.items():
        rates = [run.recipe.stages[0].learning_rate for run in tuned]
        methods[name]["validation_by_rate"] = dict(zip(rates, map(mean, tuned), strict=True))
    facts = {"passes": passes(first), "batch_size": first.batch_size, "subnets": SUBNETS}
    print(json.dumps(facts | {"methods": methods}))


def figures(results: list[Run]) -> dict[str, Any]:
    """Of all seeds of a method."""
    stages = results[0].recipe.stages
    means = [mean(run) for run in results]
    return {
        "updates": results[0].recipe.steps,
        "subnets_per_step": [stage.subnets_per_step for stage in stages],
        "learning_rates": [stage.learning_rate for stage in stages],
        "random": means,
        "random_mean": float(np.mean(means)),
        "random_sd": float(np.std(means, ddof=1)) if len(means) > 1 else None,
        "smallest": [run.smallest for run in results],
        "largest": [run.largest for run in results],
        "cpu_s": float(np.mean([run.seconds for run in results])),
    }


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{np.mean(values):.2f} ± {np.std(values, ddof=1):.2f}"


def draw(runs: dict[str, list[Run]], output: Path) -> None:
    with drawing("shrinking") as plt:
        figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
        rng = np.random.default_rng(0)
        for place, results in enumerate(runs.values()):
            for seed, run in enumerate(results):
                x = place + 0.25 * (seed - (len(results) - 1) / 2)
                jitter = x + rng.uniform(-0.06, 0.06, len(run.random))
                axes.scatter(jitter, run.random, s=9, color=COLOURS[place], alpha=0.5, linewidth=0)
                axes.hlines(mean(run), x - 0.09, x + 0.09, color=INK, linewidth=1.8, zorder=3)
                axes.plot(x, run.largest, "^", markersize=7, markerfacecolor="white", color=INK)
                axes.plot(x, run.smallest, "v", markersize=7, markerfacecolor="white", color=INK)
        key: dict[str, Any] = {"color": INK, "markerfacecolor": "white", "linestyle": "none"}
        marks = [
            axes.plot([], [], "o", markersize=3, color="#6b7280", label="random sub-network")[0],
            axes.plot([], [], color=INK, linewidth=1.8, label="their mean")[0],
            axes.plot([], [], marker="^", label="largest", **key)[0],
            axes.plot([], [], marker="v", label="smallest", **key)[0],
        ]
        figure.legend(handles=marks, loc="outside lower center", ncols=4, frameon=False)
        axes.set_xticks(range(len(runs)), list(runs))
        axes.tick_params(axis="x", length=0)
        axes.set_ylabel("accuracy on test images, %")
        axes.set_title(
            "the same sub-networks after four ways of training, a column a seed",
            loc="left",
            fontweight="bold",
        )
        plain(axes, "y")
        rows = [
            (name, seed, top1)
            for name, results in runs.items()
            for seed, run in enumerate(results)
            for top1 in run.random
        ]
        data = as_csv(("training", "seed", "accuracy"), rows)
        save(figure, output.parent, output.stem, data)


if __name__ == "__main__":
    main()
