"""Files of the cache that a full disk, a crash or a hand has spoilt."""

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.networks.file import NetworkFile, Preprocessing
from harness.runtimes.agent_file import AGENT, agent_file
from harness.runtimes.conversion import cache
from harness.runtimes.conversion.cache import cache_folder, convert_all, converted, is_whole
from harness.runtimes.conversion.onnx import OnnxConverter
from harness.runtimes.conversion.openvino import FloatConverter
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.conversion.weights import to_weights
from harness.runtimes.onnxruntime import open_session
from harness.runtimes.options import RuntimeOptions
from harness.spaces.digits import DIGITS
from harness.spaces.kernel import Kernel, Tensor
from harness.transports.local import LocalTransport
from tests.conftest import lively_supernet
from tests.runtimes.endless import BLOCK, Endless
from tests.runtimes.test_sessions import ARCH


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))


def cut(path: Path) -> bytes:
    """The content that it had."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return content


def flip(path: Path) -> bytes:
    content = path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    return content


def empty(path: Path) -> bytes:
    content = path.read_bytes()
    path.write_bytes(b"")
    return content


@pytest.mark.parametrize("spoil", [cut, flip, empty])
def test_a_spoilt_model_is_made_again(spoil: Callable[[Path], bytes]) -> None:
    path = converted(OnnxConverter(1), BLOCK)
    content = spoil(path)
    assert converted(OnnxConverter(1), BLOCK) == path
    assert path.read_bytes() == content
    spoil(path)
    convert_all(OnnxConverter(1), [BLOCK])
    assert path.read_bytes() == content


def test_a_model_that_is_whole_is_not_made_again() -> None:
    path = converted(OnnxConverter(1), BLOCK)
    before = path.stat().st_mtime_ns
    convert_all(OnnxConverter(1), [BLOCK])
    assert converted(OnnxConverter(1), BLOCK).stat().st_mtime_ns == before


def test_a_kernel_is_made_again_once_other_code_writes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    tensor = Tensor("float32", (1, 8))
    converter, kernel = OnnxConverter(1), (Kernel("Relu", (tensor,), (tensor,)),)
    before, block_before = converter.path(kernel), converter.path(BLOCK)
    assert converter.path(kernel) == before
    monkeypatch.setattr(cache, "_kernel_writers", lambda: ["of another version"])
    assert converter.path(kernel) != before
    assert converter.path(BLOCK) == block_before


def test_a_spoilt_model_of_a_slow_converter_is_made_again_in_the_pool() -> None:
    converter = TfliteConverter(1, "float32")
    convert_all(converter, [BLOCK])
    path = converter.path(BLOCK)
    cut(path)
    convert_all(converter, [BLOCK])
    assert is_whole(path)
    assert path.stat().st_size > 500


@pytest.mark.parametrize("group", [True, False])
def test_ctrl_c_ends_conversions_at_once_and_silently(
    tmp_path: Path, repository: Path, group: bool
) -> None:
    """A terminal sends it to the whole group, `kill -INT` to the command alone."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from harness import cli\n"
        "from harness.runtimes.conversion.cache import convert_all\n"
        "from tests.runtimes.endless import BLOCK, Endless\n"
        "cli.app = lambda *_, **__: convert_all(Endless(Path(sys.argv[1])), [BLOCK, BLOCK * 2])\n"
        "if __name__ == '__main__':\n"
        "    cli.main()\n"
    )
    script, begun = tmp_path / "convert.py", tmp_path / "begun"
    script.write_text(code)
    with subprocess.Popen(
        [sys.executable, str(script), str(begun)],
        env=os.environ | {"PYTHONPATH": str(repository)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        while not begun.exists():
            assert process.poll() is None
            time.sleep(0.05)
        (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)  # ten times less than a conversion takes
    assert process.returncode == 130
    assert errors.startswith("harness: stopped; ")
    assert len(errors.splitlines()) == 1


def test_whoever_is_told_how_far_it_is_ends_conversions_that_take_minutes(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    begun = tmp_path / "begun"

    def progress(done: int, total: int) -> None:
        assert (done, total) == (0, 2)
        if begun.exists():
            raise Enough

    with pytest.raises(Enough):
        convert_all(Endless(begun), [BLOCK, BLOCK * 2], progress)


def test_a_kernel_that_has_to_be_converted_is_said_to_become_a_file_of_its_own_kind(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "SOON_S", 0.0)
    key = "kernel-openvino.Relu;float32[1,8];n0=opset1.ReLU(i0)[1,8];>float32[1,8]"
    convert_all(FloatConverter(1), [(Kernel.parse(key),)])
    assert "1 files have to be converted to .openvino first" in caplog.text


def test_spoilt_weights_are_made_again(tmp_path: Path) -> None:
    network = tmp_path / "network.pt"
    weights = dict(lively_supernet().extract(ARCH).state_dict())
    blocks, digits = DIGITS.blocks(ARCH), tuple("0123456789")
    NetworkFile("digits", ARCH, blocks, weights, Preprocessing(16, 0, 1), digits, {}).save(network)
    content = cut(to_weights(network).path)
    assert to_weights(network).path.read_bytes() == content


@pytest.mark.parametrize("spoil", [cut, flip, empty])
def test_a_spoilt_agent_is_made_again(spoil: Callable[[Path], bytes]) -> None:
    content = spoil(agent_file(AGENT / "with_onnxruntime.py"))
    assert agent_file(AGENT / "with_onnxruntime.py").read_bytes() == content
    assert (
        agent_file(AGENT / "with_onnxruntime.py").stem == hashlib.sha256(content).hexdigest()[:16]
    )


def test_a_device_can_be_used_when_everything_in_the_cache_is_cut_off() -> None:
    for _ in range(2):
        with closing(open_session(LocalTransport(), RuntimeOptions())) as session:
            session.prepare([BLOCK])
            assert session.load(BLOCK) > 0
        for path in cache_folder().rglob("*"):
            if path.is_file():
                cut(path)
