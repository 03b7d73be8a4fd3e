"""Do 95 % intervals of predicted accuracies hold 95 % of what is evaluated afterwards?

One supernet of digits; several accuracy predictors, each fitted to another draw of evaluated
sub-networks and judged as `harness accuracy fit` does it. Then, for each, fronts are searched for
devices that it never heard of (made up: time per MAC, per layer and per byte drawn at random, each
block off by about 25 %), and their networks are evaluated, besides random ones that no predictor
of that draw has seen. Networks that were judges already are left out. Accuracies are those on the
validation images, which the intervals are about. Prints a table and, as its last line, one JSON
object; `coverage_accuracy` is that of the networks of fronts.

    python benchmarks/coverage_accuracy.py --root /tmp/coverage
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from harness.cli.terminal import Terminal
from harness.effort import NORMAL, QUICK
from harness.pipeline import steps
from harness.pipeline.job import Run
from harness.pipeline.supernet import evaluate_subnets, find_judges
from harness.predictors.accuracy import AccuracyPredictor, fit
from harness.searching.archive import search_front
from harness.searching.objectives import Cost, Objectives
from harness.searching.pareto import spread
from harness.spaces.block import Block
from harness.spaces.cost import CostTable
from harness.spaces.digits import DIGITS
from harness.spaces.genome import Genomes, decode
from harness.training.evaluate import SubnetEvaluator
from harness.workspace import Workspace

Floats = npt.NDArray[np.float64]
RANDOM = 400  # networks besides those that are fitted to
DEVICES, OF_EACH = 3, 20  # made-up ones a predictor, and networks of each front
EVALUATIONS = 60_000  # of a search: more than those that find judges have
NOISE = 0.25  # of the logarithm of a block's time


def accuracy_coverage(
    networks: int = 400, draws: int = 5, root: Path = Path(), quick: bool = False
) -> dict[str, float]:
    """Shares that lie in their 95 % intervals, and these intervals' median widths in points."""
    effort = replace(QUICK if quick else NORMAL, subnets=networks + RANDOM)
    job = Run(Workspace(root), DIGITS, Terminal(), effort)
    evaluator = steps.train(job)
    genomes, accuracies = evaluate_subnets(job, evaluator)
    rows: dict[str, list[Floats]] = {"random": [], "found": []}
    for draw in range(draws):
        order = np.random.default_rng(draw).permutation(len(genomes))
        fitted, others = order[:networks], order[networks:]
        predictor = fit(DIGITS, genomes[fitted], accuracies[fitted], draw)
        judges = find_judges(after(job, draw, genomes[fitted], accuracies[fitted]), predictor)
        predictor = predictor.judged_by(judges, evaluated(evaluator, judges))
        rows["random"].append(judged(predictor, genomes[others], accuracies[others]))
        found = fresh(on_fronts(predictor, draw), [judges, genomes[fitted]])
        rows["found"].append(judged(predictor, found, evaluated(evaluator, found)))
    return show(rows)


def after(job: Run, draw: int, genomes: Genomes, accuracies: Floats) -> Run:
    """The job of a draw, whose networks these are that were evaluated."""
    of_draw = replace(job, workspace=Workspace(job.workspace.root / f"draw-{draw}"), seed=draw)
    of_draw.supernet.evaluated.parent.mkdir(parents=True, exist_ok=True)
    lines = (
        {"genome": genome, "accuracy": accuracy}
        for genome, accuracy in zip(genomes.tolist(), accuracies.tolist(), strict=True)
    )
    of_draw.supernet.evaluated.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return of_draw


def evaluated(evaluator: SubnetEvaluator, genomes: Genomes) -> Floats:
    return np.array([evaluator.accuracy(decode(DIGITS, genome)) for genome in genomes])


def on_fronts(predictor: AccuracyPredictor, draw: int) -> Genomes:
    """Networks of the fronts of devices."""
    found = []
    for number in range(DEVICES):
        objectives = Objectives(DIGITS, predictor.accuracy, device([draw, number]))
        front = search_front(objectives, EVALUATIONS, [draw, number])
        found.append(front.genomes[spread(front.cost[:, None], OF_EACH)])
    return np.unique(np.concatenate(found), axis=0)


def device(seed: Sequence[int]) -> Cost:
    """A made-up device: each part of its time matters more or less."""
    by_macs, by_layer, by_activation, by_parameter = np.random.default_rng(seed).dirichlet(
        [1, 1, 1, 0.3]
    )

    def time(block: Block) -> float:
        noise = np.random.default_rng([*seed, crc32(block.key.encode())]).normal(0, NOISE)
        # Each part is about 1 for a middling block of digits.
        parts = by_macs * block.macs / 7e4 + by_layer + by_activation * block.peak_activations / 4e3
        return float(np.exp(noise) * (parts + by_parameter * block.params / 1e3))

    table = CostTable.of(DIGITS, time)
    return Cost("latency", "", table.total, *table.cheapest())


def fresh(genomes: Genomes, known: Sequence[Genomes]) -> Genomes:
    """Those that nobody has judged or fitted to."""
    seen = {tuple(genome) for some in known for genome in some}
    return np.array([genome for genome in genomes if tuple(genome) not in seen])


def judged(predictor: AccuracyPredictor, genomes: Genomes, accuracies: Floats) -> Floats:
    """Of each network: whether it lies inside, the width and the error in points, [n, 3]."""
    assert predictor.judges is not None
    rows = []
    for predicted, top1 in zip(predictor.accuracy(genomes), accuracies, strict=True):
        interval = predictor.judges.interval(float(predicted))
        assert interval is not None
        low, high = interval
        rows.append((low <= top1 <= high, high - low, predicted - top1))
    return np.array(rows, dtype=float)


def show(rows: dict[str, list[Floats]]) -> dict[str, float]:
    printed = Table(title="95 % intervals of predicted accuracy")
    for heading in ("networks", "", "inside, %", "by draw", "median width", "median error", "bias"):
        printed.add_column(heading, justify="right")
    figures = {}
    for name, by_draw in rows.items():
        inside, width, error = np.concatenate(by_draw).T
        printed.add_row(
            name,
            str(len(inside)),
            f"{100 * inside.mean():.1f}",
            " ".join(f"{100 * each[:, 0].mean():.0f}" for each in by_draw),
            f"{np.median(width):.2f}",
            f"{np.median(np.abs(error)):.2f}",
            f"{error.mean():+.2f}",
        )
        ending = "" if name == "found" else f"_{name}"
        figures[f"coverage_accuracy{ending}"] = float(inside.mean())
        figures[f"width_accuracy{ending}"] = float(np.median(width))
    Console().print(printed)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--networks", type=int, default=400)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="a supernet of `harness run --quick`")
    arguments = parser.parse_args()
    asked = (arguments.networks, arguments.draws, arguments.root, arguments.quick)
    print(json.dumps(accuracy_coverage(*asked)))


if __name__ == "__main__":
    main()
