from pathlib import Path

import numpy as np
import pytest

from harness.errors import CheckpointError, TableError
from harness.predictors.accuracy import HIDDEN, AccuracyPredictor, fit, held_out
from harness.predictors.block_table import BlockTablePredictor
from harness.spaces.digits import DIGITS
from harness.spaces.genome import Genomes, decode, one_hot, sample
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0
from harness.tables.calibration import calibrate
from tests.tables.test_calibration import made_table


def test_latency_is_the_calibrated_sum_of_the_networks_blocks(rng: np.random.Generator) -> None:
    table = made_table(rng, 0)
    predictor = BlockTablePredictor.from_table(table, DIGITS, "wall")
    calibration = calibrate(table, "wall", "c")
    times = table.block_values("wall")
    genomes = sample(DIGITS, 30, rng)
    for genome, predicted in zip(genomes, predictor.predict(genomes), strict=True):
        blocks = DIGITS.blocks(decode(DIGITS, genome))
        total = sum(times[block] for block in blocks)
        by_hand = calibration.scale * total + calibration.per_block * len(blocks)
        by_hand += calibration.per_parameter * sum(block.params for block in blocks)
        assert predicted == pytest.approx((by_hand + calibration.offset) / 1e6)
        assert predicted == pytest.approx(1.1 * total / 1e6, rel=0.02)


def test_the_smallest_latency_is_that_of_the_network_named(rng: np.random.Generator) -> None:
    predictor = BlockTablePredictor.from_table(made_table(rng, 0), DIGITS, "wall")
    smallest_ms, genome = predictor.smallest()
    assert predictor.predict(genome[None])[0] == pytest.approx(smallest_ms)
    assert (predictor.predict(sample(DIGITS, 5000, rng)) >= smallest_ms - 1e-12).all()


def test_a_table_of_another_space_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(TableError, match=r"for digits, not ofa-mbv3-w1\.0"):
        BlockTablePredictor.from_table(made_table(rng, 0), OFA_MBV3_W1_0, "wall")


def additive_accuracy(genomes: Genomes) -> np.ndarray:
    """A known truth: every choice adds or takes a little."""
    effects = np.random.default_rng(5).normal(0, 1, 57)
    return 80 + one_hot(DIGITS, genomes) @ effects


@pytest.fixture(scope="module")
def trained() -> AccuracyPredictor:
    genomes = sample(DIGITS, 300, np.random.default_rng(1))
    return fit(DIGITS, genomes, additive_accuracy(genomes), epochs=60)


def test_the_predictor_ranks_sub_networks_that_it_has_not_seen(trained: AccuracyPredictor) -> None:
    genomes = sample(DIGITS, 500, np.random.default_rng(2))
    truth = additive_accuracy(genomes)
    predicted = trained.accuracy(genomes)
    assert np.corrcoef(predicted, truth)[0, 1] > 0.9
    assert np.sqrt(np.mean((predicted - truth) ** 2)) < 0.6 * truth.std()


def test_its_stated_quality_is_that_on_sub_networks_held_out(trained: AccuracyPredictor) -> None:
    quality = trained.quality
    assert (quality.trained_on, quality.held_out) == (240, 60)
    genomes = sample(DIGITS, 2000, np.random.default_rng(3))
    unseen = np.sqrt(np.mean((trained.accuracy(genomes) - additive_accuracy(genomes)) ** 2))
    assert quality.rmse == pytest.approx(unseen, rel=0.4)
    assert 0.85 < quality.spearman <= 1
    assert 0 < quality.median_error < quality.rmse


def test_a_network_that_was_evaluated_twice_judges_no_predictor_that_was_fitted_to_it() -> None:
    genomes = sample(DIGITS, 50, np.random.default_rng(4))
    twice = np.concatenate([genomes, genomes[::-1]])
    judges = held_out(twice, 0)
    assert judges.sum() == 20
    assert not {*map(tuple, twice[judges])} & {*map(tuple, twice[~judges])}
    quality = fit(DIGITS, twice, additive_accuracy(twice), epochs=1).quality
    assert (quality.trained_on, quality.held_out) == (80, 20)


def test_it_is_the_papers_mlp_and_the_same_for_the_same_seed(trained: AccuracyPredictor) -> None:
    assert [weight.shape for weight in trained.weights] == [
        (57, 400),
        (400, 400),
        (400, 400),
        (400, 1),
    ]
    assert HIDDEN == (400, 400, 400)
    genomes = sample(DIGITS, 60, np.random.default_rng(1))
    first, again = (fit(DIGITS, genomes, additive_accuracy(genomes), epochs=2) for _ in range(2))
    assert (first.accuracy(genomes) == again.accuracy(genomes)).all()


def test_a_predictor_reads_back_with_its_quality(
    tmp_path: Path, trained: AccuracyPredictor
) -> None:
    trained.save(tmp_path / "accuracy.npz")
    loaded = AccuracyPredictor.load(tmp_path / "accuracy.npz", DIGITS)
    genomes = sample(DIGITS, 20, np.random.default_rng(2))
    assert (loaded.accuracy(genomes) == trained.accuracy(genomes)).all()
    assert loaded.quality == trained.quality


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"text"])
def test_a_broken_predictor_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "accuracy.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"accuracy\.npz"):
        AccuracyPredictor.load(tmp_path / "accuracy.npz", DIGITS)


def test_a_predictor_of_another_space_is_refused(
    tmp_path: Path, trained: AccuracyPredictor
) -> None:
    trained.save(tmp_path / "accuracy.npz")
    with pytest.raises(CheckpointError, match="predicts for digits"):
        AccuracyPredictor.load(tmp_path / "accuracy.npz", OFA_MBV3_W1_0)


def test_a_predictor_reads_back_with_its_judges(tmp_path: Path, trained: AccuracyPredictor) -> None:
    genomes = sample(DIGITS, 30, np.random.default_rng(8))
    judged = trained.judged_by(genomes, additive_accuracy(genomes))
    assert judged.judges is not None
    assert (len(judged.judges.shares), judged.judges.found) == (90, 30)
    judged.save(tmp_path / "accuracy.npz")
    assert AccuracyPredictor.load(tmp_path / "accuracy.npz", DIGITS).judges == judged.judges


def test_a_predictor_of_an_older_version_is_read_and_has_no_intervals(
    tmp_path: Path, trained: AccuracyPredictor
) -> None:
    trained.save(tmp_path / "accuracy.npz")
    with np.load(tmp_path / "accuracy.npz") as content:
        older = {name: content[name] for name in content if name not in ("shares", "found")}
    np.savez(tmp_path / "older.npz", **older)
    loaded = AccuracyPredictor.load(tmp_path / "older.npz", DIGITS)
    assert loaded.quality == trained.quality
    assert loaded.judges is None
    assert "no intervals" in loaded.describe()
