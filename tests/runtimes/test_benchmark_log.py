"""The parser of benchmark_model's output, on logs that others recorded (see their README)."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TargetFailed
from harness.runtimes.benchmark_log import BenchmarkLog, first_run_us, parse_log, parse_ops

LOGS = Path(__file__).with_name("benchmark_logs")
GENERATIONS = ("tf-1.12", "tf-1.15", "tf-2.4", "tf-2.4-gpu", "tf-2.x-info", "litert")


def recorded(name: str) -> str:
    return (LOGS / f"{name}.txt").read_text()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tf-1.12", BenchmarkLog(50, 137722, 137079, 143416, 4452, None)),
        ("tf-1.15", BenchmarkLog(15, 66767.6, 66699, 66838, 9933, None)),
        ("tf-2.4", BenchmarkLog(50, 33209.4, 32641, 34005, 855, 12.8672)),
        ("tf-2.4-gpu", BenchmarkLog(50, 119375, 113737, 124776, 870557, None)),
        ("tf-2.x-info", BenchmarkLog(50, 971535, 911877, 1112273, 6418, 109.848)),
        ("litert", BenchmarkLog(50, 1.24027e6, 1238588, 1252566, 5579, 109.832)),
    ],
)
def test_every_generation_is_read(name: str, expected: BenchmarkLog) -> None:
    assert parse_log(recorded(name)) == expected


@pytest.mark.parametrize(
    ("name", "expected_us"),
    [("tf-1.15", None), ("tf-2.4", 49060), ("tf-2.x-info", 1041765), ("litert", 1357602)],
)
def test_the_first_run_is_read_where_the_runner_tells_it(
    name: str, expected_us: float | None
) -> None:
    assert first_run_us(recorded(name)) == expected_us


def test_what_logcat_puts_in_front_of_lines_does_not_matter() -> None:
    lines = recorded("litert").replace("INFO: ", "07-08 15:33:55.768 I/tflite  ( 5395): ")
    assert parse_log(lines) == parse_log(recorded("litert"))


@pytest.mark.parametrize("name", GENERATIONS)
def test_a_log_that_was_cut_off_is_never_a_result(name: str) -> None:
    text = recorded(name)
    results_end = text.index("nit: ", text.rindex("count=")) + 5
    for end in range(0, results_end, 7):
        with pytest.raises(TargetFailed, match="ended before its results"):
            parse_log(text[:end])


@given(st.text() | st.sampled_from([recorded(name) for name in GENERATIONS]), st.data())
def test_no_text_does_more_than_fail(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    hostile = text[:start] + data.draw(st.text(max_size=30)) + text[end:]
    try:
        log = parse_log(hostile)
    except TargetFailed:
        return
    assert log.runs >= 1
    assert 0 <= log.typical_us < math.inf


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("avg=1.24027e+06", "avg=nan"),
        ("avg=1.24027e+06", "avg=-3"),
        ("avg=1.24027e+06", "avg=1e999"),
        ("avg=1.24027e+06", "avg=12"),
        ("min=1238588 ", ""),
        ("max=1252566", "max=x"),
        ("count=50", "count=0"),
        ("count=50", f"count={'9' * 300}"),
        ("Init: 5579", "Init: 1e300"),
    ],
)
def test_numbers_that_cannot_be_are_no_result(old: str, new: str) -> None:
    assert old in recorded("litert")
    with pytest.raises(TargetFailed, match="no plausible result"):
        parse_log(recorded("litert").replace(old, new))


@pytest.mark.parametrize("told", ["many", "nan", "-3", "1e300"])
def test_memory_that_cannot_be_is_unknown_and_the_times_are_read(told: str) -> None:
    log = parse_log(recorded("litert").replace("overall=109.832", f"overall={told}"))
    assert (log.memory_mb, log.mean_us) == (None, 1.24027e6)


def test_runs_that_take_no_time_are_no_result() -> None:
    text = recorded("litert")
    for name, told in (("avg", "1.24027e+06"), ("min", "1238588"), ("max", "1252566")):
        text = text.replace(f"{name}={told}", f"{name}=0")
    with pytest.raises(TargetFailed, match="no plausible result"):
        parse_log(text)


@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=50))
def test_what_the_runner_says_of_any_runs_is_read_back(times_us: list[int]) -> None:
    """By the rules of Stat::OutputToStream: one value, all the same, or six significant digits."""
    mean = sum(times_us) / len(times_us)
    if len(set(times_us)) == 1:
        said = f"count={len(times_us)} curr={times_us[0]}" + "(all same)" * (len(times_us) > 1)
    else:
        said = (
            f"count={len(times_us)} first={times_us[0]} curr={times_us[-1]} min={min(times_us)} "
            f"max={max(times_us)} avg={mean:.6g} std=1"
        )
    text = (
        "INFO: Running benchmark for at least 1 iterations\nINFO: count=1 curr=9\n\n"
        f"INFO: Running benchmark for at least 1 iterations\nINFO: {said}\n\n"
        "INFO: Inference timings in us: Init: 9, First inference: 9\n"
    )
    log = parse_log(text)
    assert log.runs == len(times_us)
    assert (log.min_us, log.max_us) == (min(times_us), max(times_us))
    assert log.mean_us == pytest.approx(mean, rel=1e-5)
    assert log.min_us <= log.typical_us <= log.mean_us
    if len(times_us) > 2:
        rest = (sum(times_us) - max(times_us)) / (len(times_us) - 1)
        assert log.typical_us == pytest.approx(rest, rel=1e-5 * max(times_us) / rest, abs=1e-3)


@pytest.mark.parametrize(
    "line",
    [
        "ERROR: Failed to load model /data/local/tmp/x.tflite",
        "Failed to apply GPU delegate.",
        "Failed to allocate tensors!",
        "ERROR: Benchmarking failed.",
        "ERROR: Disallowed CPU fallback detected.",
        "/system/bin/sh: /data/local/tmp/harness/x: not executable: 64-bit ELF file",
    ],
)
def test_what_the_runner_complains_of_is_passed_on(line: str) -> None:
    with pytest.raises(TargetFailed) as raised:
        parse_log(f"INFO: STARTING!\n{line}\n")
    assert line.removeprefix("ERROR: ") in str(raised.value)


# github.com/tensorflow/tensorflow issue 56482, comment of francescoyou97: the run then went on, on
# the CPU, and ended with status 0
FALLEN_BACK = (
    "Though NNAPI delegate is explicitly applied, the model graph will not be executed by the "
    "delegate.\n"
)


def test_a_delegate_that_silently_does_nothing_is_a_failure() -> None:
    for delegate in ("NNAPI", None):
        with pytest.raises(TargetFailed, match="NNAPI delegate takes nothing"):
            parse_log(FALLEN_BACK + recorded("litert"), delegate)


def test_a_delegate_must_take_the_whole_network() -> None:
    assert parse_log(recorded("tf-2.4-gpu"), "GPU").runs == 50
    partly = recorded("tf-2.4-gpu").replace("completely executed", "partially executed")
    with pytest.raises(TargetFailed, match="only parts"):
        parse_log(partly, "GPU")
    with pytest.raises(TargetFailed, match="was not applied"):
        parse_log(recorded("litert"), "GPU")


def test_times_by_type_of_operator_are_read() -> None:
    ops = parse_ops(recorded("profile"))
    assert [(op.op, op.count, op.mean_ms) for op in ops][:2] == [
        ("CONV_2D", 15, 1.406),
        ("DEPTHWISE_CONV_2D", 13, 0.169),
    ]
    assert len(ops) == 5
    assert parse_ops(recorded("profile").replace("\n\t", "\nINFO: \t")) == ops


def test_an_output_without_a_profile_says_so() -> None:
    with pytest.raises(TargetFailed, match="no profile"):
        parse_ops(recorded("litert"))


LOADING = "Profiling Info for Benchmark Initialization:"
RUNS = "Operator-wise Profiling Info for Regular Benchmark Runs:"


def table(*rows: tuple[str, int, float]) -> str:
    """As StatsCalculator::GetStatsByNodeType prints it."""
    whole, cumulated, lines = sum(ms for _, _, ms in rows), 0.0, []
    for op, count, ms in rows:
        cumulated += ms
        shares = f"{100 * ms / whole:9.3f}%\t{100 * cumulated / whole:9.3f}%"
        lines.append(f"\t{op:>24}\t{count:9}\t{ms:10.3f}\t{shares}\t     0.000\t{count:9}\n")
    return (
        "============================== Summary by node type ==============================\n"
        "\t             [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]\t  [mem KB]"
        f"\t[times called]\n{''.join(lines)}\nTimings (microseconds): count=50 curr=4950\n"
    )


LOADED = table(("ModifyGraphWithDelegate", 1, 14.842), ("AllocateTensors", 1, 0.102))
LOOP = table(("WHILE", 1, 4.6), ("FULLY_CONNECTED", 2, 0.3), ("TRANSPOSE", 1, 0.05))
BODY = table(("FULLY_CONNECTED", 28, 2.1), ("LOGISTIC", 84, 1.4))
XNNPACK = table(("Convolution (NHWC, QU8) GEMM", 54, 3.34), ("CONCATENATION", 2, 0.005))


@pytest.mark.parametrize(
    "text",
    [
        f"INFO: {LOADING}\n{LOADED}",
        f"{LOADING}\n{LOADED}\n{RUNS}\n",
        f"{LOADING}\n{LOADED}\n{RUNS}\n{table(('CONV_2D', 9, 3.0)).splitlines()[0]}\n",
    ],
)
def test_a_profile_of_loading_alone_is_none_of_the_network(text: str) -> None:
    with pytest.raises(TargetFailed, match="no profile of operators"):
        parse_ops(text)


def test_the_runs_profile_is_read_and_not_that_of_loading_before_it() -> None:
    ops = parse_ops(f"INFO: {LOADING}\n{LOADED}\nINFO: {RUNS}\n{XNNPACK}")
    assert [(op.op, op.count, op.mean_ms) for op in ops] == [
        ("Convolution (NHWC, QU8) GEMM", 54, 3.34),
        ("CONCATENATION", 2, 0.005),
    ]


@pytest.mark.parametrize("name", [" (name: main)", ""])  # since TensorFlow 2.14, and before
def test_what_loops_are_made_of_does_not_stand_for_the_network(name: str) -> None:
    body = name and ", name: body"
    text = f"{RUNS}\nPrimary graph{name} profile:\n{LOOP}\nSubgraph (index: 2{body}) profile:\n"
    ops = parse_ops(f"{text}{BODY}\nDelegate internal: \n{table(('DelegateOpInvoke', 3, 9.0))}")
    assert [(op.op, op.count, op.mean_ms) for op in ops] == [
        ("WHILE", 1, 4.6),
        ("FULLY_CONNECTED", 2, 0.3),
        ("TRANSPOSE", 1, 0.05),
    ]


def test_what_a_delegate_does_inside_is_not_counted_beside_it() -> None:
    """TensorFlow 2.3 has both in one table."""
    both = table(("TfLiteHexagonDelegate", 1, 7.0), ("DelegateOpInvoke", 31, 6.5), ("ADD", 1, 0.5))
    assert [op.op for op in parse_ops(f"{RUNS}\n{both}")] == ["TfLiteHexagonDelegate", "ADD"]


def test_a_profile_that_was_cut_off_is_never_one() -> None:
    whole = f"{LOADING}\n{LOADED}\n{RUNS}\nPrimary graph profile:\n{LOOP}"
    last = whole.index("TRANSPOSE")
    for end in range(0, whole.index("100.000%", last) + 7, 5):
        with pytest.raises(TargetFailed, match="profile of operators"):
            parse_ops(whole[:end])


def on_nnapi(*said: str) -> str:
    """A run that was completely executed by the delegate."""
    lines = [
        *said,
        "Explicitly applied NNAPI delegate, and the model graph will be completely executed by it",
        "Running benchmark for at least 1 iterations and at least 0.5 seconds",
        "count=2 first=328140 curr=309932 min=309932 max=328140 avg=319036 std=9104",
        "Running benchmark for at least 50 iterations and at least 1 seconds",
        "count=50 first=307215 curr=309783 min=305938 max=333030 avg=309350 std=4411",
        "Inference timings in us: Init: 5664, First inference: 328140",
    ]
    return "".join(f"INFO: {line}\n" for line in lines)


@pytest.mark.parametrize("delegate", ["NNAPI", None])  # the latter where extra_args ask for it
@pytest.mark.parametrize(
    "said",
    [
        ("NNAPI accelerators available: [nnapi-reference]",),
        (
            "NNAPI accelerator name: [nnapi-reference]",
            "NNAPI accelerators available: [google-edgetpu,nnapi-reference]",
        ),
    ],
)
def test_nnapis_own_code_for_the_cpu_is_no_accelerator(
    delegate: str | None, said: tuple[str, ...]
) -> None:
    with pytest.raises(TargetFailed, match="no accelerator behind NNAPI"):
        parse_log(on_nnapi(*said), delegate)


def test_an_accelerator_behind_nnapi_is_timed() -> None:
    there = "NNAPI accelerators available: [google-edgetpu,nnapi-reference]"
    assert parse_log(on_nnapi(there), "NNAPI").mean_us == 309350
    assert parse_log(on_nnapi("NNAPI accelerator name: [google-edgetpu]", there)).runs == 50
    assert parse_log(on_nnapi(), "NNAPI").runs == 50  # before Android 10 nothing tells


def test_each_delegate_is_judged_where_several_are_named() -> None:
    gpu = "Though GPU delegate is explicitly applied, the model graph will not be executed by it"
    with pytest.raises(TargetFailed, match="NNAPI delegate takes nothing"):
        parse_log(on_nnapi(gpu, FALLEN_BACK.strip()), "NNAPI")


def test_the_output_of_two_invocations_is_no_result() -> None:
    with pytest.raises(TargetFailed, match="several invocations"):
        parse_log(recorded("tf-2.4-gpu") + recorded("litert"))


DEQUANTIZE = (
    "Following operations are not supported by GPU delegate:\nDEQUANTIZE: \n164 others do\n"
)
FAILED_OP = "NN API returned error ANEURALNETWORKS_OP_FAILED at line 3779"
UNRESOLVED = "Encountered unresolved custom op: TensorListReserve."
FLEX = "Regular TensorFlow ops are not supported by this interpreter."
CAME_OF_IT = "Failed to allocate tensors!\nBenchmarking failed.\n"


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (f"ERROR: {UNRESOLVED}\nERROR: Node number 63 failed to prepare.\n", UNRESOLVED),
        (f"{UNRESOLVED}\nNode number 63 failed to prepare.\n", UNRESOLVED),
        (f"{FLEX}\nNode number 0 (FlexDecodeWav) failed to prepare.\n\n", FLEX),
        ("E/tflite  ( 5395): " + FLEX + "\n", FLEX),
        (f"ERROR: {DEQUANTIZE}", "not supported by GPU delegate: DEQUANTIZE"),
        (f"ERROR: {FAILED_OP}\n\nERROR: Node number 248 failed to prepare.\n", FAILED_OP),
    ],
)
def test_the_first_error_is_the_reason_not_what_came_of_it(said: str, reason: str) -> None:
    with pytest.raises(TargetFailed) as raised:
        parse_log(f"INFO: STARTING!\nINFO: Loaded model a.tflite\n{said}{CAME_OF_IT}")
    assert reason in str(raised.value)
    assert "Benchmarking failed" not in str(raised.value)
