"""What leaves runs elsewhere: .tflite files on TFLite Micro, which reads no weights outside."""

from dataclasses import replace
from pathlib import Path

import flatbuffers
import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from torch.nn.functional import cross_entropy

from harness.deploy import bundle
from harness.deploy.bundle import write
from harness.deploy.formats import FORMATS, Format
from harness.errors import ConversionFailed
from harness.networks.build import build_lively
from harness.networks.file import NetworkFile, Preprocessing
from harness.runtimes.tflite_micro import MICRO_HINT, has_micro, in_tflite_micro
from harness.spaces.block import Block
from harness.training import bn
from harness.training.data import MEAN, STD, Digits, prepare
from tests.runtimes.test_conversion import answers

BLOCKS = tuple(
    Block.parse(key)
    for key in (
        "conv-16x16x1-m0-o16-k3-s2-relu-se0-res0",
        "mbconv-8x8x16-m64-o32-k5-s2-h_swish-se16-res0",
        "mbconv-4x4x32-m96-o32-k3-s1-h_swish-se24-res1",
        "pool-4x4x32-m0-o32-k1-s1-none-se0-res0",
        "linear-1x1x32-m0-o10-k1-s1-none-se0-res0",
    )
)
RESOLUTION = 16
SHOWN, EPOCHS = 200, 20
SMALL = 64  # bytes: what paddings and axes take, and no weights
FLOAT, INT8 = FORMATS[2:4]
micro = pytest.mark.skipif(not has_micro(), reason=MICRO_HINT)


@pytest.fixture(scope="module")
def digits() -> Digits:
    return Digits.load()


@pytest.fixture(scope="module")
def source(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that knows digits: on random weights classes would be a matter of rounding."""
    images, labels = prepare(digits.originals[SHOWN:], RESOLUTION), digits.labels[SHOWN:]
    network = build_lively(BLOCKS, 0).train()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    generator = torch.Generator().manual_seed(0)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(labels), generator=generator).split(64):
            optimizer.zero_grad()
            cross_entropy(network(images[rows]), labels[rows]).backward()
            optimizer.step()
        schedule.step()
    bn.recompute(network, [images])
    path = tmp_path_factory.mktemp("digits") / "network.pt"
    pixels, weights = Preprocessing(RESOLUTION, MEAN, STD), dict(network.state_dict())
    NetworkFile("mine", None, BLOCKS, weights, pixels, digits.classes, {}).save(path)
    np.save(path.with_name("ranges.npy"), digits.originals[SHOWN : SHOWN + 64].numpy())
    return path


@pytest.fixture(scope="module")
def int8(source: Path) -> Path:
    """What `export` writes."""
    ranges = source.with_name("ranges.npy")
    write(INT8, NetworkFile.load(source), source, source.parent, ranges, None)
    return source.with_name(INT8.file)


def outside(content: bytes) -> bytes:
    """The file with its weights behind the flatbuffer, as ai-edge-quantizer leaves them."""
    model = schema.ModelT.InitFromPackedBuf(content)
    weights = [each for each in model.buffers if each.data is not None and len(each.data) > SMALL]
    data = [bytes(buffer.data) for buffer in weights]
    for buffer in weights:
        buffer.data, buffer.offset, buffer.size = None, 1, 1
    offsets = _packed(model)
    for buffer, each in zip(weights, data, strict=True):
        buffer.offset, buffer.size = (len(offsets) + 15) // 16 * 16, len(each)
        offsets = offsets.ljust(buffer.offset, b"\0") + each
    return _packed(model) + offsets[len(_packed(model)) :]


def _packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@micro
def test_an_exported_int8_network_gives_the_same_classes_on_tflite_micro_on_200_digits(
    int8: Path, digits: Digits
) -> None:
    shown = prepare(digits.originals[:SHOWN], RESOLUTION).contiguous().numpy()
    here, there = answers(int8, shown).argmax(1), in_tflite_micro(int8, shown).argmax(1)
    assert np.mean(here == digits.labels[:SHOWN].numpy()) > 0.95
    assert np.array_equal(here, there)


@micro
@pytest.mark.parametrize("format_", [FLOAT, INT8], ids=lambda each: each.name)
def test_a_tflite_file_is_compared_on_tflite_micro_too(
    format_: Format, source: Path, tmp_path: Path
) -> None:
    written = write(format_, NetworkFile.load(source), source, tmp_path, None, None)
    assert written.second_reader.startswith("the same in tflite-micro")
    assert "planned" not in written.second_reader


@micro
def test_a_file_whose_weights_tflite_micro_does_not_see_is_refused(
    int8: Path, source: Path, tmp_path: Path
) -> None:
    content, ranges = outside(int8.read_bytes()), source.with_name("ranges.npy")
    wrong = replace(INT8, contents=lambda *_: (content,))
    with pytest.raises(ConversionFailed, match="logits in tflite-micro differ"):
        write(wrong, NetworkFile.load(source), source, tmp_path, ranges, None)


def test_where_it_is_not_installed_the_bundle_says_so_and_how(
    int8: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = int8.read_bytes()
    made = replace(INT8, contents=lambda *_: (content,))
    monkeypatch.setattr(bundle, "has_micro", lambda: False)
    ranges = source.with_name("ranges.npy")
    written = write(made, NetworkFile.load(source), source, tmp_path, ranges, None)
    assert "pip install -c constraints.txt '.[micro]'" in written.second_reader


@pytest.mark.parametrize("factor", [1e-3, 0.8, 1.25])
def test_an_int8_file_with_wrong_weights_is_refused(
    factor: float, int8: Path, source: Path, tmp_path: Path
) -> None:
    """Wrong in the classifier alone; at a thousandth nearly nothing depends on the images."""
    model = schema.ModelT.InitFromPackedBuf(int8.read_bytes())
    (graph,) = model.subgraphs
    kinds = [model.operatorCodes[each.opcodeIndex].builtinCode for each in graph.operators]
    classifier = graph.operators[kinds.index(schema.BuiltinOperator.FULLY_CONNECTED)]
    weights = graph.tensors[classifier.inputs[1]].quantization
    weights.scale = [float(np.float32(scale * factor)) for scale in weights.scale]
    content, ranges = _packed(model), source.with_name("ranges.npy")
    wrong = replace(INT8, contents=lambda *_: (content,))
    with pytest.raises(ConversionFailed, match="does not compute what the network does"):
        write(wrong, NetworkFile.load(source), source, tmp_path, ranges, None)


def test_a_network_that_takes_no_notice_of_its_input_is_refused(
    source: Path, tmp_path: Path
) -> None:
    network = NetworkFile.load(source)
    network.weights["0.1.weight"].zero_()  # of the stem's batch norm
    with pytest.raises(ConversionFailed, match="answers the same to all images"):
        write(FORMATS[0], network, source, tmp_path, None, None)
