"""Steps that need no device: train the supernet, evaluate sub-networks, fit the predictor."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.errors import CheckpointError, FileFormatError, MissingExtra
from harness.files import LineLog, read_lines
from harness.pipeline.job import Run
from harness.predictors import accuracy
from harness.predictors.accuracy import AccuracyPredictor
from harness.spaces.genome import Genomes, decode, sample

if TYPE_CHECKING:  # torch is imported where it is needed
    from harness.training.evaluate import SubnetEvaluator

_EVALUATED_SEED = 303


def train(job: Run) -> "SubnetEvaluator":
    """The trained supernet, ready to have sub-networks cut out of it.

    Raises:
        MissingExtra: torch or scikit-learn is not installed.
        UsageError: there is no data to train the space on.
    """
    recipe = job.recipe()
    if find_spec("torch") is None:
        raise MissingExtra("training needs torch: pip install '.[train]'")
    import torch

    from harness.training import loop
    from harness.training.data import Digits
    from harness.training.evaluate import SubnetEvaluator

    torch.set_num_threads(1)  # a second thread brings nothing to networks this small
    folder = job.folder()
    if job.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    data = Digits.load()
    path = job.supernet
    checkpoint = loop.finished(path, recipe, data)
    if checkpoint:
        return SubnetEvaluator(checkpoint.supernet(job.space, path), data)
    with job.console.step("train the supernet") as progress:
        return SubnetEvaluator(loop.train(job.space, data, recipe, path, progress), data)


def evaluate_subnets(
    job: Run, evaluator: "SubnetEvaluator"
) -> tuple[Genomes, npt.NDArray[np.float64]]:
    """Random sub-networks [n, genes] and their validation accuracies [n], percent.

    Appended one by one: a killed run goes on with the next.
    """
    rng = np.random.default_rng([job.seed, _EVALUATED_SEED])
    genomes = sample(job.space, job.effort.subnets, rng)
    log = LineLog(job.evaluated)
    pool = ThreadPoolExecutor(2)
    try:
        known, accuracies = read_evaluated(job)
        if (known != genomes[: len(known)]).any():
            raise CheckpointError(f"{job.evaluated} holds other sub-networks; delete it")
        todo = genomes[len(known) :]
        if len(todo):
            with job.console.step("evaluate sub-networks") as progress:
                values = pool.map(lambda g: evaluator.accuracy(decode(job.space, g)), todo)
                for done, (genome, value) in enumerate(zip(todo, values, strict=True), start=1):
                    log.append({"genome": genome.tolist(), "accuracy": value})
                    progress(len(known) + done, len(genomes))
            known, accuracies = read_evaluated(job)
    finally:
        pool.shutdown(cancel_futures=True)
        log.close()
    return genomes, accuracies


def read_evaluated(job: Run) -> tuple[Genomes, npt.NDArray[np.float64]]:
    """The sub-networks evaluated so far and their accuracies.

    Raises:
        FileFormatError: the file is missing or broken.
    """
    lines = [line for _, line in read_lines(job.evaluated)]
    try:
        rows = np.array([line["genome"] for line in lines], dtype=np.int16)
        accuracies = np.array([line["accuracy"] for line in lines], dtype=float)
        return rows.reshape(len(lines), len(job.space.genes)), accuracies
    except (KeyError, TypeError, ValueError) as error:
        raise FileFormatError(f"{job.evaluated} is broken: {error!r}; delete it") from error


def fit_accuracy(job: Run, evaluator: "SubnetEvaluator") -> AccuracyPredictor:
    """The accuracy predictor, trained on evaluated sub-networks."""
    path = job.predictor
    if path.exists():
        return AccuracyPredictor.load(path, job.space)
    genomes, accuracies = evaluate_subnets(job, evaluator)
    predictor = accuracy.fit(job.space, genomes, accuracies, job.seed)
    predictor.save(path)
    return predictor
