"""Model files that users bring: run as they are, or refused in one line."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper

from harness.deploy.bundle import write
from harness.deploy.formats import FORMATS
from harness.errors import ConversionFailed, HarnessError
from harness.networks.file import NetworkFile
from harness.pipeline.converted import compare_converted
from harness.runtimes.conversion.cache import keep
from harness.runtimes.conversion.mnn import MnnConverter
from harness.runtimes.conversion.onnx import OnnxConverter
from harness.runtimes.model_inputs.asked import Asked
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.own_file_session import OwnFileSession
from harness.runtimes.runtime import RUNTIMES
from harness.transports.local import LocalTransport
from tests.conftest import predict
from tests.deploy.test_bundle import network_file
from tests.small_models import given, save

FORMAT = {each.file: each for each in FORMATS}
OWN = [  # a file of each format, and the runtime that it is for
    ("torch", "network.pt2"),
    ("onnxruntime", "network.onnx"),
    ("litert", "network.tflite"),
    ("openvino", "network-openvino.xml"),
    ("executorch", "network.pte"),
    ("ncnn", "network-ncnn.param"),
    ("mnn", "network.mnn"),
]
CONVERTED = [(name, "network.onnx") for name in ("openvino", "ncnn", "mnn")]


@cache
def is_there(runtime: str) -> bool:
    return any(map(find_spec, RUNTIMES.find(runtime).board_packages))


@pytest.fixture(scope="module")
def opened() -> Iterator[Callable[[str], OwnFileSession]]:
    """One session of each runtime, which outlives whatever files it is given."""
    sessions: dict[str, OwnFileSession] = {}

    def opened(runtime: str) -> OwnFileSession:
        if not is_there(runtime):
            pytest.skip(f"the runtime {runtime} is not installed")
        if runtime not in sessions:
            session = RUNTIMES.find(runtime).open(LocalTransport(), RuntimeOptions())
            assert isinstance(session, OwnFileSession)
            sessions[runtime] = session
        return sessions[runtime]

    yield opened
    for session in sessions.values():
        session.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network in every format that can be made here, each compared with torch as it was made."""
    made = tmp_path_factory.mktemp("own")
    network = network_file(made / "network.pt")
    for runtime, file in OWN:
        if is_there(runtime):
            assert write(FORMAT[file], network, made / "network.pt", made, None, None).compared
    return made


@pytest.mark.parametrize(("runtime", "file"), [*OWN, *CONVERTED])
def test_a_users_own_file_is_run_and_gives_what_torch_gives(
    runtime: str, file: str, folder: Path, opened: Callable[[str], OwnFileSession]
) -> None:
    session, model = opened(runtime), folder / file
    (fed,) = session.feeding(model).feeds
    assert (fed.dtype, fed.fixed) == ("float32", True)
    assert np.prod(fed.shape) == 12 * 12  # of which formats have other orders
    assert len(session.visit(model, runs=3).values["wall"]) == 3
    images = np.random.default_rng(0).standard_normal((3, 1, 12, 12)).astype(np.float32)
    network = NetworkFile.load(folder / "network.pt").module()
    expected = predict(network, torch.from_numpy(images)).numpy()
    assert np.allclose(session.infer(model, images), expected, rtol=1e-3, atol=1e-4)


def cut(model: Path) -> None:
    content = model.read_bytes()
    model.write_bytes(content[: len(content) // 2])


def replaced(model: Path) -> None:
    model.write_bytes(b"something else " * 100)


def emptied(model: Path) -> None:
    model.write_bytes(b"")


def without_weights(model: Path) -> None:
    model.with_suffix(".bin").unlink()


def with_half_the_weights(model: Path) -> None:
    cut(model.with_suffix(".bin"))


def of_an_unknown_layer(model: Path) -> None:
    model.write_text(re.sub(r"^Convolution ", "Unheard ", model.read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize(
    ("runtime", "file", "spoil", "told"),
    [
        *((*each, spoil, "") for each in OWN for spoil in (cut, replaced, emptied)),
        ("openvino", "network-openvino.xml", without_weights, "network-openvino.bin, which is not"),
        ("openvino", "network-openvino.xml", with_half_the_weights, "weights"),
        ("ncnn", "network-ncnn.param", without_weights, "network-ncnn.bin, which is not beside it"),
        ("ncnn", "network-ncnn.param", with_half_the_weights, "cannot read"),
        ("ncnn", "network-ncnn.param", of_an_unknown_layer, "ncnn has no layer Unheard"),
    ],
)
def test_a_broken_file_is_one_line_that_names_it(
    runtime: str,
    file: str,
    spoil: Callable[[Path], None],
    told: str,
    folder: Path,
    tmp_path: Path,
    opened: Callable[[str], OwnFileSession],
) -> None:
    session = opened(runtime)
    for name in FORMAT[file].files:
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    spoil(tmp_path / file)
    with pytest.raises(HarnessError) as caught:
        session.load(tmp_path / file)
    said = str(caught.value)
    assert file in said
    assert told in said
    assert "\n" not in said
    assert len(said) < 800


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "ncnn", "mnn"])
def test_an_operator_that_the_runtime_lacks_is_named_in_one_line(
    runtime: str, tmp_path: Path, opened: Callable[[str], OwnFileSession]
) -> None:
    session = opened(runtime)
    node = helper.make_node("Unheard", ["x"], ["y"], domain="own")
    inputs = [given("x", TensorProto.FLOAT, [1, 3, 8, 8])]
    model = save(tmp_path / "mine.onnx", [node], inputs, rank=4)
    with pytest.raises(HarnessError, match="Unheard") as caught:
        session.load(model)
    assert "mine.onnx" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("runtime", ["openvino", "ncnn", "mnn"])
def test_open_sizes_are_those_that_were_asked_for(runtime: str, tmp_path: Path) -> None:
    """MNN and ncnn have the file converted for them."""
    if not is_there(runtime):
        pytest.skip(f"the runtime {runtime} is not installed")
    node = helper.make_node("Relu", ["x"], ["y"])
    sizes = [given("x", TensorProto.FLOAT, ["batch", 3, "height", 8])]
    model = save(tmp_path / "mine.onnx", [node], sizes, rank=4)
    options = RuntimeOptions(asked=Asked(dims={"height": 6}))
    with closing(RUNTIMES.find(runtime).open(LocalTransport(), options)) as session:
        images = np.random.default_rng(0).standard_normal((1, 3, 6, 8)).astype(np.float32)
        answers = session.infer(model, images)
    assert np.allclose(answers, images.clip(min=0).reshape(1, -1), atol=1e-6)


def test_a_model_file_with_a_suffix_in_capitals_needs_no_conversion(
    tmp_path: Path, opened: Callable[[str], OwnFileSession], folder: Path
) -> None:
    model = tmp_path / "MADE.ONNX"
    model.write_bytes(OnnxConverter(1).make(folder / "network.pt"))
    session = opened("onnxruntime")
    session.prepare([model])
    assert len(session.visit(model, runs=3).values["wall"]) == 3


def test_a_converted_file_that_answers_otherwise_is_not_timed(
    folder: Path, tmp_path: Path, opened: Callable[[str], OwnFileSession]
) -> None:
    session, model = opened("mnn"), tmp_path / "mine.onnx"
    content = (folder / "network.onnx").read_bytes()
    model.write_bytes(content)
    fed, options = session.feeding(model), RuntimeOptions()
    assert compare_converted(session, model, fed, options)
    other = tmp_path / "other.onnx"
    other.write_bytes(content + b"\x08\x08")  # the same, told once more: another name in the cache
    shapes = tuple((feed.name, feed.shape) for feed in fed.feeds)
    network_file(tmp_path / "other.pt", supernet=False)
    wrong = MnnConverter(1).make(tmp_path / "other.pt")
    keep(MnnConverter(1, shapes).path(other), wrong)
    with pytest.raises(ConversionFailed, match="answers otherwise"):
        compare_converted(session, other, fed, options)
