"""TFLite on a phone through `benchmark_model`, the runner of its authors.

It prints no single runs, so that a visit is one time: the mean of its runs without the slowest.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import AfterValidator, Field

from harness.errors import MissingExtra, TargetFailed
from harness.runtimes import command_line_session, litert
from harness.runtimes.benchmark_inputs import check_taken, input_flags
from harness.runtimes.benchmark_log import (
    BenchmarkLog,
    first_run_us,
    parse_log,
    parse_ops,
    reason_in,
)
from harness.runtimes.command_line_session import CommandLineSession, identity_of, pinned
from harness.runtimes.conversion.choice import tflite_converter, tflite_steps
from harness.runtimes.model_inputs.feeding import NOTHING_SAID, Feeding, feeding
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.runtime import Runtime
from harness.runtimes.session import OpTime, Session, Start, Workload
from harness.schema import Section
from harness.transports.local import LocalTransport
from harness.transports.transport import KeepingTransport

DEFAULT_BINARY = Path(platformdirs.user_data_dir("harness"), "android_aarch64_benchmark_model")
DOWNLOAD = (
    "https://storage.googleapis.com/tensorflow-nightly-public/prod/tensorflow/release/lite/tools/"
    "nightly/latest/android_aarch64_benchmark_model"
)
DELEGATES = {
    "default": (),
    "none": ("--use_xnnpack=false",),
    "xnnpack": ("--use_xnnpack=true",),
    "gpu": ("--use_gpu=true", "--require_full_delegation=true"),
    "nnapi": ("--use_nnapi=true", "--require_full_delegation=true"),
}
STRICT = {"gpu": "GPU", "nnapi": "NNAPI"}  # running elsewhere is a failure


class BenchmarkModelOptions(Section):
    """`[benchmark_model]`: the runner on a phone."""

    path: Annotated[Path, AfterValidator(Path.expanduser)] | None = None  # on this computer
    delegate: Literal["default", "none", "xnnpack", "gpu", "nnapi"] = "default"
    warmup_runs: Annotated[int, Field(ge=1, le=10_000)] = 1  # at least
    warmup_s: Annotated[float, Field(ge=0, le=60)] = 0.2  # at least
    runs: Annotated[int, Field(ge=1, le=10_000)] = 10  # timed in one invocation, at least
    seconds: Annotated[float, Field(ge=0, le=20)] = 0.1  # of timed runs, at least
    extra_args: tuple[Annotated[str, Field(pattern=r"^--\w+(=.*)?$")], ...] = ()


def open_session(transport: KeepingTransport, options: RuntimeOptions) -> "BenchmarkModelSession":
    """Send the runner to the phone.

    Raises:
        MissingExtra: there is no runner to send, or no converter.
    """
    return BenchmarkModelSession(transport, options, find_binary(options))


def find_binary(options: RuntimeOptions) -> Path:
    """The runner for the phone, which is in no package index.

    Raises:
        MissingExtra: it is not where it should be.
    """
    path = options.of(BenchmarkModelOptions).path or DEFAULT_BINARY
    if not path.is_file():
        raise MissingExtra(
            f"there is no benchmark_model at {path}: download {DOWNLOAD} to there, or say where it "
            "is by --benchmark-model PATH, or path under [benchmark_model] in the device's profile"
        )
    return path


class BenchmarkModelSession(CommandLineSession):
    """A phone with `benchmark_model` on it."""

    runner = "benchmark_model"
    own = ".tflite"
    infers_on = "this computer, the same files in LiteRT"

    def __init__(self, transport: KeepingTransport, options: RuntimeOptions, binary: Path) -> None:
        self._fed: dict[Workload, Feeding] = {}  # with what, model files of the user's
        start_s = options.of(BenchmarkModelOptions).warmup_s + 0.3
        super().__init__(transport, options, binary, tflite_converter(options), start_s)

    def start(self, workload: Workload) -> Start:
        _, output = self._invoke(workload, 1)
        log, first_us = self._parsed(workload, output), first_run_us(output)
        if first_us is None:
            raise TargetFailed("this benchmark_model does not tell how long the first run takes")
        return Start(log.init_us / 1e3, first_us / 1e3, log.memory_mb)

    def profile_ops(self, workload: Workload) -> Sequence[OpTime]:
        """Times by type of operator; profiling itself takes time, so that they sum up to more."""
        _, output = self._invoke(workload, 1, more=["--enable_op_profiling=true"])
        return parse_ops(output)

    def _command(
        self, workload: Workload, binary: str, model: str, runs: int, sustained_s: float | None
    ) -> list[str]:
        options = self._options
        if sustained_s is not None:
            at_once = {"warmup_s": 0.0, "seconds": sustained_s}
            chosen = options.of(BenchmarkModelOptions).model_copy(update=at_once)
            options = options.model_copy(update={"own": chosen})
        inputs = input_flags(self._feeding(workload), self._transport.push)
        return [*command(options, binary, model, runs, self._mask), *inputs]

    def _parsed(self, _workload: Workload, output: str) -> BenchmarkLog:
        return parse_log(output, STRICT.get(self._options.of(BenchmarkModelOptions).delegate))

    def _reason(self, output: str) -> str:
        return reason_in(output)

    def _check(self, workload: Workload, output: str) -> None:
        check_taken(self._feeding(workload), output)

    def _open_here(self) -> Session:
        return litert.open_session(LocalTransport(), self._options.here())

    def _feeding(self, workload: Workload) -> Feeding:
        if not (isinstance(workload, Path) and self._is_own(workload)):
            return NOTHING_SAID
        if workload not in self._fed:
            asked, batch = self._options.asked, self._options.batch
            self._fed[workload] = feeding(workload, asked, batch)
        return self._fed[workload]


def command(
    options: RuntimeOptions, binary: str, graph: str, runs: int, mask: str | None
) -> list[str]:
    """The command line of one invocation."""
    chosen = options.of(BenchmarkModelOptions)
    return [
        *pinned(mask),
        binary,
        f"--graph={graph}",
        f"--num_threads={options.num_threads}",
        f"--warmup_runs={chosen.warmup_runs}",
        f"--warmup_min_secs={chosen.warmup_s:g}",
        f"--num_runs={max(runs, chosen.runs)}",
        f"--min_secs={chosen.seconds:g}",
        f"--max_secs={command_line_session.LONGEST_S:g}",
        *DELEGATES[chosen.delegate],
        *chosen.extra_args,
    ]


RUNTIME = Runtime(
    name="benchmark_model",
    open=open_session,
    link="android",
    precisions=("float32", "float16", "int8"),
    file_suffixes=(".tflite",),
    options=BenchmarkModelOptions,
    knows_core_sizes=True,
    profiles_operators=True,
    identity=identity_of("benchmark_model", BenchmarkModelOptions),
    steps=tflite_steps,
)
