"""ExecuTorch on a phone through `executor_runner`, the runner of its authors.

Its lines and flags are those of executorch/examples/portable/executor_runner/executor_runner.cpp:
it feeds ones, and tells the time of all its runs together, the first, colder one among them.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import platformdirs
from pydantic import AfterValidator, Field

from harness.errors import MissingExtra, TargetFailed
from harness.runtimes import executorch
from harness.runtimes.command_line_session import CommandLineSession, identity_of, pinned
from harness.runtimes.conversion.executorch import ExecutorchConverter
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.runtime import Runtime
from harness.runtimes.session import Session, Workload
from harness.schema import Section
from harness.transports.local import LocalTransport
from harness.transports.plausible import COUNT, DAY_S, RUN_NS, Range, one_line, whole
from harness.transports.transport import KeepingTransport

DEFAULT_BINARY = Path(platformdirs.user_data_dir("harness"), "android_aarch64_executor_runner")
START_S = 0.2
_RAN = re.compile(r"Model executed successfully(?: (\d+) time\(s\)(?: in ([\d.]+) ms)?)?")
_ERROR = re.compile(r"^[EF] \d\d:\d\d:\d\d\.\d+ executorch:\S+\] (.+)$", re.MULTILINE)
ALL_MS = Range(RUN_NS.lowest / 1e6, DAY_S * 1e3)


class ExecutorRunnerOptions(Section):
    """`[executor_runner]`: the runner on a phone."""

    path: Annotated[Path, AfterValidator(Path.expanduser)] = DEFAULT_BINARY  # on this computer
    runs: Annotated[int, Field(ge=2, le=10_000)] = 50  # in one invocation, at least
    seconds: Annotated[float, Field(ge=0, le=20)] = 0.2  # of runs, at least


@dataclass(frozen=True)
class ExecutorRunnerLog:
    """One invocation."""

    runs: int
    typical_us: float  # the mean of its runs
    memory_mb: float | None = None


def parse_log(output: str) -> ExecutorRunnerLog:
    """Raises TargetFailed where it ran nothing, or does not tell how long that took."""
    found = _RAN.search(output)
    if found is None:
        error = _ERROR.search(output)
        why = one_line(error[1]) if error else "it does not say that the model was executed"
        raise TargetFailed(f"executor_runner failed: {why}")
    runs, all_ms = whole(found[1] or "", COUNT), ALL_MS.of(found[2])
    if not runs or all_ms is None:
        raise TargetFailed(
            "this executor_runner does not tell how long its runs take: build a newer one"
        )
    return ExecutorRunnerLog(int(runs), all_ms * 1e3 / runs)


class ExecutorRunnerSession(CommandLineSession):
    """A phone with `executor_runner` on it."""

    runner = "executor_runner"
    own = ".pte"
    infers_on = "this computer, the same files in ExecuTorch"

    def _command(
        self, workload: Workload, binary: str, model: str, runs: int, sustained_s: float | None
    ) -> list[str]:
        chosen = self._options.of(ExecutorRunnerOptions)
        seconds = chosen.seconds if sustained_s is None else sustained_s
        count = self._runs_in(workload, seconds, max(runs, chosen.runs))
        return [
            *pinned(self._mask),
            binary,
            f"--model_path={model}",
            f"--num_executions={count}",
            f"--cpu_threads={self._options.num_threads}",
        ]

    def _parsed(self, _workload: Workload, output: str) -> ExecutorRunnerLog:
        return parse_log(output)

    def _open_here(self) -> Session:
        return executorch.open_session(LocalTransport(), self._options.here())


def open_session(transport: KeepingTransport, options: RuntimeOptions) -> Session:
    """Send the runner to the phone.

    Raises:
        MissingExtra: there is no runner to send.
    """
    binary = options.of(ExecutorRunnerOptions).path
    if not binary.is_file():
        raise MissingExtra(
            f"there is no executor_runner at {binary}: build it for the phone as ExecuTorch's "
            "docs say, and put it there, or name it by path under [executor_runner] in the "
            "device's profile"
        )
    converter = ExecutorchConverter(options.batch, options.precision, options.range_images)
    return ExecutorRunnerSession(transport, options, binary, converter, START_S)


RUNTIME = Runtime(
    name="executor_runner",
    open=open_session,
    link="android",
    precisions=("float32", "int8"),
    file_suffixes=(".pte",),
    options=ExecutorRunnerOptions,
    knows_core_sizes=True,
    identity=identity_of("executor_runner", ExecutorRunnerOptions),
)
