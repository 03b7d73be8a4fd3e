"""Steps that need no device: train the supernet, evaluate sub-networks, fit the predictor."""

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field
from typing_extensions import TypedDict

from harness import __version__, files
from harness.carbon.recording import Recording
from harness.errors import FileFormatError
from harness.files import LineLog, read_lines
from harness.hints import missing
from harness.pipeline.job import Run
from harness.pipeline.notices import Remark
from harness.predictors import accuracy
from harness.predictors.accuracy import AccuracyPredictor
from harness.schema import Percent, checked
from harness.searching.archive import search_front
from harness.searching.objectives import Cost, Objectives
from harness.searching.pareto import spread
from harness.spaces.cost import CostTable
from harness.spaces.genome import Genomes, decode, sample
from harness.spaces.translation import TranslationSpace
from harness.training.stages import Recipe

if TYPE_CHECKING:  # torch is imported where it is needed
    from harness.training.distributed import Ranks
    from harness.training.draws import ImageData
    from harness.training.evaluate import SubnetEvaluator

EVALUATED_TOGETHER = 100  # are drawn at a time
CHECKPOINT_EVERY_S, SMALL_CHECKPOINT_EVERY_S = 300.0, 2.0  # of images, of digits
FOUND_EVALUATIONS = 20_000  # of each search that finds judges
JUDGES = 40  # of each of them; fewer where both found the same
_EVALUATED_SEED = 303


def train(job: Run, ranks: "Ranks | None" = None) -> "SubnetEvaluator":
    """The trained supernet, ready to have sub-networks cut out of it.

    `ranks`: this process among those that torchrun started; all of them return one.

    Raises:
        MissingExtra: torch or scikit-learn is not installed.
        UsageError: there is no data to train the space on.
    """
    recipe = job.supernet.recipe
    if find_spec("torch") is None:
        raise missing("training needs", "torch", "train")
    import torch

    from harness.training.distributed import ALONE

    ranks = ranks or ALONE
    data = _data(job)
    if job.supernet.in_minutes:
        torch.set_num_threads(1)  # a second thread brings nothing to networks this small
    if not job.fresh and (there := _trained(job, recipe, data, ranks)):
        return there
    with _turn(job, ranks):
        if job.fresh and ranks.first and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0":
            _start_over(job.supernet.path)
        ranks.wait()
        return _trained(job, recipe, data, ranks) or _train(job, recipe, data, ranks)


@contextmanager
def _turn(job: Run, ranks: "Ranks") -> Iterator[None]:
    """The supernet's folder, in which one run at a time makes something; the others wait."""
    with files.changing(job.supernet.path) if ranks.first else nullcontext():
        ranks.wait()  # all look at what is there once nobody else changes it
        yield


def _trained(
    job: Run, recipe: Recipe, data: "ImageData", ranks: "Ranks"
) -> "SubnetEvaluator | None":
    from harness.training import loop
    from harness.training.translating import evaluator_of

    path = job.supernet.checkpoint
    checkpoint = loop.finished(path, recipe, data)
    if checkpoint is None:
        return None
    return evaluator_of(checkpoint.supernet(job.space, path), data, ranks.device)


def _train(job: Run, recipe: Recipe, data: "ImageData", ranks: "Ranks") -> "SubnetEvaluator":
    from harness.training import loop
    from harness.training.translating import evaluator_of

    if ranks.first:
        files.write_json(job.supernet.path / "config.json", _config(job, ranks))
    often = SMALL_CHECKPOINT_EVERY_S if job.supernet.in_minutes else CHECKPOINT_EVERY_S
    training = job.training
    engine = loop.Engine(ranks, training.accumulate, training.autocast, often)
    account = Recording(job.supernet.path, "train", ranks)

    def say(text: str) -> None:
        job.listener.tell(Remark(text))

    with job.listener.step("train the supernet") as progress:

        def on_step(done: int, of: int) -> None:
            account.tick()
            progress(done, of)

        try:
            supernet = loop.train(
                job.space, data, recipe, job.supernet.checkpoint, on_step, engine, say
            )
        finally:
            account.write()
    if training.data is not None:
        from harness.training.folder import told

        say(account.describe())
        images = job.supernet.images
        if ranks.first and images.lost_colours:
            say(images.lost_colours)
        damaged = sorted({path for each in ranks.gathered(images.damaged) for path in each})
        if damaged:
            say(told(damaged))
    return evaluator_of(supernet, data, ranks.device)


def _start_over(folder: Path) -> None:
    """Delete all but what was used already, which stays used."""
    for path in folder.iterdir() if folder.exists() else ():
        if path.is_dir():
            shutil.rmtree(path)
        elif not path.name.startswith("emissions."):
            path.unlink()


def _data(job: Run) -> "ImageData":
    if job.training.data is not None:
        return job.supernet.images
    if isinstance(job.space, TranslationSpace):
        return _sentences(job, job.space)
    from harness.training.data import Digits

    return Digits.load()


def _sentences(job: Run, space: TranslationSpace) -> "ImageData":
    from harness.training.catalogues import find_catalogues, read_pairs
    from harness.training.sentences import Sentences

    pairs = read_pairs(find_catalogues(job.workspace.root))
    return Sentences.of(pairs, space.classes, space.resolutions[-1])


def _config(job: Run, ranks: "Ranks") -> dict[str, Any]:
    """All that a run was made with."""
    import torch

    of_its_own = ("data", "kept")
    training = {name: value for name, value in vars(job.training).items() if name not in of_its_own}
    data = None
    if job.training.data is not None:
        data = {"folder": str(job.training.data.absolute())} | job.supernet.images.facts
    return {
        "harness": __version__,
        "torch": torch.__version__,
        "space": job.space.name,
        "resolutions": list(job.space.resolutions),
        "classes": job.space.classes,
        "recipe": job.supernet.recipe.settings,
        "training": training,
        "data": data,
        "ranks": ranks.count,
        "device": ranks.device,
    }


def evaluate_subnets(
    job: Run, evaluator: "SubnetEvaluator", ranks: "Ranks | None" = None
) -> tuple[Genomes, npt.NDArray[np.float64]]:
    """Random sub-networks [n, genes] and their validation accuracies [n], percent.

    Appended one by one: a killed run goes on with the next. Ranks share the work; the first one
    writes. In order of resolution, of which a folder of images keeps one at a time.
    """
    from harness.training.distributed import ALONE

    ranks = ranks or ALONE
    rng = np.random.default_rng([job.seed, _EVALUATED_SEED])
    count = job.training.subnets or job.effort.subnets
    # In parts, so that more of them begin with the same.
    parts = [
        sample(job.space, EVALUATED_TOGETHER, rng) for _ in range(0, count, EVALUATED_TOGETHER)
    ]
    genomes = np.concatenate(parts)[:count]
    return genomes, _evaluated(job, evaluator, ranks, genomes, job.supernet.evaluated)


def _evaluated(
    job: Run, evaluator: "SubnetEvaluator", ranks: "Ranks", genomes: Genomes, path: Path
) -> npt.NDArray[np.float64]:
    """Validation accuracies [n], percent, as `path` has them or has them from now on."""
    log = LineLog(path) if ranks.first else None
    account = Recording(job.supernet.path, "evaluate", ranks)
    try:
        ranks.wait()  # the first one has cut off what a killed run left half written
        known = _by_genome(job, path) if path.exists() else {}
        ranks.wait()  # all have read before the first one writes
        # Those of a small space are drawn more than once.
        missing = [g for g in dict.fromkeys(map(tuple, genomes)) if g not in known]
        todo = np.array(missing, dtype=genomes.dtype).reshape(-1, genomes.shape[1])
        todo = todo[np.argsort(todo[:, 0], kind="stable")]
        if len(todo):
            with job.listener.step("evaluate sub-networks") as progress:
                values = _accuracies(job, evaluator, todo, ranks)
                for done, (genome, value) in enumerate(zip(todo, values, strict=True), start=1):
                    if log:
                        log.append({"genome": genome.tolist(), "accuracy": value})
                    account.tick()
                    progress(len(genomes) - len(todo) + done, len(genomes))
            account.write()
    finally:
        if log:
            log.close()
    ranks.wait()
    found = _by_genome(job, path)
    return np.array([found[tuple(genome)] for genome in genomes])


def _by_genome(job: Run, path: Path) -> dict[tuple[int, ...], float]:
    genomes, accuracies = _read(job, path)
    return {tuple(g): float(top1) for g, top1 in zip(genomes, accuracies, strict=True)}


def _accuracies(
    job: Run, evaluator: "SubnetEvaluator", genomes: Genomes, ranks: "Ranks"
) -> Iterator[float]:
    """Of each network, in order; every rank takes its turn, and only the first gets the values."""
    if job.supernet.in_minutes and ranks.count == 1:
        pool = ThreadPoolExecutor(2)
        try:
            archs = (decode(job.space, genome) for genome in genomes)
            for resolution, group in groupby(archs, key=lambda arch: arch.resolution):
                # Images are read here, once, and not by both threads.
                evaluator.data.calibration(resolution)
                evaluator.data.judges(resolution)
                yield from pool.map(evaluator.accuracy, group)
        finally:
            pool.shutdown(cancel_futures=True)
        return
    for start in range(0, len(genomes), ranks.count):
        turn = genomes[start : start + ranks.count]
        mine = turn[ranks.rank : ranks.rank + 1]
        found = [evaluator.accuracy(decode(job.space, genome)) for genome in mine]
        gathered = ranks.gathered(found)
        values = [value for part in gathered for value in part]
        yield from values if ranks.first else [0.0] * len(turn)


def read_evaluated(job: Run) -> tuple[Genomes, npt.NDArray[np.float64]]:
    """The sub-networks evaluated so far and their accuracies.

    Raises:
        FileFormatError: the file is missing or broken.
    """
    return _read(job, job.supernet.evaluated)


class _Evaluated(TypedDict):
    """A line of what was evaluated."""

    genome: list[Annotated[int, Field(strict=True, ge=0, le=1000)]]
    accuracy: Percent


def _read(job: Run, path: Path) -> tuple[Genomes, npt.NDArray[np.float64]]:
    choices = [len(gene.choices) for gene in job.space.genes]
    try:
        lines = [checked(_Evaluated, line) for _, line in read_lines(path)]
        rows = np.array([line["genome"] for line in lines], dtype=np.int16)
        rows = rows.reshape(len(lines), len(choices))
        if (rows >= choices).any():
            raise ValueError("a network that is none of the space")
    except ValueError as error:
        raise FileFormatError(f"{path} is broken: {error}; restore it, or move it away") from error
    return rows, np.array([line["accuracy"] for line in lines])


def fit_accuracy(
    job: Run, evaluator: "SubnetEvaluator", ranks: "Ranks | None" = None
) -> AccuracyPredictor:
    """The accuracy predictor, trained on evaluated sub-networks; every rank has the same.

    Then searches by it find networks, which are evaluated too: they tell its intervals.
    """
    from harness.training.distributed import ALONE

    ranks = ranks or ALONE
    with _turn(job, ranks):
        return _fit_accuracy(job, evaluator, ranks)


def _fit_accuracy(job: Run, evaluator: "SubnetEvaluator", ranks: "Ranks") -> AccuracyPredictor:
    path = job.supernet.predictor
    fitted = AccuracyPredictor.load(path, job.space) if path.exists() else None
    older = fitted is not None and fitted.judges is None  # its held-out errors are not kept
    if (
        fitted is None
        or older
        or fitted.quality.trained_on + fitted.quality.held_out < _wanted(job)
    ):
        genomes, accuracies = evaluate_subnets(job, evaluator, ranks)
        if ranks.first:
            accuracy.fit(job.space, genomes, accuracies, job.seed).save(path)
        ranks.wait()
        fitted = AccuracyPredictor.load(path, job.space)
    if fitted.judges is not None and fitted.judges.found:
        return fitted
    found = find_judges(job, fitted)
    fitted = fitted.judged_by(found, _evaluated(job, evaluator, ranks, found, job.supernet.found))
    if ranks.first:
        fitted.save(path)
    ranks.wait()
    return fitted


def find_judges(job: Run, predictor: AccuracyPredictor) -> Genomes:
    """Networks of two fronts that differ much, as those of devices do: by MACs, by parameters.

    None of them was evaluated before: in a small space a search finds some that were fitted to.
    """
    space, found = job.space, []
    known = set(_by_genome(job, job.supernet.evaluated))
    tables = [CostTable.of(space, of) for of in (lambda b: b.macs, lambda b: b.params)]
    with job.listener.step("find networks to judge the predictor") as progress:
        for number, table in enumerate(tables, start=1):
            cost = Cost("cost", "", table.total, *table.cheapest())
            objectives = Objectives(space, predictor.accuracy, cost)
            front = search_front(objectives, FOUND_EVALUATIONS, [job.seed, number])
            new = np.array([tuple(genome) not in known for genome in front.genomes])
            chosen = spread(front.cost[new, None], JUDGES)
            found.append(front.genomes[new][chosen])
            progress(number, len(tables))
    return np.unique(np.concatenate(found), axis=0)


def _wanted(job: Run) -> int:
    """Sub-networks, of which a small space has fewer than are drawn."""
    return job.training.subnets or 1
