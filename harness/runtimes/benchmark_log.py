"""What `benchmark_model` prints, from TensorFlow 1.12 to LiteRT.

The lines come from tensorflow/lite/tools/benchmark/benchmark_model.cc and the `Stat` of
tensorflow/core/util/stats_calculator.h: no version prints single runs, and the count of runs
differs from the one asked for.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import TargetFailed
from harness.runtimes.session import OpTime
from harness.transports.plausible import COUNT, DAY_S, MEMORY_MB, RUN_NS, Range, one_line, whole

LONGEST_LINE, MOST_LINES = 1_000, 20_000  # what is longer is none of its results
# In front of a line: nothing, "INFO: ", or what logcat adds.
_STAT = re.compile(r"\bcount=(?P<count>\d+)(?P<rest>( \w+=\S+)*)(?P<same>\s*\(all same\))?")
_FIELD = re.compile(r" (\w+)=([^\s(]+)")
_FIRST = re.compile(r"\bFirst inference: ([^\s,]+)")
_INIT = re.compile(r"\bInit: ([^\s,]+)")
_MEMORY = re.compile(r"[Mm]emory footprint .*\(MB\): init=\S+ overall=(\S+)")
_RUNS = "Running benchmark for "  # stands before those of the warming up, and before the timed ones
_NOT_APPLIED = re.compile(r"Though (\w+) delegate is explicitly applied, the model graph will not")
_APPLIED = re.compile(r"[Aa]pplied (\w+) delegate(?P<partly>.*\bpartially\b)?")
_ACCELERATORS = re.compile(r"NNAPI accelerators? (available|name): \[(.*)\]", re.IGNORECASE)
CPU_REFERENCE = "nnapi-reference"  # NNAPI's own code for the CPU, which is always among them
# An error of a generation that marks them, or one that others are known to print as it is.
_ERROR = re.compile(
    r"^(?:ERROR: |.*\bE[/ ]\w*tflite\w*\s*(?:\(\s*\d+\))?\s*: )(?P<marked>.*)"
    r"|.*unresolved custom op.*|.*ops? (?:is|are) not supported.*|Didn't find op .*|Node number .*"
    r"|(?:Failed to|Could not|Mmap of) .*|Benchmarking failed.*|Disallowed CPU fallback.*"
    r"|Unconsumed cmdline flags.*|.*unsupported on this platform.*|.*[Nn]ot executable.*"
    r"|CANNOT LINK EXECUTABLE.*|.*not found$"
)
MOST_ERRORS = 2  # are shown: the first ones, as the later only say what came of them
_TABLE = "Summary by node type"
_OP_COLUMNS = 7  # type, count, ms, its share, that of all so far, memory, how often called
MEAN_US = Range(RUN_NS.lowest / 1e3, RUN_NS.highest / 1e3)
SINGLE_US = Range(0, RUN_NS.highest / 1e3)  # whole ones, cut off
OP_MS = Range(0, DAY_S * 1e3)
PERCENT = Range(0, 101)  # but for rounding
WHOLE_PERCENT = 99.9  # what the rows of a whole table sum up to, but for rounding
_OF_LOADING, _OF_RUNS = "for Benchmark Initialization", "for Regular Benchmark Runs"
_DROPPED = "Dropping ProfileBuffer event"
_IN_A_DELEGATE = "DelegateOpInvoke"  # in TensorFlow 2.3; the delegate's row has its time, too


@dataclass(frozen=True)
class BenchmarkLog:
    """One invocation: times in microseconds over all its timed runs."""

    runs: int
    mean_us: float
    min_us: float
    max_us: float
    init_us: float
    memory_mb: float | None  # growth of resident memory over the invocation; None if not told

    @property
    def typical_us(self) -> float:
        """The mean without the slowest run, which is where an interruption shows.

        Single times are whole microseconds, cut off, so that their mean is finer than their
        minimum.
        """
        if self.runs < 2:
            return self.mean_us
        rest = (self.runs * self.mean_us - self.max_us) / (self.runs - 1)
        return min(max(rest, self.min_us), self.mean_us)  # the mean has only six digits


def parse_log(text: str, delegate: str | None = None) -> BenchmarkLog:
    """The result in the output of one invocation.

    Args:
        text: standard output and standard error.
        delegate: "GPU" or "NNAPI" where one was asked for; running elsewhere is a failure.

    Raises:
        TargetFailed: it failed, was cut off, fell back from the delegate, or is no such output.
    """
    text = "\n".join(_lines(text))
    _check_delegate(text, delegate)
    _, *parts = text.split(_RUNS)
    if len(parts) > 2:
        raise TargetFailed("this is the output of several invocations of benchmark_model")
    timed = parts[1] if len(parts) == 2 else ""
    statistic, init, memory = (each.search(timed) for each in (_STAT, _INIT, _MEMORY))
    if statistic is None or init is None:
        reason = reason_in(text) or "it ended before its results"
        raise TargetFailed(f"benchmark_model failed: {reason}")
    try:
        return _result(statistic, init.group(1), memory.group(1) if memory else "0")
    except (KeyError, ValueError) as error:
        raise TargetFailed(
            f"benchmark_model printed no plausible result: {one_line(str(error))}"
        ) from error


def first_run_us(text: str) -> float | None:
    """How long the first run took, before any is timed; None where an older runner tells none."""
    found = _FIRST.search("\n".join(_lines(text)))
    return None if found is None else SINGLE_US.of(found[1])


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines()[:MOST_LINES] if len(line) < LONGEST_LINE]


def reason_in(text: str) -> str:
    """Why it failed: the first errors in its output; nothing where there are none."""
    errors: list[str] = []
    for line in map(str.strip, _lines(text)):
        if found := _ERROR.match(line):
            errors.append((found["marked"] or found[0]).strip())
        elif errors and errors[-1].endswith(":") and len(errors[-1]) < LONGEST_LINE:
            errors[-1] += f" {line}"  # what a delegate does not take comes in a line
    return one_line(" | ".join(errors[:MOST_ERRORS]), 300)


def _result(statistic: re.Match[str], init: str, memory: str) -> BenchmarkLog:
    """Raises KeyError, ValueError where the numbers cannot be."""
    runs = whole(statistic["count"], COUNT)
    fields = dict(_FIELD.findall(statistic["rest"]))
    if "avg" in fields:
        mean, low, high = (_us(fields[name]) for name in ("avg", "min", "max"))
    else:  # all runs took the same
        mean = low = high = _us(fields["curr"])
    if not runs or mean < MEAN_US.lowest or not 0.999 * low <= mean <= 1.001 * high:
        raise ValueError(statistic.group(0))
    return BenchmarkLog(runs, mean, low, high, _us(init), MEMORY_MB.of(memory) or None)


def _us(text: str) -> float:
    time_us = SINGLE_US.of(text)
    if time_us is None:
        raise ValueError(text)
    return time_us


def _check_delegate(text: str, delegate: str | None) -> None:
    for name in _NOT_APPLIED.findall(text):
        if name == (delegate or name):
            raise TargetFailed(f"the {name} delegate takes nothing of this network: it ran on CPU")
    if delegate in (None, "NNAPI"):
        _check_accelerators(text)
    if delegate is None:
        return
    applied = [match for match in _APPLIED.finditer(text) if match[1] == delegate]
    if any(match["partly"] for match in applied):
        raise TargetFailed(f"the {delegate} delegate takes only parts of this network")
    if not applied and "count=" in text:
        raise TargetFailed(f"the {delegate} delegate was not applied: the network ran on the CPU")


def _check_accelerators(text: str) -> None:
    """Whether anything but the CPU can be behind NNAPI; before Android 10 it does not say."""
    accelerators = dict(_ACCELERATORS.findall(text))
    there = accelerators.get("name") or accelerators.get("available") or ""
    if there.strip() == CPU_REFERENCE:
        raise TargetFailed(
            f"there is no accelerator behind NNAPI here, only {CPU_REFERENCE}, its own code for "
            "the CPU: take another delegate"
        )


def parse_ops(text: str) -> Sequence[OpTime]:
    """Times by type of operator, from an invocation with `--enable_op_profiling=true`.

    They are the primary graph's, in the runs that were timed: what its loops and branches are made
    of stands in tables of its own behind it, and loading in one before it.

    Raises:
        TargetFailed: the output has no such profile, or not all of it.
    """
    if _DROPPED in text:
        raise TargetFailed(
            "benchmark_model's profile of operators has no room for all of them: set extra_args = "
            '["--max_profiling_buffer_entries=65536"] under [benchmark_model] in the profile'
        )
    _, heading, of_runs = text.partition(_OF_RUNS)
    if not heading and _OF_LOADING in text:
        raise TargetFailed("benchmark_model printed no profile of operators, only that of loading")
    _, _, table = (of_runs if heading else text).partition(_TABLE)
    rows: list[OpTime] = []
    percent = 0.0
    for line in _lines(table)[1:]:
        if row := _op(line.partition("INFO: ")[2] or line):
            rows.append(row[0])
            percent = row[1]
        elif rows or _TABLE in line:
            break
    if not rows:
        raise TargetFailed("benchmark_model printed no profile of operators")
    if percent < WHOLE_PERCENT:
        raise TargetFailed(f"benchmark_model's profile of operators is cut off at {percent:g} %")
    return [row for row in rows if row.op != _IN_A_DELEGATE]


def _op(line: str) -> tuple[OpTime, float] | None:
    """A row of the table, and the percentage of all time that ends with it."""
    columns = line.rsplit(maxsplit=_OP_COLUMNS - 1)  # types have spaces in them
    if len(columns) < _OP_COLUMNS:
        return None
    op, count, mean_ms, own, so_far, *_ = columns
    counted, took_ms = whole(count, COUNT), OP_MS.of(mean_ms)
    percent = PERCENT.of(so_far.removesuffix("%"))
    if counted is None or took_ms is None or percent is None or not own.endswith("%"):
        return None
    return OpTime(one_line(op), counted, took_ms), percent
