"""What every runtime promises, tried on each that runs here."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import TargetFailed, TargetLost
from harness.networks.build import build_random
from harness.networks.file import NetworkFile, Preprocessing
from harness.runtimes.convert import cache_folder
from harness.runtimes.resident import ResidentSession, seed_of
from harness.runtimes.session import RuntimeOptions
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from harness.training.evaluate import predict
from harness.transports.local import LocalTransport
from tests.conftest import lively_supernet

RUNTIMES = ("torch", "onnxruntime")
ARCH = Arch(16, (2, 1, 2), (5, 7, 0, 3, 0, 0, 5, 3, 0), (4, 3, 0, 6, 0, 0, 4, 6, 0))


def open_session(runtime: str, options: RuntimeOptions) -> ResidentSession:
    module = import_module(f"harness.runtimes.{runtime}")
    session: ResidentSession = module.open_session(LocalTransport(), options)
    return session


@pytest.fixture(params=RUNTIMES)
def session(request: pytest.FixtureRequest) -> Iterator[ResidentSession]:
    opened = open_session(request.param, RuntimeOptions(cpus="one"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def network_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    blocks = DIGITS.blocks(ARCH)
    weights = dict(lively_supernet().extract(ARCH).state_dict())
    path = tmp_path_factory.mktemp("networks") / "network.pt"
    origin = {"test": True}
    digits = tuple("0123456789")
    NetworkFile("digits", ARCH, blocks, weights, Preprocessing(16, 0, 1), digits, origin).save(path)
    return path


def images(count: int) -> torch.Tensor:
    return torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(2))


def test_a_network_file_gives_the_logits_that_torch_gives_here(
    session: ResidentSession, network_path: Path
) -> None:
    expected = predict(NetworkFile.load(network_path).module(), images(9)).numpy()
    logits = session.infer(network_path, images(9).numpy())
    assert logits.shape == (9, 10)
    assert expected.std() > 1e-2
    assert np.allclose(logits, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_fixed_batch_takes_any_number_of_images(runtime: str, network_path: Path) -> None:
    session = open_session(runtime, RuntimeOptions(batch=4))
    expected = predict(NetworkFile.load(network_path).module(), images(9)).numpy()
    logits = session.infer(network_path, images(9).numpy())
    session.close()
    assert np.allclose(logits, expected, rtol=1e-3, atol=1e-4)


def test_every_block_of_a_space_can_be_visited(session: ResidentSession) -> None:
    before = time.time_ns()
    for block in DIGITS.distinct_blocks()[::4]:
        samples = session.visit((block,), runs=3)
        assert len(samples.wall_ns) == 3
        assert samples.thread_ns is not None
        assert len(samples.thread_ns) == 3
        assert min(samples.thread_ns) > 0
        assert before <= samples.at_ns <= time.time_ns()


def test_blocks_are_timed_with_the_weights_of_their_seed(session: ResidentSession) -> None:
    blocks = DIGITS.blocks(ARCH)
    expected = predict(build_random(blocks, seed_of(blocks)), images(2)).numpy()
    logits = session.infer(blocks, images(2).numpy())
    assert np.allclose(logits, expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_thread_time_is_given_only_where_one_thread_does_the_work(runtime: str) -> None:
    session = open_session(runtime, RuntimeOptions(num_threads=2))
    samples = session.visit(DIGITS.blocks(ARCH), runs=2)
    session.close()
    assert len(samples.wall_ns) == 2
    assert samples.thread_ns is None


def test_more_work_takes_longer(session: ResidentSession) -> None:
    small = DIGITS.blocks(Arch(12, (1,) * 3, (3,) * 9, (3,) * 9))
    large = DIGITS.blocks(Arch(20, (3,) * 3, (7,) * 9, (6,) * 9))
    times = {blocks: min(session.visit(blocks, runs=20).wall_ns) for blocks in (small, large)}
    assert times[large] > 1.5 * times[small]


def test_a_workload_can_be_unloaded_and_visited_again(session: ResidentSession) -> None:
    blocks = DIGITS.blocks(ARCH)
    other = (DIGITS.distinct_blocks()[0],)
    for _ in range(3):
        session.visit(blocks, runs=1)
        session.visit(other, runs=1)
        session.unload(blocks)
    session.unload(blocks)  # harmless


def test_the_session_says_where_it_runs(session: ResidentSession) -> None:
    assert session.environment["processor"]
    assert session.environment["processors"] == str([max(os.sched_getaffinity(0))])
    conditions = session.conditions()
    assert conditions["load_1m"] is None or isinstance(conditions["load_1m"], float)


def test_what_the_device_cannot_do_is_its_own_error_and_the_session_goes_on(
    session: ResidentSession,
) -> None:
    blocks = DIGITS.blocks(ARCH)
    with pytest.raises(TargetFailed):
        session.infer(blocks, np.zeros((1, 3, 5, 5), np.float32))
    assert session.visit(blocks, runs=1).wall_ns


def test_an_agent_that_dies_is_a_lost_target(session: ResidentSession) -> None:
    os.kill(session._process._child.pid, signal.SIGKILL)  # type: ignore[attr-defined]
    with pytest.raises(TargetLost):
        session.visit(DIGITS.blocks(ARCH), runs=1)


@pytest.mark.parametrize("cpus", ["0x0", "0x800000000000"])
def test_processors_that_are_not_there_are_refused(cpus: str) -> None:
    with pytest.raises(TargetFailed, match="not here"):
        open_session("torch", RuntimeOptions(cpus=cpus))


def test_conversion_is_cached_by_content() -> None:
    for _ in range(2):
        session = open_session("onnxruntime", RuntimeOptions())
        session.load(DIGITS.blocks(ARCH))
        session.close()
        made = {path: path.stat().st_mtime_ns for path in cache_folder().glob("*.onnx")}
    session = open_session("onnxruntime", RuntimeOptions())
    session.load(DIGITS.blocks(ARCH))
    session.close()
    assert made == {path: path.stat().st_mtime_ns for path in cache_folder().glob("*.onnx")}


def test_the_agent_ends_when_its_parent_is_killed() -> None:
    code = (
        "from harness.runtimes.torch import open_session\n"
        "from harness.runtimes.session import RuntimeOptions\n"
        "from harness.transports.local import LocalTransport\n"
        "session = open_session(LocalTransport(), RuntimeOptions())\n"
        "print(session._process._child.pid, flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        agent = int(parent.stdout.readline())
        parent.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not Path(f"/proc/{agent}").exists() or _is_zombie(agent):
            return
        time.sleep(0.1)
    raise AssertionError(f"agent {agent} still runs")


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
