"""Files that models keep their weights in: which they are, and that they count."""

import hashlib
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import external_data_helper

from harness.errors import FileFormatError
from harness.measuring.plan import Entry, Plan, campaign_id
from harness.runtimes import onnxruntime
from harness.runtimes.model_files import beside, digest
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import seed_of
from harness.transports.local import LocalTransport
from tests.loops import loop_model
from tests.weights_beside import save_beside

WEIGHTS = np.arange(12, dtype=np.float32).reshape(4, 3)
IMAGES = np.array([[1, 2, 3, 4]], np.float32)


def test_weights_are_found_in_folders_beside_a_model_and_in_graphs_within_its_graph(
    tmp_path: Path,
) -> None:
    plain = loop_model(tmp_path / "loop.onnx", steps=2, width=4)
    assert beside(plain) == {}
    assert digest(plain) == hashlib.sha256(plain.read_bytes()).hexdigest()
    model = onnx.load(plain)
    (body,) = (attribute.g for attribute in model.graph.node[0].attribute)
    body.initializer.append(model.graph.initializer.pop())  # the matrix
    external_data_helper.convert_model_to_external_data(
        model, location="in/w.bin", size_threshold=0
    )
    (tmp_path / "in").mkdir()
    onnx.save(model, tmp_path / "apart.onnx")
    assert beside(tmp_path / "apart.onnx") == {"in/w.bin": tmp_path / "in/w.bin"}


def test_other_weights_beside_a_model_make_it_another_one(tmp_path: Path) -> None:
    plan = Plan(min_visits=3, max_visits=3, runs=2, interval=0.05, duration_s=0.0, anchors=0)
    found = set()
    for weights in (WEIGHTS, WEIGHTS + 1, WEIGHTS):
        model = save_beside(weights, tmp_path / "model.onnx", "weights.bin")
        campaign = campaign_id({}, {}, [Entry("network", model, ())], plan)
        found.add((digest(model), seed_of(model), campaign))
    assert len(found) == 2
    assert len(set(zip(*found, strict=True))) == 3
    assert all(len(set(each)) == 2 for each in zip(*found, strict=True))


@pytest.mark.parametrize("name", ["../weights.bin", "in/../../weights.bin", "{}/weights.bin"])
def test_weights_outside_of_the_models_folder_are_never_touched(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    model = save_beside(WEIGHTS, folder / "model.onnx", name.format(tmp_path))
    assert (tmp_path / "weights.bin").is_file()
    with pytest.raises(FileFormatError, match=r"outside of its folder.*save it with"):
        beside(model)


def test_a_link_to_what_lies_elsewhere_is_outside(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    model = save_beside(WEIGHTS, tmp_path / "folder/model.onnx", "weights.bin")
    (tmp_path / "folder/weights.bin").rename(tmp_path / "secret")
    (tmp_path / "folder/weights.bin").symlink_to(tmp_path / "secret")
    with pytest.raises(FileFormatError, match=r"weights\.bin, outside of its folder"):
        digest(model)


def test_weights_that_are_missing_are_named_with_where_they_belong(tmp_path: Path) -> None:
    model = save_beside(WEIGHTS, tmp_path / "model.onnx", "weights.bin")
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(FileFormatError, match=r"weights\.bin, which is not beside it: put it into"):
        seed_of(model)


def test_a_cache_of_downloads_may_link_to_both_files_from_elsewhere(tmp_path: Path) -> None:
    """As that of Hugging Face: their names are beside each other, and so are their contents."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots/1"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    save_beside(WEIGHTS, blobs / "model.onnx", "weights.bin")
    for number, name in enumerate(("model.onnx", "weights.bin")):
        (blobs / name).rename(blobs / str(number))
        (snapshot / name).symlink_to(blobs / str(number))
    assert beside(snapshot / "model.onnx") == {"weights.bin": snapshot / "weights.bin"}
    with closing(onnxruntime.open_session(LocalTransport(), RuntimeOptions())) as session:
        answer = session.infer(snapshot / "model.onnx", IMAGES)
    assert answer == pytest.approx(IMAGES @ WEIGHTS)
