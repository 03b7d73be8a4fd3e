"""Networks that take long a run are waited for; one that hangs ends the waiting with a line."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import onnxruntime as onnxruntime_library
import pytest

from harness.device.conditions import Limits
from harness.errors import TargetStalled
from harness.measuring import rounds
from harness.measuring.campaign import Work, run_campaign
from harness.measuring.plan import Entry, Plan, sentinel
from harness.runtimes import onnxruntime, resident, tensorrt
from harness.runtimes.agent import timing
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.resident import ResidentSession
from harness.runtimes.trtexec_flags import TensorrtOptions
from harness.spaces.digits import DIGITS
from harness.spaces.transformer import Vocabulary
from harness.transports.local import LocalTransport
from tests.loops import loop_model

STAND_IN = Path(__file__).parents[1] / "real" / "trtexec"
STEPS, WIDTH = 2000, 320
ENDLESS = 10**12  # steps


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """About half a second a run."""
    return loop_model(tmp_path_factory.mktemp("slow") / "slow.onnx", STEPS, WIDTH)


@pytest.fixture(scope="module")
def run_s(slow: Path) -> float:
    return timed_s(slow)


def timed_s(network: Path) -> float:
    """One run, on one thread."""
    settings = onnxruntime_library.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime_library.InferenceSession(network, settings)
    images = np.zeros((WIDTH, WIDTH), np.float32)
    began = time.monotonic()
    session.run(None, {"x": images})
    return time.monotonic() - began


@pytest.fixture
def session(monkeypatch: pytest.MonkeyPatch, run_s: float) -> Iterator[ResidentSession]:
    """One that waits less than a run takes for what takes no runs."""
    with closing(onnxruntime.open_session(LocalTransport(), RuntimeOptions())) as opened:
        assert isinstance(opened, ResidentSession)
        monkeypatch.setattr(resident, "ANSWER_TIMEOUT_S", 0.8 * run_s)
        yield opened


def worked_s(session: ResidentSession) -> float:
    """What the agent has worked, whatever else the processor did."""
    child = session._process._child  # type: ignore[attr-defined]
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_a_visit_is_waited_for_as_long_as_its_runs_may_take(
    session: ResidentSession, slow: Path, run_s: float
) -> None:
    walls = session.visit(slow, runs=4).values["wall"]
    assert len(walls) == 4
    assert sum(walls) / 1e9 > run_s  # several times what an answer is waited for


def test_the_operators_of_a_slow_network_are_told_of_few_runs(
    session: ResidentSession, slow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "PROFILED_S", 0.01)
    began = time.monotonic()
    ops = {each.op: each for each in session.profile_ops(slow)}
    took_s = time.monotonic() - began
    assert ops["MatMul"].count == STEPS
    assert took_s < resident.PROFILED_RUNS * ops["MatMul"].mean_ms / 1e3


def test_a_network_that_hangs_ends_the_waiting_with_its_name(
    session: ResidentSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "LOAD_S", 1.0)
    endless = loop_model(tmp_path / "endless.onnx", ENDLESS, width=8)
    began = time.monotonic()
    with pytest.raises(
        TargetStalled, match=r"no answer \(load .*endless\.onnx\) within .* it hangs"
    ):
        session.visit(endless, runs=1)
    assert time.monotonic() - began < 30


def test_no_run_of_seconds_is_made_only_to_warm_up(
    session: ResidentSession, slow: Path, run_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resident, "LONG_RUN_S", run_s / 4)
    session.load(slow)
    before_s = worked_s(session)
    (wall_ns,) = session.visit(slow, runs=1).values["wall"]
    assert worked_s(session) - before_s < 1.7 * wall_ns / 1e9


def test_what_took_minutes_at_first_is_not_run_again_only_to_warm_up() -> None:
    again: list[bool] = []
    first_ns = int(300e9)
    assert timing.warm_up(lambda: again.append(True), lambda: None, first_ns) == first_ns
    assert not again


def test_a_campaigns_visits_to_slow_networks_are_of_few_runs(
    session: ResidentSession,
    slow: Path,
    run_s: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rounds, "LONGEST_VISIT_S", 1.5 * run_s)
    plan = Plan(min_visits=2, max_visits=2, runs=5, interval=0.05, duration_s=0, anchors=0)
    entries = [sentinel(DIGITS), Entry("network", slow, ())]
    work = Work({}, "wall", Limits(), entries, plan, lambda name: tmp_path / f"{name}.jsonl")
    small, network = run_campaign(session, work).records[:2]
    assert small.statistics.runs == 5 * small.statistics.visits
    assert network.statistics.visits == 2
    assert network.statistics.runs < 5 * 2


@pytest.fixture
def trtexec(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tensorrt.TensorrtSession]:
    monkeypatch.setenv("BOARD_PYTHON", sys.executable)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    options = RuntimeOptions(own=TensorrtOptions(trtexec=str(STAND_IN)))
    with closing(tensorrt.open_session(LocalTransport(), options)) as opened:
        yield opened


def test_trtexec_is_asked_for_one_run_where_ten_take_too_long(
    trtexec: tensorrt.TensorrtSession,
    run_s: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    network = loop_model(tmp_path / "slow.onnx", round(STEPS * 0.4 / run_s), WIDTH)
    took_s = timed_s(network)
    monkeypatch.setattr(tensorrt, "VISIT_S", 1.5 + 5 * took_s)  # the stand-in has to start
    monkeypatch.setattr(tensorrt, "LONGEST_S", 2 * took_s)
    samples = trtexec.visit(network, 1)
    assert 1 <= len(samples.values["wall"]) <= 2
    assert min(samples.values["wall"]) / 1e9 > took_s / 2
    assert len(trtexec.visit(network, 8).values["wall"]) == 8  # longer than VISIT_S


def test_a_trtexec_that_hangs_ends_the_waiting_with_the_networks_name(
    trtexec: tensorrt.TensorrtSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = loop_model(tmp_path / "endless.onnx", ENDLESS, width=8)
    monkeypatch.setattr(tensorrt, "VISIT_S", 1.5)
    with pytest.raises(TargetStalled, match=r"endless\.onnx, 1 runs in trtexec: .* within 1\.5 s"):
        trtexec.visit(endless, 1)


def test_what_was_used_the_longest_ago_makes_room_and_is_loaded_again(
    session: ResidentSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = ((Vocabulary(steps, 16, 40),) for steps in (2, 3, 4))
    monkeypatch.setattr(session, "_most_loaded", 2 * first[0].params)
    session.prepare([first, second, third])
    known_ns = [session.load(each) for each in (first, second)]
    session.visit(first, runs=1)
    session.load(third)
    assert list(session._ids) == [first, third]
    assert len(session.visit(second, runs=3).values["wall"]) == 3
    assert list(session._ids) == [third, second]
    assert [session.load(each) for each in (first, second)] == known_ns
