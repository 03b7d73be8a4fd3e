"""What is learned from whole translations at once is what a network says word by word."""

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("sentencepiece", reason="the extra translation is not installed")
pytest.importorskip("sacrebleu", reason="the extra translation is not installed")

from harness.cli.terminal import Terminal
from harness.deploy.extract import extract
from harness.deploy.verify import judge
from harness.effort import QUICK
from harness.errors import CheckpointError
from harness.networks.file import NetworkFile
from harness.pipeline.extract import ExtractRequest, extract_network
from harness.pipeline.job import Run
from harness.runtimes import onnxruntime
from harness.runtimes.options import RuntimeOptions
from harness.spaces.arch import Arch
from harness.spaces.genome import decode, sample
from harness.spaces.translation import HAT_SMALL
from harness.supernet.checkpoint import Checkpoint
from harness.supernet.translating import NOTHING, TranslatingSupernet, embedded
from harness.training import loop
from harness.training.recipe_files import load_recipe, recipe_of_steps
from harness.training.sentences import Sentences
from harness.training.translating import TranslationEvaluator
from harness.transports.local import LocalTransport
from harness.workspace import Workspace
from tests.catalogues import pairs

SPACE = replace(
    HAT_SMALL, classes=200, embeds=(24, 48), ffns=(32, 64), inner=32, depths=(1, 2), heads=(1, 2)
)


def some_archs(count: int) -> list[Arch]:
    genomes = sample(SPACE, count, np.random.default_rng(5))
    return [decode(SPACE, genome) for genome in genomes]


@pytest.fixture(scope="module")
def evaluator(tmp_path_factory: pytest.TempPathFactory) -> TranslationEvaluator:
    """Trained for seconds."""
    data = Sentences.of(sorted(pairs().items()), SPACE.classes, SPACE.resolutions[0])
    recipe = recipe_of_steps(load_recipe("hat-small"), 350, batch_size=32)
    path = tmp_path_factory.mktemp("supernet") / "supernet.pt"
    supernet = loop.train(SPACE, data, recipe, path, engine=loop.Engine(checkpoint_every_s=100))
    assert isinstance(supernet, TranslatingSupernet)
    return TranslationEvaluator(supernet, data)


@torch.no_grad()
def test_each_subnetwork_gives_the_scores_that_its_supernet_gives(
    evaluator: TranslationEvaluator,
) -> None:
    supernet = evaluator.supernet
    sentences = evaluator.data.test.sentences[:7]
    for arch in some_archs(12):
        scores = supernet.extract(arch)(embedded(sentences, supernet.source_of(arch)))
        said = scores.argmax(2)
        before = torch.cat([torch.zeros_like(said[:, :1]), said[:, :-1]], 1)
        before[2, 5:] = NOTHING
        supernet.activate(arch)
        expected = torch.cat([*scores[:2], scores[2, :5], *scores[3:]])
        found = supernet(torch.stack([sentences, before], 1))
        assert found.shape == expected.shape
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_training_teaches_all_subnetworks_to_translate(evaluator: TranslationEvaluator) -> None:
    untrained = TranslationEvaluator(TranslatingSupernet(SPACE).eval(), evaluator.data)
    assert untrained.accuracy(SPACE.largest) < 5
    assert evaluator.accuracy(SPACE.largest) > 80
    assert min(evaluator.accuracy(arch) for arch in some_archs(4)) > 30


def test_a_network_file_translates_the_same_on_a_device(
    evaluator: TranslationEvaluator, tmp_path: Path
) -> None:
    archs, data = some_archs(2), evaluator.data
    paths = [tmp_path / f"{number}.pt" for number in range(2)]
    for arch, path in zip(archs, paths, strict=True):
        extract(evaluator, arch, {}).save(path)
    with closing(onnxruntime.open_session(LocalTransport(), RuntimeOptions(cpus="one"))) as session:
        found = judge(session, paths, data.tests, tmp_path / "log.jsonl")
        again = judge(session, paths, data.tests, tmp_path / "log.jsonl")
    expected = [data.test.bleu(evaluator.translated(arch, data.test)) for arch in archs]
    assert [each.accuracy for each in found] == pytest.approx(expected)
    assert again == found


def test_a_network_taken_from_the_file_of_a_supernet_is_the_same(
    evaluator: TranslationEvaluator, tmp_path: Path
) -> None:
    path, arch = tmp_path / "arch.json", some_archs(1)[0]
    path.write_text(json.dumps(arch.to_json()))
    job = Run(Workspace(tmp_path), SPACE, Terminal(), QUICK)
    file = evaluator_file(tmp_path, evaluator)
    asked = ExtractRequest(str(path), "cpu", file, None, None)
    extract_network(job, asked, tmp_path / "network.pt")
    taken, cut = NetworkFile.load(tmp_path / "network.pt"), extract(evaluator, arch, {})
    assert taken.source is not None
    assert cut.source is not None
    assert taken.source.equal(cut.source)
    assert all(taken.weights[name].equal(value) for name, value in cut.weights.items())


def evaluator_file(folder: Path, evaluator: TranslationEvaluator) -> Path:
    """The supernet of the evaluator, as training leaves it."""
    settings = {"classes": SPACE.classes}
    weights = evaluator.supernet.state_dict()
    Checkpoint(SPACE.name, settings, 1, weights, {}, None).save(folder / "supernet.pt")
    return folder / "supernet.pt"


def test_a_network_file_whose_source_is_not_of_its_words_is_refused(
    evaluator: TranslationEvaluator, tmp_path: Path
) -> None:
    whole = extract(evaluator, SPACE.largest, {})
    assert whole.source is not None
    whole.save(tmp_path / "whole.pt")
    read = NetworkFile.load(tmp_path / "whole.pt").source
    assert read is not None
    assert read.equal(whole.source)
    for source in (whole.source[1:], whole.source[:, 1:], torch.zeros(3)):
        replace(whole, source=source).save(tmp_path / "odd.pt")
        with pytest.raises(CheckpointError, match="source is not that of its words"):
            NetworkFile.load(tmp_path / "odd.pt")
