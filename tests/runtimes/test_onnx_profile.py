"""Times of operators of onnxruntime: a loop holds what is in it, and is not counted beside it."""

import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from harness.runtimes import board, onnxruntime
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import ProfilingSession
from harness.transports.local import LocalTransport
from tests.loops import loop_model

AGENT = Path(board.__file__).parent / "agent"
sys.path.insert(0, str(AGENT))  # as on the target
onnx_profile: Any = import_module("onnx_profile")
sys.path.remove(str(AGENT))


def test_a_loop_keeps_what_is_its_own(tmp_path: Path) -> None:
    model = loop_model(tmp_path / "loop.onnx", steps=20, width=320)
    with closing(onnxruntime.open_session(LocalTransport(), RuntimeOptions())) as session:
        assert isinstance(session, ProfilingSession)
        ops = {each.op: each for each in session.profile_ops(model)}
    assert ops["MatMul"].count == 20
    assert ops["Loop"].count == 1
    assert 0 < ops["Loop"].mean_ms < ops["MatMul"].mean_ms  # with what is in it, it is longer


def node(op: str, start: int, end: int, thread: int = 1) -> dict[str, Any]:
    name, args = f"{op}_7_kernel_time", {"op_name": op}
    return {"cat": "Node", "name": name, "ts": start, "dur": end - start, "tid": thread} | {
        "args": args
    }


def run(start: int, end: int) -> dict[str, Any]:
    return {"cat": "Session", "name": "model_run", "ts": start, "dur": end - start, "tid": 1}


def of_one_run(start: int) -> list[dict[str, Any]]:
    """A loop of two rounds with a branch in the first, which begins and ends with the branch's."""
    events = [
        node("Relu", 0, 5),
        node("Tanh", 20, 30),
        node("If", 20, 30),
        node("MatMul", 30, 40),
        node("MatMul", 50, 60),
        node("Loop", 10, 70),
        node("Softmax", 70, 90),
        run(0, 95),
    ]
    return [event | {"ts": event["ts"] + start} for event in events]


WHOLE = [
    ["Relu", 1, 0.005],
    ["Loop", 1, 0.03],
    ["If", 1, 0.0],
    ["Tanh", 1, 0.01],
    ["MatMul", 2, 0.02],
    ["Softmax", 1, 0.02],
]


def in_order(rows: list[list[Any]]) -> list[list[Any]]:
    """Each type has one node in these."""
    return sorted(
        [op, count, pytest.approx(ms), [[f"{op}_7", pytest.approx(ms)]]] for op, count, ms in rows
    )


def test_rows_sum_up_to_the_time_of_the_nodes_of_a_run() -> None:
    found = onnx_profile.times_of_operators([*of_one_run(0), *of_one_run(100)])
    assert sorted(found) == in_order(WHOLE)
    assert sum(ms for _, _, ms, _ in found) == pytest.approx(0.085)  # of 95 us


def test_a_thread_of_its_own_runs_beside_a_loop_and_not_in_it() -> None:
    events = [node("Loop", 10, 70), node("MatMul", 20, 30, thread=2), run(0, 80)]
    found = sorted(onnx_profile.times_of_operators(events))
    assert found == in_order([["Loop", 1, 0.06], ["MatMul", 1, 0.01]])


def test_runs_that_the_profile_has_no_room_for_do_not_count() -> None:
    cut_off = of_one_run(100)[:4]  # at a million events it stops, without its loop
    assert sorted(onnx_profile.times_of_operators([*of_one_run(0), *cut_off])) == in_order(WHOLE)
    with pytest.raises(ValueError, match="no room for a run"):
        onnx_profile.times_of_operators(cut_off)
