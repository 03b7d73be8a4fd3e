"""A few transformers that were measured whole predict the others."""

from pathlib import Path

import numpy as np
import pytest

from harness.errors import Infeasible
from harness.predictors.accuracy_source import read_csv
from harness.predictors.choice import latency_predictor
from harness.predictors.few_shot import FewShotPredictor, fit
from harness.spaces.catalogue import SPACES
from harness.spaces.demands import demands, transformer_demands
from harness.spaces.digits import DIGITS
from harness.spaces.genome import encode
from harness.spaces.space import Space
from harness.spaces.translation import TranslationSpace
from harness.spaces.vit import VitSpace
from harness.tables.hat import read_hat
from tests.hat_rows import SPACE, archs, row, times_ms, write

TRANSFORMERS = {
    name: space for name, space in SPACES.items() if isinstance(space, TranslationSpace | VitSpace)
}


@pytest.mark.parametrize("space", TRANSFORMERS.values(), ids=TRANSFORMERS)
def test_every_mac_is_counted_once_and_every_block_launches(space: Space) -> None:
    for block in space.distinct_blocks():
        counted = transformer_demands(block)
        assert counted[4:].sum() == block.macs
        assert (counted >= 0).all()
        assert counted[:4].sum() > 0


def test_blocks_of_the_other_family_are_refused() -> None:
    with pytest.raises(Infeasible, match="no block of a transformer"):
        transformer_demands(DIGITS.distinct_blocks()[0])
    with pytest.raises(Infeasible, match="no block of a convolutional network"):
        demands(SPACE.distinct_blocks()[0])


def test_twenty_networks_predict_hundreds_within_what_is_stated(rng: np.random.Generator) -> None:
    drawn = archs(320)
    truth = np.array([sum(times_ms(arch)) for arch in drawn])
    measured = truth * rng.normal(1, 0.02, len(truth))
    genomes = encode(SPACE, drawn)
    far, covered, stated = [], [], []
    for _ in range(12):
        order = rng.permutation(len(drawn))
        chosen, judges = order[:20], order[20:]
        predictor = fit(SPACE, genomes[chosen], measured[chosen])
        predicted = predictor.predict(genomes[judges])
        error = predictor.statements["full"].log_error
        assert error is not None
        far.append(np.abs(predicted / truth[judges] - 1).mean())
        covered.append(np.mean(np.abs(np.log(predicted / measured[judges])) <= error))
        stated.append(error)
    assert np.mean(far) < 0.02
    # The 20th of 20 errors holds 20 in 21 of others, those of fits to a tenth less a bit more.
    assert np.mean(covered) > 0.93
    assert np.mean(stated) < 0.1


def test_an_imported_table_of_whole_networks_predicts_those_of_the_space(tmp_path: Path) -> None:
    known, others = archs(60), archs(50, seed=1)
    path = write(tmp_path / "pi.csv", [row(arch) for arch in known])
    predictor = latency_predictor(read_hat([path], SPACE, "p-published", "theirs").table, SPACE)
    assert isinstance(predictor, FewShotPredictor)
    predicted = predictor.predict(encode(SPACE, others))
    truth = np.array([sum(times_ms(arch)) for arch in others])
    assert np.abs(predicted / truth - 1).max() < 0.05
    least_ms, genome = predictor.smallest()
    assert predictor.predict(genome[None])[0] == pytest.approx(least_ms)


def test_scores_of_translations_come_from_a_csv_by_the_names_of_parts(tmp_path: Path) -> None:
    drawn = archs(60)
    names = [name for name, _ in drawn[0].others]
    lines = [",".join(("r", "d", *names, "accuracy"))]
    for number, arch in enumerate(drawn):
        cells = (" ".join(map(str, arch.part(name))) for name in ("r", "d", *names))
        lines.append(",".join((*cells, str(20 + number / 10))))
    path = tmp_path / "bleu.csv"
    path.write_text("\n".join(lines))
    genomes, scores = read_csv(path, SPACE)
    assert (genomes == encode(SPACE, drawn)).all()
    assert scores[-1] == pytest.approx(25.9)
