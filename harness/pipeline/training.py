"""`harness train` and `harness accuracy fit`: alone, or as one of torchrun's ranks."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from harness.pipeline import supernet
from harness.pipeline.job import Run
from harness.predictors.accuracy import AccuracyPredictor

if TYPE_CHECKING:  # torch is imported where it is needed
    from harness.training.distributed import Ranks


def train(job: Run) -> Path:
    """The path of the trained supernet."""
    with _ranks(job) as (job_here, ranks):
        supernet.train(job_here, ranks)
        return job_here.supernet.checkpoint


def fit_accuracy(job: Run) -> tuple[Path, AccuracyPredictor]:
    """The accuracy predictor, and its path."""
    with _ranks(job) as (job_here, ranks):
        fitted = supernet.fit_accuracy(job_here, supernet.train(job_here, ranks), ranks)
        return job_here.supernet.predictor, fitted


@contextmanager
def _ranks(job: Run) -> "Iterator[tuple[Run, Ranks]]":
    """Digits alone are trained on the processor; all else where torchrun and CUDA say."""
    from harness.training.distributed import ALONE, joined

    if job.training.data is None and "WORLD_SIZE" not in os.environ:
        yield job, ALONE
        return
    with joined() as ranks:
        yield (job if job.training.data is None else job.on_images()), ranks
