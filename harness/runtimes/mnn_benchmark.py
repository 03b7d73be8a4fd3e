"""MNN on a phone through `benchmark.out`, the runner of its authors.

Its arguments and lines are those of MNN/benchmark/benchmark.cpp: it takes a folder of models,
fills them with random weights, and tells the mean, the fastest and the slowest of the timed runs.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import AfterValidator, Field

from harness.errors import MissingExtra, TargetFailed
from harness.runtimes import mnn
from harness.runtimes.command_line_session import CommandLineSession, identity_of, pinned
from harness.runtimes.conversion.mnn import MnnConverter
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.runtime import Runtime
from harness.runtimes.session import Session, Workload
from harness.schema import Section
from harness.transports.local import LocalTransport
from harness.transports.plausible import DAY_S, RUN_NS, Range
from harness.transports.transport import KeepingTransport

DEFAULT_BINARY = Path(platformdirs.user_data_dir("harness"), "android_aarch64_mnn_benchmark")
START_S = 0.2
CPU, HIGH = "0", "1"  # MNN_FORWARD_CPU, Precision_High: float32
# A folder that has this model alone.
ALONE = 'mkdir -p "$1.d" && ln -sf "$1" "$1.d/" && shift && exec "$@"'
_MS = r"= *([\d.]+) ?ms"  # older versions have no blank before the unit
_LINE = re.compile(rf"^\[ - \] .*\bmax {_MS} +min {_MS} +avg {_MS}", re.MULTILINE)
_RUNS = re.compile(r"Benchmarking\.\.\. loop = (\d{1,9})\b")
MS = Range(RUN_NS.lowest / 1e6, DAY_S * 1e3)


class MnnBenchmarkOptions(Section):
    """`[mnn_benchmark]`: the runner on a phone."""

    path: Annotated[Path, AfterValidator(Path.expanduser)] = DEFAULT_BINARY  # on this computer
    warmup_runs: Annotated[int, Field(ge=1, le=10_000)] = 3
    runs: Annotated[int, Field(ge=2, le=10_000)] = 10  # timed in one invocation, at least
    seconds: Annotated[float, Field(ge=0, le=20)] = 0.2  # of timed runs, at least


@dataclass(frozen=True)
class MnnBenchmarkLog:
    """One invocation."""

    runs: int
    mean_us: float
    max_us: float
    memory_mb: float | None = None

    @property
    def typical_us(self) -> float:
        """The mean without the slowest run, which is where an interruption shows."""
        if self.runs < 2:
            return self.mean_us
        return (self.mean_us * self.runs - self.max_us) / (self.runs - 1)


def parse_log(output: str) -> MnnBenchmarkLog:
    """Raises TargetFailed where it does not tell times of one model."""
    runs, lines = _RUNS.search(output), list(_LINE.finditer(output))
    max_ms, _, mean_ms = map(MS.of, lines[0].groups()) if len(lines) == 1 else (None, None, None)
    if runs is None or not int(runs[1]) or mean_ms is None or max_ms is None:
        raise TargetFailed("MNN's benchmark.out tells no times: it cannot run the model")
    return MnnBenchmarkLog(int(runs[1]), mean_ms * 1e3, max(mean_ms, max_ms) * 1e3)


class MnnBenchmarkSession(CommandLineSession):
    """A phone with MNN's `benchmark.out` on it."""

    runner = "mnn_benchmark"
    own = ".mnn"
    infers_on = "this computer, the same files in MNN"

    def _command(
        self, workload: Workload, binary: str, model: str, runs: int, sustained_s: float | None
    ) -> list[str]:
        chosen = self._options.of(MnnBenchmarkOptions)
        seconds = chosen.seconds if sustained_s is None else sustained_s
        warm = 0 if sustained_s is not None else chosen.warmup_runs
        count = self._runs_in(workload, seconds, max(runs, chosen.runs))
        threads = str(self._options.num_threads)
        return [
            *("sh", "-c", ALONE, "sh", model, *pinned(self._mask), binary, f"{model}.d"),
            *(str(count), str(warm), CPU, threads, HIGH),
        ]

    def _parsed(self, _workload: Workload, output: str) -> MnnBenchmarkLog:
        return parse_log(output)

    def _open_here(self) -> Session:
        return mnn.open_session(LocalTransport(), self._options.here())


def open_session(transport: KeepingTransport, options: RuntimeOptions) -> Session:
    """Send the runner to the phone.

    Raises:
        MissingExtra: there is no runner to send.
    """
    binary = options.of(MnnBenchmarkOptions).path
    if not binary.is_file():
        raise MissingExtra(
            f"there is no benchmark.out of MNN at {binary}: build it for the phone, with MNN's "
            "libraries in it, and put it there, or name it by path under [mnn_benchmark] in the "
            "device's profile"
        )
    return MnnBenchmarkSession(transport, options, binary, MnnConverter(options.batch), START_S)


RUNTIME = Runtime(
    name="mnn_benchmark",
    open=open_session,
    link="android",
    precisions=("float32",),
    file_suffixes=(".mnn",),
    options=MnnBenchmarkOptions,
    knows_core_sizes=True,
    identity=identity_of("mnn_benchmark", MnnBenchmarkOptions),
)
