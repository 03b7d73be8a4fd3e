"""What command line runners of phones print, besides benchmark_model (test_benchmark_log.py)."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TargetFailed
from harness.runtimes import executor_runner, mnn_benchmark

LOGS = Path(__file__).with_name("runner_logs")
MNN = (  # by the format strings of benchmark.cpp
    "Forward type: **CPU** thread=1** precision=1** sparsity=0** sparseBlockOC=1\n"
    "--------> Benchmarking... loop = {runs}, warmup = 3\n"
    "[ - ] {name:<24}    max = {max:8.3f} ms  min = {min:8.3f} ms  avg = {avg:8.3f} ms\n"
)
EXECUTED = "I 00:00:00.1 executorch:executor_runner.cpp:1] Model executed successfully {} time(s)"


def test_mnns_times_are_the_mean_without_the_slowest_run() -> None:
    log = mnn_benchmark.parse_log((LOGS / "mnn-2019.txt").read_text())
    assert log.runs == 10
    assert log.typical_us == pytest.approx((24489 * 10 - 26139) / 9)
    newer = MNN.format(runs=20, name="m.mnn", max=3.0, min=1.0, avg=1.1)
    assert mnn_benchmark.parse_log(newer).typical_us == pytest.approx((1100 * 20 - 3000) / 19)


def test_executor_runner_tells_the_mean_of_its_runs() -> None:
    output = EXECUTED.format(50) + " in 123.400000 ms.\n"
    assert executor_runner.parse_log(output).typical_us == pytest.approx(2468)


def test_an_executor_runner_that_tells_no_times_is_too_old() -> None:
    for output in ((LOGS / "executor_runner-2023.txt").read_text(), EXECUTED.format(10) + "."):
        with pytest.raises(TargetFailed, match="does not tell how long"):
            executor_runner.parse_log(output)


def test_what_failed_is_told_as_the_runner_says_it() -> None:
    said = "E 00:00:00.214101 executorch:method.cpp:939] Missing operator: [1] own::op.out\n"
    with pytest.raises(TargetFailed, match=r"Missing operator: \[1\] own::op.out"):
        executor_runner.parse_log(said)
    with pytest.raises(TargetFailed, match="tells no times"):
        mnn_benchmark.parse_log("MNN benchmark\nopen x failed: No such file or directory\n")


@pytest.mark.parametrize("runs", ["0", "9" * 40])
def test_counts_that_cannot_be_are_no_times(runs: str) -> None:
    with pytest.raises(TargetFailed):
        executor_runner.parse_log(EXECUTED.format(runs) + " in 1.0 ms.")
    with pytest.raises(TargetFailed):
        mnn_benchmark.parse_log(MNN.format(runs=runs, name="m", max=1.0, min=1.0, avg=1.0))


@given(st.text() | st.sampled_from((MNN, EXECUTED)).flatmap(lambda s: st.text().map(s.__add__)))
def test_whatever_else_is_said_is_one_error(output: str) -> None:
    for parse in (executor_runner.parse_log, mnn_benchmark.parse_log):
        with pytest.raises(TargetFailed) as caught:
            parse(output)
        assert "\n" not in str(caught.value)
