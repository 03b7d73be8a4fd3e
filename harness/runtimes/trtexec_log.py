"""What `trtexec` prints and exports, from TensorRT 5 to 11.

The lines and fields come from samples/common/sampleReporting.cpp, sampleEngines.cpp and logger.h
of github.com/NVIDIA/TensorRT.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import FailFast, Field, TypeAdapter

from harness.errors import TargetFailed
from harness.runtimes.replies import Milliseconds, MillisecondsOrNone, Name, checked
from harness.runtimes.session import OpTime

LONGEST_LINE, MOST_LINES = 2_000, 100_000  # what is longer is none of its results
NO_CUDA_GRAPH = "flag has been ignored"  # the rest of it differs
AT_ONCE = "auxiliary streams"  # layers that run beside each other; their times overlap
NOT_SAVED = "Saving engine to file failed"
_LEVEL = re.compile(r"^\s*(?:\[[^\]]*\] )?\[(?P<level>[IWEFV])\] ?(?P<text>.*)$")
TAKEN = "Automatically overriding shape"  # by sizes or values of its own, where it was given none
_VERSION = re.compile(r"TensorRT\.trtexec \[TensorRT v(\d{4,6})\]")
_FLAG = re.compile(r"^ {1,4}(--\w+)", re.MULTILINE)  # farther in others are explained
_BETWEEN_ERRORS = re.compile(r"--- (Begin|End) node ---")


@dataclass(frozen=True)
class TrtexecLog:
    """One invocation, as far as it got."""

    version: str | None  # "8.0.1"; TensorRT before 8 does not say it
    passed: bool
    warnings: tuple[str, ...]
    errors: tuple[str, ...]

    @property
    def reason(self) -> str:
        """Why it failed: its first errors, as the later ones only say what came of them."""
        found = [error for error in self.errors if not _BETWEEN_ERRORS.search(error)]
        return " | ".join(found[:2]) or "it ended before it had passed"


def parse_log(text: str) -> TrtexecLog:
    """What standard output and standard error of an invocation say; any other text says nothing."""
    lines = [line for line in text.splitlines()[:MOST_LINES] if len(line) < LONGEST_LINE]
    by_level: dict[str, list[str]] = {"W": [], "E": [], "I": [], "V": []}
    open_error = False  # whose reason comes in a line of its own
    for line in lines:
        level, message = _level(line)
        if level == "W" and message.startswith("  ") and by_level["W"]:
            by_level["W"][-1] = _joined(by_level["W"][-1], message)  # goes on from the line before
        elif open_error and not _LEVEL.match(line):
            by_level["E"][-1] = _joined(by_level["E"][-1], line)
        elif message.strip():
            by_level[level].append(message.strip())
        open_error = level == "E" and message.rstrip().endswith(":")
    version = _VERSION.search("\n".join(lines))
    return TrtexecLog(
        version=_dotted(version[1]) if version else None,
        passed=any(line.startswith("&&&& PASSED TensorRT.trtexec") for line in lines),
        warnings=tuple(by_level["W"]),
        errors=tuple(by_level["E"]),
    )


def _joined(message: str, line: str) -> str:
    return f"{message} {line.strip()}" if len(message) < LONGEST_LINE else message


def _level(line: str) -> tuple[str, str]:
    """Until TensorRT 5 lines have none. Internal errors, F, are errors."""
    match = _LEVEL.match(line)
    if match is not None:
        return match["level"].replace("F", "E"), match["text"]
    return ("E" if line.startswith("Unknown argument: ") else "I"), line


def parse_flags(help_text: str) -> frozenset[str]:
    """The flags that `trtexec --help` explains: they come and go with its versions."""
    return frozenset(_FLAG.findall(help_text))


def _dotted(digits: str) -> str:
    """8001 is 8.0.1, 101600 is 10.16.0."""
    number = int(digits)
    step = 100 if len(digits) > 4 else 10
    major, rest = divmod(number, step * 100)
    return f"{major}.{rest // 100}.{rest % 100}"


@dataclass(frozen=True)
class _Run:
    start_ms: Annotated[MillisecondsOrNone, Field(alias="startComputeMs")]
    latency_ms: Annotated[Milliseconds, Field(alias="latencyMs")]
    compute_ms: Annotated[Milliseconds, Field(alias="computeMs")]


@dataclass(frozen=True)
class _Layer:
    name: Name
    average_ms: Annotated[MillisecondsOrNone, Field(alias="averageMs")]


_RUNS: TypeAdapter[list[_Run]] = TypeAdapter(Annotated[list[_Run], FailFast()])
_LAYERS: TypeAdapter[list[_Layer]] = TypeAdapter(Annotated[list[_Layer], FailFast()])


@dataclass(frozen=True)
class Iterations:
    """The timed runs of one invocation, ns each."""

    latency_ns: tuple[int, ...]  # to the GPU, computing, and back
    compute_ns: tuple[int, ...]  # on the GPU alone


def parse_times(text: str, warm_up_ms: float) -> Iterations:
    """The runs in a file of `--exportTimes`, without those of the warming up.

    Until TensorRT 8.4 or so the file has these too; trtexec itself tells them by when they began.

    Raises:
        TargetFailed: the file is cut off or is none, or no timed run is in it.
    """
    runs = checked(_RUNS, _rows(text, "times"), "what trtexec exported of runs")
    first = next((n for n, run in enumerate(runs) if run.start_ms >= warm_up_ms), len(runs))
    timed = runs[first:]
    if not timed:
        raise TargetFailed("trtexec exported no timed run")
    return Iterations(
        tuple(round(run.latency_ms * 1e6) for run in timed),
        tuple(round(run.compute_ms * 1e6) for run in timed),
    )


def parse_layers(text: str) -> Sequence[OpTime]:
    """The layers in a file of `--exportProfile`, without those that became nothing.

    Raises:
        TargetFailed: the file is cut off or is none, or has no layer.
    """
    rows = [row for row in _rows(text, "profile") if "count" not in row]
    read = checked(_LAYERS, rows, "what trtexec exported of layers")
    layers = [OpTime(layer.name, 1, layer.average_ms) for layer in read if layer.average_ms]
    if not layers:
        raise TargetFailed("trtexec exported no layer that takes time")
    return layers


def _rows(text: str, what: str) -> list[dict[str, Any]]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TargetFailed(
            f"trtexec exported {what} that are cut off or no JSON; perhaps its disk is full"
        ) from error
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TargetFailed(f"trtexec exported no {what}, but {text[:100]!r}")
    return rows
