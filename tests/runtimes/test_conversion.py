"""What .tflite files are made of, and what the smaller ones answer."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from PIL import Image
from torch import nn

from harness.deploy.eight_bits import in_eight_bits, rms
from harness.errors import ConversionFailed, FileFormatError
from harness.networks.build import build_lively, input_shape
from harness.networks.file import IMAGENET, NetworkFile, Preprocessing
from harness.runtimes.conversion import tflite
from harness.runtimes.conversion.cache import converted
from harness.runtimes.conversion.graph import complaints, read_graph
from harness.runtimes.conversion.images import AT_MOST, network_inputs
from harness.runtimes.conversion.ranges import range_inputs
from harness.runtimes.conversion.source import source_of
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.session import Workload, seed_of
from harness.spaces.arch import Arch
from harness.spaces.convolution import Convolution
from harness.spaces.digits import DIGITS
from harness.spaces.transformer import EncoderLayer
from harness.training import bn
from harness.training.data import prepare
from tests.conftest import lively_supernet, predict

ARCH = Arch(16, (1, 1, 1), (5, 0, 0, 3, 0, 0, 5, 0, 0), (4, 0, 0, 6, 0, 0, 4, 0, 0))
H_SWISH = next(b for b in DIGITS.distinct_blocks() if b.act == "h_swish" and b.se_channels)
LARGE = Convolution.parse("mbconv-5x5x160-m960-o160-k5-s1-h_swish-se240-res1")
POOL = Convolution("pool", 6, 6, 32, 0, 32, 1, 1, "none", 0, False)
MAXPOOL = Convolution("maxpool", 12, 12, 8, 0, 8, 3, 2, "none", 0, False)
DATA_FIELD = 4  # of a buffer's table: its bytes
GREY = Preprocessing(16, 0.5, 0.1)  # makes inputs that reach further than normal ones


Make = Callable[[TfliteConverter, Workload], Path]


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """A process for litert-torch, which warns a lot, and is imported once for all tests here."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


@pytest.fixture
def make(elsewhere: ProcessPoolExecutor) -> Make:
    return lambda converter, workload: elsewhere.submit(converted, converter, workload).result()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("images")
    draw(path, 20)
    return path


@pytest.fixture(scope="module")
def network_path(folder: Path) -> Path:
    """A network whose logits differ from image to image, thanks to its batch-norm statistics."""
    network = lively_supernet().extract(ARCH)
    bn.recompute(network, [torch.from_numpy(network_inputs(folder, 1, GREY))])
    path = folder / "network.pt"
    weights, digits = dict(network.state_dict()), tuple("0123456789")
    NetworkFile("digits", ARCH, DIGITS.blocks(ARCH), weights, GREY, digits, {}).save(path)
    return path


def draw(folder: Path, count: int, size: tuple[int, int] = (20, 30), seed: int = 1) -> None:
    """Images of coloured tiles, all different, of `size` (height, width)."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        tiles = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
        tiles.resize(size[::-1], Image.Resampling.NEAREST).save(folder / f"{number:03}.png")


def answers(path: Path, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Logits of images [n, channels, height, width]."""
    from ai_edge_litert.interpreter import Interpreter

    model = Interpreter(model_path=str(path))
    model.allocate_tensors()
    given, wanted = model.get_input_details()[0], model.get_output_details()[0]
    found = []
    for image in images.transpose(0, 2, 3, 1)[:, None]:
        if given["dtype"] != np.float32:
            scale, zero = given["quantization"]
            image = np.clip(np.round(image / scale) + zero, -128, 127).astype(np.int8)
        model.set_tensor(given["index"], np.ascontiguousarray(image))
        model.invoke()
        logits = model.get_tensor(wanted["index"]).astype(np.float32)
        if wanted["dtype"] != np.float32:
            scale, zero = wanted["quantization"]
            logits = (logits - zero) * np.float32(scale)
        found.append(logits)
    return np.concatenate(found)


def input_range(path: Path) -> tuple[float, float]:
    """What the 8 bits of the input stand for."""
    from ai_edge_litert.interpreter import Interpreter

    scale, zero = Interpreter(model_path=str(path)).get_input_details()[0]["quantization"]
    return scale * (-128 - zero), scale * (127 - zero)


def test_float16_halves_the_file_and_hardly_changes_the_answers(make: Make) -> None:
    full, half = (make(TfliteConverter(1, name), (LARGE,)) for name in ("float32", "float16"))
    assert 0.48 < half.stat().st_size / full.stat().st_size < 0.52
    assert read_graph(half.read_bytes()).ops["DEQUANTIZE"] == 5
    images = np.random.default_rng(0).standard_normal((1, 160, 5, 5), dtype=np.float32)
    expected, found = answers(full, images), answers(half, images)
    assert not np.array_equal(found, expected)
    # Each of the five operators' weights is off by half of the last of 11 bits at most.
    assert rms(found - expected) < 5**0.5 * 2**-11 * rms(expected)


@pytest.mark.parametrize(("precision", "size"), [("float32", 4), ("float16", 2), ("int8", 1)])
def test_all_weights_lie_inside_the_file_where_kernels_can_read_them(
    precision: str, size: int, make: Make
) -> None:
    """Behind the flatbuffer TFLite Micro would not see them."""
    content = make(TfliteConverter(1, precision), (LARGE,)).read_bytes()
    model = schema.Model.GetRootAs(content)
    buffers = [model.Buffers(number) for number in range(model.BuffersLength())]
    assert [buffer.Offset() for buffer in buffers] == [0] * len(buffers)
    tables = [buffer._tab for buffer in buffers if not buffer.DataIsNone()]
    starts = [table.Vector(table.Offset(DATA_FIELD)) for table in tables]
    weights = 960 * (160 + 5 * 5 + 2 * 240 + 160)  # of LARGE
    assert sum(buffer.DataLength() for buffer in buffers) > weights * size
    assert [start % 16 for start in starts] == [0] * len(starts)


def test_ranges_come_from_the_images_where_there_are_some(
    make: Make, network_path: Path, folder: Path
) -> None:
    random = make(TfliteConverter(1, "int8"), network_path)
    seen = make(TfliteConverter(1, "int8", folder), network_path)
    assert random.read_bytes() != seen.read_bytes()
    images = network_inputs(folder, 1, GREY)
    assert input_range(seen) == pytest.approx((images.min(), images.max()), rel=0.01)
    assert input_range(random) != pytest.approx((images.min(), images.max()), rel=0.1)
    normal = range_inputs(network_path, source_of(network_path), 1, None)
    drawn = torch.from_numpy(normal[:, 0]).contiguous()
    shown = torch.from_numpy(images)
    for path, inputs, others in ((random, drawn, shown), (seen, shown, drawn)):
        logits = answers(path, images)
        own, other = (
            in_eight_bits(NetworkFile.load(network_path).module(), each, shown)
            for each in (inputs, others)
        )
        assert own.agree(logits)
        assert not other.agree(logits)


def test_the_content_of_the_images_is_part_of_the_name(
    network_path: Path, folder: Path, tmp_path: Path
) -> None:
    draw(tmp_path, 20)
    (tmp_path / "notes.txt").write_text("no image")
    converter = TfliteConverter(1, "int8", tmp_path)
    before = converter.path(network_path)
    assert before == TfliteConverter(1, "int8", folder).path(network_path)
    draw(tmp_path, 1, seed=2)
    assert converter.path(network_path) != before


def test_images_decide_nothing_of_blocks_and_of_other_precisions(
    network_path: Path, folder: Path
) -> None:
    for precision, workload in (("int8", (H_SWISH,)), ("float16", network_path)):
        with_images = TfliteConverter(1, precision, folder)
        assert with_images.path(workload) == TfliteConverter(1, precision).path(workload)


def test_a_batch_is_filled_up_with_images(network_path: Path, folder: Path) -> None:
    inputs = range_inputs(network_path, source_of(network_path), 8, folder)
    assert inputs.shape == (3, 8, 1, 16, 16)
    assert np.array_equal(inputs[2, 4:], inputs[0, :4])


def test_images_are_prepared_as_in_training(tmp_path: Path) -> None:
    draw(tmp_path, 3)
    pixels = np.stack([np.asarray(Image.open(path)) for path in sorted(tmp_path.iterdir())])
    colour = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    found = network_inputs(tmp_path, 3, Preprocessing(16, *IMAGENET))
    assert found.dtype == np.float32
    assert np.allclose(found, prepare(colour, 16, *IMAGENET).numpy(), atol=1e-6)
    array = tmp_path / "images.npy"
    np.save(array, colour.numpy())
    assert np.allclose(network_inputs(array, 3, Preprocessing(16, *IMAGENET)), found, atol=1e-6)


def test_damaged_images_and_other_files_are_skipped(tmp_path: Path) -> None:
    draw(tmp_path, 2)
    good = (tmp_path / "001.png").read_bytes()
    (tmp_path / "001.png").write_bytes(good[: len(good) // 2])
    (tmp_path / "002.JPEG").write_bytes(b"no image")
    (tmp_path / "003.txt").write_text("no image")
    (tmp_path / "folder.png").mkdir()
    assert network_inputs(tmp_path, 1, GREY).shape == (1, 1, 16, 16)


def test_so_many_images_are_enough(tmp_path: Path) -> None:
    draw(tmp_path, AT_MOST + 3, (4, 4))
    assert len(network_inputs(tmp_path, 1, GREY)) == AT_MOST


def test_a_folder_without_a_readable_image_is_an_error(network_path: Path, tmp_path: Path) -> None:
    (tmp_path / "damaged.png").write_bytes(b"no image")
    with pytest.raises(FileFormatError, match=str(tmp_path)):
        network_inputs(tmp_path, 1, GREY)
    with pytest.raises(FileFormatError, match=r"missing\.npy"):
        TfliteConverter(1, "int8", tmp_path / "missing.npy").path(network_path)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros((2, 3, 8, 8), np.float32), "takes 1 channels"),
        (np.zeros((0, 1, 8, 8), np.float32), "takes 1 channels"),
        (np.zeros((2, 1, 8, 8)), "no float32 array"),
        (np.zeros((1, 8, 8), np.float32), "no float32 array"),
        (np.full((2, 1, 8, 8), 255, np.float32), "outside of 0 to 1"),
        (np.full((2, 1, 8, 8), np.nan, np.float32), "outside of 0 to 1"),
    ],
)
def test_an_array_that_is_no_images_is_an_error(
    array: npt.NDArray[np.float64], reason: str, tmp_path: Path
) -> None:
    np.save(tmp_path / "images.npy", array)
    with pytest.raises(FileFormatError, match=reason):
        network_inputs(tmp_path / "images.npy", 1, GREY)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_what_we_convert_is_what_was_meant(precision: str, make: Make, network_path: Path) -> None:
    network = DIGITS.blocks(ARCH)
    converter = TfliteConverter(1, precision)
    for blocks in [(H_SWISH,), (MAXPOOL,), network[:1]]:
        graph = read_graph(make(converter, blocks).read_bytes())
        assert complaints(graph, blocks, precision) == ()
    graph = read_graph(make(converter, network_path).read_bytes())
    assert complaints(graph, network, precision) == ()
    assert graph.ops["DEPTHWISE_CONV_2D"] > 3


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_a_layer_of_tokens_alone_answers_as_torch_does(precision: str, make: Make) -> None:
    from ai_edge_litert.interpreter import Interpreter

    blocks = (EncoderLayer(9, embed=24, inner=16, heads=1, ffn=24),)
    model = Interpreter(model_path=str(make(TfliteConverter(1, precision), blocks)))
    model.allocate_tensors()
    tokens = np.random.default_rng(2).normal(size=(1, 9, 24)).astype(np.float32)
    wanted = predict(build_lively(blocks, seed_of(blocks)), torch.from_numpy(tokens)).numpy()
    given = model.get_input_details()[0]
    if precision == "float32":
        model.set_tensor(given["index"], tokens)
        model.invoke()
        found = model.get_tensor(model.get_output_details()[0]["index"])
        assert found == pytest.approx(wanted, abs=1e-5)
    else:
        assert (given["dtype"], list(given["shape"])) == (np.int8, [1, 9, 24])


def test_pooling_alone_is_one_operator_as_inside_a_network(make: Make) -> None:
    path = make(TfliteConverter(1, "float32"), (POOL,))
    assert read_graph(path.read_bytes()).ops == {"MEAN": 1}
    images = np.random.default_rng(0).standard_normal((1, 32, 6, 6), dtype=np.float32)
    assert np.allclose(answers(path, images).ravel(), images.mean((2, 3)).ravel(), atol=1e-6)


def channels_first(blocks: Sequence[Convolution]) -> bytes:
    """The file that litert-torch makes where nobody asks for channels last."""
    return exported(build_lively(blocks, 0), input_shape(blocks, 1))


def in_groups_of_two(blocks: Sequence[Convolution]) -> bytes:
    """The block with a convolution that is nearly depthwise."""
    import litert_torch

    network = build_lively(blocks, 0)
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d) and layer.groups > 1:
            channels, kernel = layer.out_channels, layer.kernel_size[0]
            path = name
    grouped = nn.Conv2d(channels, channels, kernel, 1, kernel // 2, groups=channels // 2)
    network.set_submodule(path, grouped)
    batch, channels, height, width = input_shape(blocks, 1)
    last: nn.Module = litert_torch.to_channel_last_io(network, args=[0], outputs=[0])
    return exported(last, (batch, height, width, channels))


def exported(network: nn.Module, shape: tuple[int, ...]) -> bytes:
    import litert_torch

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.tflite")
        litert_torch.convert(network.eval(), (torch.zeros(shape),)).export(str(path))
        return path.read_bytes()


def test_transposes_are_named_and_refused(
    elsewhere: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = (H_SWISH,)
    content = elsewhere.submit(channels_first, blocks).result()
    assert complaints(read_graph(content), blocks, "int8") == ("2 TRANSPOSE",)
    monkeypatch.setattr(tflite, "_to_float32", lambda *_: content)
    with pytest.raises(ConversionFailed, match=rf"{H_SWISH.key} in float32 .* 2 TRANSPOSE"):
        TfliteConverter(1, "float32").make(blocks)


def test_a_depthwise_convolution_that_is_none_any_more_is_named(
    elsewhere: ProcessPoolExecutor,
) -> None:
    graph = read_graph(elsewhere.submit(in_groups_of_two, (H_SWISH,)).result())
    assert complaints(graph, (H_SWISH,), "int8") == ("0 DEPTHWISE_CONV_2D instead of 1",)


def test_what_splits_the_graph_is_named(make: Make) -> None:
    """XNNPACK has no 8-bit HARD_SWISH; in float32 it would be a complaint."""
    graph = read_graph(make(TfliteConverter(1, "int8"), (H_SWISH,)).read_bytes())
    assert graph.left_out == {"HARD_SWISH": 2}
    assert graph.partitions > 1
    expected = f"{graph.partitions} XNNPACK partitions instead of 1, split by HARD_SWISH"
    assert complaints(graph, (H_SWISH,), "float32") == (expected,)


def test_what_is_no_model_is_an_error() -> None:
    with pytest.raises(FileFormatError, match="cannot run"):
        read_graph(b"no model")
