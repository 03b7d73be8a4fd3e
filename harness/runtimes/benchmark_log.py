"""What `benchmark_model` prints, from TensorFlow 1.12 to LiteRT.

The lines come from tensorflow/lite/tools/benchmark/benchmark_model.cc and the `Stat` of
tensorflow/core/util/stats_calculator.h: no version prints single runs, and the count of runs
differs from the one asked for.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import TargetFailed
from harness.runtimes.session import OpTime

LONGEST_LINE, MOST_LINES = 1_000, 20_000  # what is longer is none of its results
# In front of a line: nothing, "INFO: ", or what logcat adds.
_STAT = re.compile(r"\bcount=(?P<count>\d+)(?P<rest>( \w+=\S+)*)(?P<same>\s*\(all same\))?")
_FIELD = re.compile(r" (\w+)=([^\s(]+)")
_INIT = re.compile(r"\bInit: ([^\s,]+)")
_MEMORY = re.compile(r"[Mm]emory footprint .*\(MB\): init=\S+ overall=(\S+)")
_NOT_APPLIED = re.compile(r"Though (\w+) delegate is explicitly applied, the model graph will not")
_APPLIED = re.compile(r"[Aa]pplied (\w+) delegate(?P<partly>.*\bpartially\b)?")
_FAILED = re.compile(
    r"Failed to \w+.*|Benchmarking failed.*|Disallowed CPU fallback.*|Unconsumed cmdline flags.*"
    r"|.*unsupported on this platform.*|.*[Nn]ot executable.*|.*not found$"
)
_OP_ROW = re.compile(
    r"^\s*(?P<op>\S[^\t]*?)\s+(?P<count>\d+)\s+(?P<ms>[\d.]+)\s+[\d.]+%\s+[\d.]+%\s+[\d.]+\s+\d+\s*$"
)


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
    text = "\n".join(line for line in text.splitlines()[:MOST_LINES] if len(line) < LONGEST_LINE)
    _check_delegate(text, delegate)
    _, _, timed = text.partition("Running benchmark")
    statistics = list(_STAT.finditer(timed))
    init = _INIT.search(timed)
    if len(statistics) < 2 or init is None:
        failed = _FAILED.search(text)
        reason = failed.group(0).strip() if failed else "it ended before its results"
        raise TargetFailed(f"benchmark_model failed: {reason:.300}")
    memory = _MEMORY.search(timed)
    try:
        return _result(statistics[1], init.group(1), memory.group(1) if memory else "0")
    except (KeyError, ValueError) as error:
        raise TargetFailed(f"benchmark_model printed no plausible result: {error}") from error


def _result(statistic: re.Match[str], init: str, memory: str) -> BenchmarkLog:
    """Raises KeyError, ValueError where the numbers cannot be."""
    runs = int(statistic["count"])
    fields = dict(_FIELD.findall(statistic["rest"]))
    if "avg" in fields:
        mean, low, high = (_number(fields[name]) for name in ("avg", "min", "max"))
    else:  # all runs took the same
        mean = low = high = _number(fields["curr"])
    if runs < 1 or not 0.999 * low <= mean <= 1.001 * high:
        raise ValueError(statistic.group(0))
    memory_mb = _number(memory)
    return BenchmarkLog(runs, mean, low, high, _number(init), memory_mb or None)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value) or value < 0:
        raise ValueError(text)
    return value


def _check_delegate(text: str, delegate: str | None) -> None:
    fallen = _NOT_APPLIED.search(text)
    if fallen and fallen[1] == (delegate or fallen[1]):
        raise TargetFailed(f"the {fallen[1]} delegate takes nothing of this network: it ran on CPU")
    if delegate is None:
        return
    applied = [match for match in _APPLIED.finditer(text) if match[1] == delegate]
    if any(match["partly"] for match in applied):
        raise TargetFailed(f"the {delegate} delegate takes only parts of this network")
    if not applied and "count=" in text:
        raise TargetFailed(f"the {delegate} delegate was not applied: the network ran on the CPU")


def parse_ops(text: str) -> Sequence[OpTime]:
    """Times by type of operator, from an invocation with `--enable_op_profiling=true`.

    Raises:
        TargetFailed: the output has no profile.
    """
    _, found, table = text.rpartition("Summary by node type")
    rows = []
    for line in table.splitlines()[1:MOST_LINES]:
        if len(line) >= LONGEST_LINE:
            continue
        row = _OP_ROW.match(line.partition("INFO: ")[2] or line)
        if row:
            rows.append(OpTime(row["op"].strip(), int(row["count"]), float(row["ms"])))
        elif rows:
            break
    if not found or not rows:
        raise TargetFailed("benchmark_model printed no profile of operators")
    return rows
