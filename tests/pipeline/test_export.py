"""`harness export`: the whole bundle of a small network, on images and without."""

import json
import subprocess
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.cli.options import job_for
from harness.cli.words.network import bundle_lines
from harness.deploy.bundle import CHECKED
from harness.deploy.eight_bits import in_eight_bits
from harness.errors import InfeasibleConstraint, MissingExtra, UsageError
from harness.networks.file import NetworkFile
from harness.pipeline.export import Bundle, best_within, export
from harness.pipeline.front import RANGE_IMAGES
from harness.training.folder import ImageFolder
from harness.training.judging import top1
from tests.command_line import harness
from tests.conftest import predict
from tests.reports.conftest import some_front
from tests.runtimes.test_conversion import answers
from tests.training.test_finetune import COLOURS, make, network

FILES = ("network.pt2", "network.onnx", "network.tflite", "network-int8.tflite")


def command(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return harness(cwd, *words)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files of an untrained network, with statistics of images of its own classes."""
    root = tmp_path_factory.mktemp("export")
    make(root / "images")
    network().save(root / "net.pt")
    done = command("export", "out", "--network", "net.pt", "--data", "images", cwd=root)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in FILES)
    return root / "out"


def test_a_bundle_has_every_file_each_compared_with_torch(bundle: Path) -> None:
    facts = json.loads((bundle / "bundle.json").read_text())
    assert [each["file"] for each in facts["files"]] == list(FILES)
    *exact, int8 = facts["files"]
    assert all(each["largest_difference"] < 1e-5 for each in exact)  # 24 bits
    assert int8["largest_difference"] > 1e-3
    for each in facts["files"]:
        assert (bundle / each["file"]).stat().st_size == each["size_bytes"]
        assert 0 <= each["accuracy"] <= 100
    accuracies = {each["accuracy"] for each in exact}
    assert len(accuracies) == 1
    assert facts["classes"] == list(COLOURS)


def test_the_int8_file_answers_as_8_bits_do_and_the_bundle_tells_how_far_that_is(
    bundle: Path,
) -> None:
    written, data = NetworkFile.load(bundle / "network.pt"), ImageFolder.open(bundle / "../images")
    resolution = written.preprocessing.resolution
    tests = data.tests(resolution)
    images = tests.images
    seen = torch.cat(list(data.calibration(resolution)))[:RANGE_IMAGES]
    logits = answers(bundle / "network-int8.tflite", images.numpy())
    assert in_eight_bits(written.module(), seen, images).agree(logits)
    int8 = json.loads((bundle / "bundle.json").read_text())["files"][-1]
    exact = predict(written.module(), images).numpy()[:CHECKED]
    difference = np.abs(logits[:CHECKED] - exact).max() / np.abs(exact).max()
    assert int8["largest_difference"] == pytest.approx(difference, rel=1e-4)
    assert int8["accuracy"] == top1(logits.argmax(1), tests.labels)


def test_its_network_has_statistics_of_the_images_and_its_card_says_so(bundle: Path) -> None:
    facts = json.loads((bundle / "bundle.json").read_text())
    written = NetworkFile.load(bundle / "network.pt")
    before = network()
    means = [name for name in before.weights if name.endswith("running_mean")]
    assert means
    assert any(
        not np.allclose(before.weights[name], written.weights[name], atol=1e-3) for name in means
    )
    card = (bundle / "README.md").read_text()
    assert f"top-1 on {facts['judged_on']} images" in card
    assert "No accuracy is claimed" not in card
    assert not (bundle / "ranges.npy").exists()


def test_images_of_other_classes_are_refused_in_one_line(tmp_path: Path) -> None:
    make(tmp_path / "images", images=12, classes=("cat", "dog"))
    network().save(tmp_path / "net.pt")
    done = command("export", "out", "--network", "net.pt", "--data", "images", cwd=tmp_path)
    assert done.returncode != 0
    assert "net.pt knows 3 classes (blue, green, red, ...), images has 2" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not list((tmp_path / "out").glob("network*"))


def test_what_cannot_be_made_here_is_left_out_and_said_with_what_would_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(name: str) -> str:
        if name == "litert-torch":
            raise PackageNotFoundError(name)
        return version(name)

    network().save(tmp_path / "net.pt")
    stale = tmp_path / "out" / "network.tflite"
    job, asked = job_for("digits", tmp_path), Bundle(tmp_path / "out", tmp_path / "net.pt")
    export(job, replace(asked, formats="pt2"))
    assert {each.name for each in (tmp_path / "out").glob("network*")} == {
        "network.pt",
        "network.pt2",
    }
    stale.write_text("of another network")
    monkeypatch.setattr("importlib.metadata.version", lacks)  # as without the extra litert
    said = "\n".join(bundle_lines(asked.folder, export(job, asked)))
    assert "network.onnx" in said
    assert "left out: network.tflite: making .tflite files needs the package litert-torch" in said
    assert not stale.exists()
    card = (tmp_path / "out" / "README.md").read_text()
    assert "`network-int8.tflite` was left out: making .tflite files" in card
    with pytest.raises(MissingExtra, match=r"'\.\[litert\]'"):
        export(job, replace(asked, formats="pt2,tflite"))
    with pytest.raises(UsageError, match="no format 'onxx'; did you mean 'onnx'"):
        export(job, replace(asked, formats="onxx"))


def test_a_network_that_was_evaluated_and_answers_nothing_right_is_never_the_best() -> None:
    front = some_front()
    useless = replace(front.points[9], accuracy_measured=0.0)
    front = replace(front, points=(*front.points[:9], useless))
    assert best_within(front, None)[0] == 8


@pytest.mark.parametrize("at", ["full", "p90", None])
def test_the_most_accurate_network_is_taken_whose_upper_end_keeps_to_the_limit(
    at: str | None,
) -> None:
    front = some_front()
    assert best_within(front, None, at)[0] == 9
    upper = front.points[4].upper_ms(at or "p90")
    assert upper is not None
    assert best_within(front, upper, at)[0] == 4
    assert best_within(front, upper - 1e-6, at)[0] == 3
    with pytest.raises(InfeasibleConstraint, match=r"takes 0\.1 ms or less .* \(the fastest"):
        best_within(front, 0.1, at)


def test_a_time_that_the_front_does_not_tell_is_one_clear_error() -> None:
    with pytest.raises(UsageError, match="does not tell p99: it has full, p50, p90"):
        best_within(some_front(), 5.0, "p99")


def test_a_front_that_is_not_verified_exports_nothing(tmp_path: Path) -> None:
    job = job_for("digits", tmp_path)
    some_front().unverified().save(job.workspace.front("cpu", "digits"))
    with pytest.raises(InfeasibleConstraint, match="harness verify"):
        export(job, Bundle(tmp_path / "out", device="cpu", max_latency_ms=5.0))
    with pytest.raises(UsageError, match="--device"):
        export(job, Bundle(tmp_path / "out"))
