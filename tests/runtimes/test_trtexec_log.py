"""The parsers of what trtexec prints and exports, on recordings of others (see their README)."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import TargetFailed
from harness.runtimes.session import OpTime
from harness.runtimes.trtexec_log import (
    TrtexecLog,
    parse_flags,
    parse_layers,
    parse_log,
    parse_times,
)

LOGS = Path(__file__).with_name("trtexec_logs")
PRINTED = sorted(path.stem for path in LOGS.glob("*.txt"))
EXPORTED = sorted(path.name for path in LOGS.glob("*.json"))


def recorded(name: str) -> str:
    return next(LOGS.glob(f"{name}*")).read_text()


@pytest.mark.parametrize(
    ("name", "version", "passed"),
    [
        ("trt-5-xavier", None, False),
        ("trt-8.0-unknown-option", "8.0.1", False),
        ("trt-8.4-xavier", "8.4.0", True),
        ("trt-8.6-rtx", "8.6.0", True),
        ("trt-8.6-no-model", "8.6.1", False),
        ("trt-10.16-profile", "10.16.0", True),
        ("trt-11.0-build", "11.0.0", True),
    ],
)
def test_version_and_success_are_read(name: str, version: str | None, passed: bool) -> None:
    log = parse_log(recorded(name))
    assert (log.version, log.passed) == (version, passed)


def test_warnings_are_read_with_the_lines_that_go_on() -> None:
    (warning,) = parse_log(recorded("trt-8.6-rtx")).warnings
    assert warning == (
        "* GPU compute time is unstable, with coefficient of variance = 44.3558%. If not already "
        "in use, locking GPU clock frequency or adding --useSpinWait may improve the stability."
    )
    assert len(parse_log(recorded("trt-11.0-build")).warnings) == 2
    assert parse_log(recorded("trt-8.4-xavier")).warnings == ()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("trt-5-tx2-unknown-argument", "Unknown argument: --useSpinWait"),
        ("trt-8.0-unknown-option", "Unknown option: --exportLayerInfo"),
        ("trt-8.6-plugin-not-found", "Plugin not found, are the plugin name, version, and"),
        ("trt-8.6-no-model", "Model missing or format not recognized"),
        ("trt-10.3-out-of-memory", "Cuda Runtime (out of memory)"),
        ("trt-7.1-xavier", "it ended before it had passed"),
    ],
)
def test_failures_say_what_came_first(name: str, reason: str) -> None:
    log = parse_log(recorded(name))
    assert not log.passed
    assert reason in log.reason


def test_an_internal_error_is_the_reason_and_not_what_came_of_it() -> None:
    said = "[05/22/2020-15:27:10] [F] [TRT] Assertion failed: validateWeights(weights)"
    log = parse_log(f"{said}\n[05/22/2020-15:27:10] [E] Engine set up failed\n")
    assert log.reason == "[TRT] Assertion failed: validateWeights(weights) | Engine set up failed"


def test_help_tells_the_flags_and_not_those_it_only_mentions() -> None:
    flags = parse_flags(recorded("help-10.6"))
    assert {"--onnx", "--noTF32", "--skipInference", "--exportTimes", "--safe", "--help"} <= flags
    assert "--allowGPUFallback" not in flags  # in the middle of another's explanation
    assert parse_flags("/bin/sh: trtexec: not found") == frozenset()


@given(st.text() | st.sampled_from([recorded(name) for name in PRINTED]), st.data())
def test_no_text_makes_more_than_a_log(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    log = parse_log(text[:start] + data.draw(st.text(max_size=30)) + text[end:])
    assert isinstance(log, TrtexecLog)
    assert log.reason


@pytest.mark.parametrize("name", ["trt-8.4-xavier", "trt-8.6-rtx-3090-unstable", "trt-11.0-build"])
def test_a_log_that_was_cut_off_has_not_passed(name: str) -> None:
    text = recorded(name)
    for end in range(0, text.index("&&&& PASSED") + 10, 11):
        assert not parse_log(text[:end]).passed


def test_times_of_single_runs_are_read() -> None:
    found = parse_times(recorded("times-a100"), 0)
    assert found.compute_ns == (1_938_430, 1_912_830, 1_915_900, 1_916_930)
    assert found.latency_ns == found.compute_ns  # there were no transfers


def test_runs_of_the_warming_up_are_left_out() -> None:
    text = recorded("times-mobilenet")
    assert len(parse_times(text, 12).compute_ns) == 5
    assert parse_times(text, 13.4435).compute_ns == (444_799, 444_416, 900_864)
    with pytest.raises(TargetFailed, match="no timed run"):
        parse_times(text, 200)  # as in truth: only its first rows were kept


# No recording: one run by the names that samples/trtexec/tracer.py of TensorRT 7 knows.
SEVEN = {
    "startInMs": 201.0,
    "endInMs": 201.5,
    "startComputeMs": 201.5,
    "endComputeMs": 203.5,
    "startOutMs": 203.5,
    "endOutMs": 203.75,
    "inMs": 0.5,
    "computeMs": 2.0,
    "outMs": 0.25,
    "latencyMs": 2.75,
    "endToEndMs": 2.9,
}


def test_the_older_names_of_fields_are_known() -> None:
    found = parse_times(json.dumps([SEVEN]), 200)
    assert (found.latency_ns, found.compute_ns) == ((2_750_000,), (2_000_000,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cut off"),
        ("[" * 100_000, "cut off"),
        ("{}", "exported no times"),
        ("[3]", "exported no times"),
        ("[]", "no timed run"),
        (json.dumps([SEVEN | {"computeMs": math.nan}]), "computeMs = nan"),
        (json.dumps([SEVEN | {"computeMs": -1}]), "computeMs = -1"),
        (json.dumps([SEVEN | {"latencyMs": 10**400}]), "latencyMs = 1000"),
        (json.dumps([SEVEN | {"latencyMs": True}]), "latencyMs = True"),
        (json.dumps([SEVEN | {"startComputeMs": None}]), "startComputeMs = None"),
    ],
)
def test_times_that_cannot_be_are_none(text: str, message: str) -> None:
    with pytest.raises(TargetFailed, match=message):
        parse_times(text, 0)


@pytest.mark.parametrize("name", EXPORTED)
def test_a_file_that_was_cut_off_is_never_a_result(name: str) -> None:
    text = recorded(name)
    parse = parse_layers if name.startswith("profile") else lambda text: parse_times(text, 0)
    parse(text)
    for end in range(0, text.rindex("]"), 7):
        with pytest.raises(TargetFailed, match="cut off"):
            parse(text[:end])


@given(st.sampled_from([recorded(name) for name in EXPORTED]), st.data())
def test_no_file_does_more_than_fail(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, min(len(text), start + 20)))
    hostile = text[:start] + data.draw(st.text(max_size=5)) + text[end:]
    for parse in (parse_layers, lambda text: parse_times(text, 0)):
        try:
            parse(hostile)
        except TargetFailed as error:
            assert "trtexec exported" in str(error)  # noqa: PT017 - most hostile files are read


def test_times_by_layer_are_read_without_those_that_became_nothing() -> None:
    assert parse_layers(recorded("profile-8")) == [
        OpTime("QuantizeLinear_2", 1, 0.0122041),
        OpTime("features.0.0.weight + QuantizeLinear_8 + Conv_12 + PWN(Clip_16)", 1, 0.0107465),
        OpTime(
            "Reformatting CopyNode for Output Tensor 0 to features.2.conv.2.weight + "
            "QuantizeLinear_90 + Conv_94",
            1,
            0.00607141,
        ),
    ]
    assert [op.mean_ms for op in parse_layers(recorded("profile-median"))] == [0.0200902, 0.0237058]
    with pytest.raises(TargetFailed, match="no layer"):
        parse_layers('[{ "count" : 3 }]')
