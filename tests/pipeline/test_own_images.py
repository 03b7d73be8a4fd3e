"""From a folder of images to a verified front, and what every other command then finds."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from harness.cli import app
from harness.cli.options import job_for, job_of_front
from harness.deploy.front import Front
from harness.device.device import Device
from harness.effort import QUICK
from harness.errors import FileFormatError, UsageError
from harness.networks.file import NetworkFile
from harness.pipeline import steps, supernet
from harness.pipeline.job import Run
from harness.pipeline.own_images import recorded, space_for, trained_before
from harness.pipeline.supernet_folder import Training
from harness.tables.table import Table
from harness.workspace import Workspace
from tests.shapes import make_shapes

DEVICE = "zu3eg"  # simulated: nothing is timed
TINY = replace(QUICK, training_steps=12, subnets=12, evaluations=2000, points=3)


def job_on(data: Path, root: Path) -> Run:
    job = job_for(None, root, quick=True, training=Training(data, workers=0))
    return replace(job, effort=TINY)


def job_in(root: Path, grey: bool) -> Run:
    """On two classes of images, one of which is damaged."""
    data = make_shapes(root / "own images", 12, 2, grey=grey)
    (data / "circle/003.png").write_bytes(b"damaged")
    return job_on(data, root)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the front and the page of a folder in colour."""
    root = tmp_path_factory.mktemp("colour")
    with few_judges():
        steps.run(job_in(root, grey=False), [Device.find(DEVICE, root)])
    return root


@pytest.fixture(scope="module")
def grey_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the front of a folder in grey."""
    root = tmp_path_factory.mktemp("grey")
    job, device = job_in(root, grey=True), Device.find(DEVICE, root)
    with few_judges():
        evaluator = steps.train(job)
        steps.fit_accuracy(job, evaluator)
    steps.measure(job, device)
    steps.search(job, DEVICE)
    steps.verify(job, device, evaluator)
    return root


@contextmanager
def few_judges() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(supernet, "FOUND_EVALUATIONS", 500)
        patch.setattr(supernet, "JUDGES", 3)
        yield


def space_of(root: Path) -> str:
    return "images-grey-64-2" if root.name.startswith("grey") else "images-64-2"


def front_of(root: Path) -> Front:
    return Front.load(root / "reports" / f"{DEVICE}.{space_of(root)}" / "front.json")


def invoke(*words: str) -> str:
    """What the command prints, on one line."""
    ended = CliRunner().invoke(app, words, catch_exceptions=False)
    assert ended.exit_code == 0
    return " ".join(ended.output.split())


def on_front(root: Path, command: str, *words: str) -> str:
    options = ("--device", DEVICE, "--space", space_of(root), "--root", str(root))
    return invoke(command, *words, *options)


@pytest.mark.parametrize("colours", ["root", "grey_root"])
def test_a_folder_comes_to_a_verified_front_of_networks_for_its_classes_and_colours(
    colours: str, request: pytest.FixtureRequest
) -> None:
    root = request.getfixturevalue(colours)
    front = front_of(root)
    assert front.space == space_of(root)
    assert front.verification is not None
    assert front.verification["test_images"] == 4  # a fifth of each class
    assert front.verification["classes"] == ["circle", "cross"]
    channels = 1 if "grey" in front.space else 3
    for name, point in zip(front.verification["networks"], front.points, strict=True):
        assert point.accuracy_measured is not None
        network = NetworkFile.load(root / name)
        assert network.classes == ("circle", "cross")
        assert network.blocks[0].input_shape[0] == channels
        assert network.blocks[-1].output_shape[0] == 2
    table = Table.load(root / "tables" / f"{DEVICE}.{front.space}.jsonl")
    heads = [block for block in table.block_values("device") if block.kind == "linear"]
    assert [head.output_shape[0] for head in heads] == [2]


def test_the_page_names_the_classes_and_the_command_names_the_folder(root: Path) -> None:
    page = (root / "reports" / f"{DEVICE}.{space_of(root)}" / "index.html").read_text()
    assert "2: circle, cross" in page
    command = front_of(root).settings["command"]
    assert f"--data '{root}/own images'" in command
    assert f"--space {space_of(root)}" in command


def test_commands_that_follow_find_the_supernet_and_its_images(root: Path, tmp_path: Path) -> None:
    before = front_of(root)
    found = on_front(root, "search", "--max-latency-ms", "1000", "--quick")
    assert json.loads(found)["accuracy"] > 0
    job = job_of_front(DEVICE, space_of(root), root)
    device, evaluator = Device.find(DEVICE, root), steps.train(job)
    assert steps.verify(job, device, evaluator) == before
    again = steps.verify(job, device, evaluator, again=True)
    assert [p.accuracy_measured for p in again.points] == [
        p.accuracy_measured for p in before.points
    ]
    on_front(root, "extract", "front:0", str(tmp_path / "network.pt"))
    assert NetworkFile.load(tmp_path / "network.pt").arch == before.points[0].arch


def test_a_supernet_is_found_by_its_space_whatever_else_is_asked(root: Path) -> None:
    trained = job_on(root / "own images", root)
    for found in (
        job_for(space_of(root), root, seed=5),
        job_of_front(DEVICE, space_of(root), root),
    ):
        assert found.supernet.path == trained.supernet.path
        assert found.supernet.recipe == trained.supernet.recipe
        assert found.supernet.images.facts == trained.supernet.images.facts


def test_a_page_is_written_anew_where_images_and_supernet_are_gone(root: Path) -> None:
    images, runs = root / "own images", root / "runs"
    try:
        images.rename(root / "moved")
        runs.rename(root / "gone")
        on_front(root, "report")
    finally:
        (root / "moved").rename(images)
        (root / "gone").rename(runs)


@pytest.mark.parametrize("colours", ["root", "grey_root"])
def test_a_network_of_the_front_is_tuned_and_evaluated_on_images_of_other_colours(
    colours: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    root, grey = request.getfixturevalue(colours), colours == "grey_root"
    network = root / (front_of(root).verification or {})["networks"][0]
    other = make_shapes(tmp_path / "others", 10, 3, grey=not grey)
    words = (str(tmp_path / "tuned.pt"), "--data", str(other))
    tuned = invoke("finetune", str(network), *words, "--epochs", "0.5", "--batch-size", "8")
    assert "a new head" in tuned
    assert ("have colours, and lose them" in tuned) == grey
    assert NetworkFile.load(tmp_path / "tuned.pt").classes == ("circle", "cross", "square")
    assert "on 6 test images" in invoke("evaluate", *words)


def test_the_space_follows_the_size_of_most_images(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number, side in enumerate((40, 120, 300)):
            Image.fromarray(np.zeros((side, 2 * side), np.uint8)).save(
                tmp_path / name / f"{number}.png"
            )
    assert space_for(tmp_path).name == "images-grey-128-2"
    for name in ("a", "b"):
        (tmp_path / name / "2.png").rename(tmp_path / name / "3.png")
        Image.fromarray(np.zeros((60, 60), np.uint8)).save(tmp_path / name / "2.png")
        (tmp_path / name / "1.png").unlink()
    assert space_for(tmp_path).name == "images-grey-64-2"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--space", "images-64-3"], "images-64-3 has 3 classes, {data} has 2"),
        (["--space", "ofa-mbv3-w1.0", "--quick"], "--quick is for digits and own images"),
        (["--space", "ofa-mbv3-w1.0"], "ofa-mbv3-w1.0 has 1000 classes, {data} has 2"),
        (["--accuracy", "a.csv"], "--accuracy nothing is trained: give one"),
    ],
)
def test_what_does_not_fit_the_folder_is_one_line(
    tmp_path: Path, words: list[str], said: str
) -> None:
    data = make_shapes(tmp_path / "images", 4, 2)
    with pytest.raises(UsageError, match=re.escape(said.format(data=data))):
        invoke("run", "--data", str(data), "--root", str(tmp_path), *words)


def test_what_was_trained_before_is_told_by_its_folder_or_by_nobody(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert recorded(workspace, "images-64-2-00000000") is None
    assert trained_before(workspace, "images-64-2") is None
    config = workspace.config("digits-00000000")
    config.parent.mkdir(parents=True)
    config.write_text('{"data": null}')
    assert recorded(workspace, "digits-00000000") is None
    config.write_text('{"data": {"folder": "images"}}')
    with pytest.raises(FileFormatError, match=r"config\.json is broken"):
        recorded(workspace, "digits-00000000")
