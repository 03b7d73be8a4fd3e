import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.deploy.front import Front
from harness.predictors.accuracy import fit, held_out
from harness.reports.agreement import (
    judged_accuracies,
    judged_latencies,
    save_accuracy_agreement,
    save_latency_agreement,
)
from harness.spaces.digits import DIGITS
from harness.spaces.genome import sample
from harness.tables.end_to_end import end_to_end_error
from tests.tables.test_calibration import made_table


def test_holdout_networks_and_the_fronts_own_are_judged(tmp_path: Path, front: Front) -> None:
    table = replace(made_table(np.random.default_rng(0), 0), identity={"clock": "wall"})
    found = judged_latencies(front, table)
    holdouts = [each for each in found if each.group == "holdout"]
    errors = [abs(each.predicted / each.measured - 1) for each in holdouts]
    assert np.mean(errors) == pytest.approx(end_to_end_error(table, "wall").mape)
    assert len(found) - len(holdouts) == len(front.points)
    *_, data = save_latency_agreement(found, front, tmp_path)
    with data.open(newline="") as file:
        assert [row["group"] for row in csv.DictReader(file)] == [each.group for each in found]


def test_accuracies_that_the_predictor_was_fitted_to_are_told_apart(
    tmp_path: Path, front: Front
) -> None:
    genomes = sample(DIGITS, 60, np.random.default_rng(0))
    accuracies = 80 + genomes.sum(axis=1).astype(float) / 2
    predictor = fit(DIGITS, genomes, accuracies, seed=3, epochs=20)
    by_resolution = np.argsort(genomes[:, 0], kind="stable")  # as files of evaluated ones have them
    genomes, accuracies = genomes[by_resolution], accuracies[by_resolution]
    found = judged_accuracies(predictor, genomes, accuracies, 3)
    judges = [row for row, each in enumerate(found) if each.group == "held out"]
    assert judges == np.flatnonzero(held_out(genomes, 3)).tolist()
    assert len(judges) == predictor.quality.held_out == 12
    errors = [found[row].predicted - found[row].measured for row in judges]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(predictor.quality.rmse)
    png, *_ = save_accuracy_agreement(found, front, tmp_path)
    assert png.exists()
