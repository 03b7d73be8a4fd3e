"""TFLite on a phone through `benchmark_model`, the runner of its authors.

Each visit is one short invocation. It prints no single runs, so that a visit is one time: the mean
of its runs without the slowest.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
import platformdirs
from pydantic import AfterValidator, Field

from harness.errors import DeviceError, MissingExtra, TargetFailed, TargetStalled
from harness.progress import Progress, silent
from harness.runtimes import litert
from harness.runtimes.benchmark_inputs import check_taken, input_flags
from harness.runtimes.benchmark_log import (
    BenchmarkLog,
    first_run_us,
    parse_log,
    parse_ops,
    reason_in,
)
from harness.runtimes.conversion.cache import convert_all, converted, named
from harness.runtimes.conversion.choice import tflite_converter
from harness.runtimes.conversion.ranges import range_images_fact
from harness.runtimes.model_inputs.feeding import NOTHING_SAID, Feeding, feeding
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.phone import CHANGING, core_mask, read_conditions, read_facts
from harness.runtimes.runtime import Runtime
from harness.runtimes.sensors import Conditions
from harness.runtimes.session import OpTime, Samples, Session, Start, Workload
from harness.schema import Section
from harness.transports.local import LocalTransport
from harness.transports.transport import Finished, KeepingTransport

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
LONGEST_S = 30.0  # of warming up, and of the timed runs; what has begun is run to its end
START_S = 60.0  # to start and load
FIRST_RUN_S = 300.0  # of which nobody knows how long it takes
PATIENCE = 5  # times as long as before may runs take


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


class BenchmarkModelSession:
    """A phone with the runner on it."""

    infers_on = "this computer, the same files in LiteRT"
    resident = False

    def __init__(self, transport: KeepingTransport, options: RuntimeOptions, binary: Path) -> None:
        self._transport = transport
        self._options = options
        self._converter = tflite_converter(options)
        self._binary = binary
        transport.push(binary)
        self._mask = core_mask(transport, options.cpus)
        _check_threads(options, self._mask)
        self._run_ns: dict[Workload, int] = {}
        self._models: dict[Workload, Path] = {}
        self._fed: dict[Workload, Feeding] = {}  # with what, model files of the user's
        self._here: Session | None = None  # LiteRT on this computer, for accuracies
        self.visit_cost_ns = int((options.of(BenchmarkModelOptions).warmup_s + 0.3) * 1e9)
        digest = hashlib.sha256(binary.read_bytes()).hexdigest()
        self.environment: Mapping[str, str] = read_facts(transport) | {
            "benchmark_model": digest[:16],
            "cores": self._mask or "any",
            **range_images_fact(options),
        }

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        given = [each for each in workloads if not _is_model_file(each)]
        convert_all(self._converter, given, on_progress)
        models = [self._model(workload) for workload in workloads]
        self._transport.check_room(models)
        for done, model in enumerate(models, start=1):
            self._transport.push(model)
            on_progress(done, len(models))

    def load(self, workload: Workload) -> int:
        if workload not in self._run_ns:
            self._invoke(workload, 1)
        return self._run_ns[workload]

    def visit(self, workload: Workload, runs: int) -> Samples:
        at_ns = time.time_ns()
        log, _ = self._invoke(workload, runs)
        took_ns = time.time_ns() - at_ns
        typical_ns = max(1, round(log.typical_us * 1e3))
        self.visit_cost_ns = max(0, took_ns - runs * typical_ns)
        return Samples(at_ns, {"wall": (typical_ns,)}, log.runs, log.memory_mb)

    def sustain(self, workload: Workload, seconds: float) -> Samples:
        at_ns = time.time_ns()
        log, _ = self._invoke(workload, 1, seconds)
        return Samples(at_ns, {"wall": (max(1, round(log.typical_us * 1e3)),)}, log.runs)

    def start(self, workload: Workload) -> Start:
        log, output = self._invoke(workload, 1)
        first_us = first_run_us(output)
        if first_us is None:
            raise TargetFailed("this benchmark_model does not tell how long the first run takes")
        return Start(log.init_us / 1e3, first_us / 1e3, log.memory_mb)

    def profile_ops(self, workload: Workload) -> Sequence[OpTime]:
        """Times by type of operator; profiling itself takes time, so that they sum up to more."""
        _, output = self._invoke(workload, 1, more=["--enable_op_profiling=true"])
        return parse_ops(output)

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """By the same file in LiteRT on this computer: the runner does not give outputs."""
        if self._here is None:
            self._here = litert.open_session(LocalTransport(), self._options.here())
        return self._here.infer(self._model(workload), images)

    def unload(self, workload: Workload) -> None:
        self._run_ns.pop(workload, None)
        if self._here is not None:
            self._here.unload(self._model(workload))

    def conditions(self) -> Conditions:
        found = read_conditions(self._transport, self._mask)
        for name in CHANGING:
            if found[name] is not None and found[name] != self.environment.get(name):
                raise DeviceError(
                    f"the phone's {name.replace('_', ' ')} is {found[name]} now, and was "
                    f"{self.environment.get(name)} when this campaign began; start again to go on "
                    "with the phone as it is"
                )
        return found

    def close(self) -> None:
        if self._here is not None:
            self._here.close()

    def _model(self, workload: Workload) -> Path:
        if isinstance(workload, Path) and _is_model_file(workload):
            return workload
        if workload not in self._models:
            self._models[workload] = converted(self._converter, workload)
        return self._models[workload]

    def _feeding(self, workload: Workload) -> Feeding:
        if not (isinstance(workload, Path) and _is_model_file(workload)):
            return NOTHING_SAID
        if workload not in self._fed:
            asked, batch = self._options.asked, self._options.batch
            self._fed[workload] = feeding(workload, asked, batch)
        return self._fed[workload]

    def _invoke(
        self,
        workload: Workload,
        runs: int,
        sustained_s: float | None = None,
        more: Sequence[str] = (),
    ) -> tuple[BenchmarkLog, str]:
        """What one invocation says, and all of its output."""
        try:
            return self._invoke_once(workload, runs, sustained_s, more)
        except TargetStalled:  # hung once is bad luck; adbd has killed it
            return self._invoke_once(workload, runs, sustained_s, more)
        except TargetFailed:  # perhaps somebody has deleted our files
            self._transport.forget()
            return self._invoke_once(workload, runs, sustained_s, more)

    def _invoke_once(
        self, workload: Workload, runs: int, sustained_s: float | None, more: Sequence[str]
    ) -> tuple[BenchmarkLog, str]:
        strict = STRICT.get(self._options.of(BenchmarkModelOptions).delegate)
        try:
            finished = self._run(workload, runs, more, sustained_s)
            output = _output(finished)
            log = parse_log(output, strict)
            if finished.status:
                reason = reason_in(output) or f"it ended with status {finished.status}"
                raise TargetFailed(f"benchmark_model failed: {reason}")
            check_taken(self._feeding(workload), output)
        except (TargetFailed, TargetStalled) as error:
            raise type(error)(f"{named(workload)}: {error}") from error
        self._run_ns[workload] = max(1, round(log.typical_us * 1e3))
        return log, output

    def _run(
        self,
        workload: Workload,
        runs: int,
        more: Sequence[str] = (),
        sustained_s: float | None = None,
    ) -> Finished:
        graph = self._transport.push(self._model(workload))
        binary = self._transport.push(self._binary)
        options = self._options
        if sustained_s is not None:  # at once, and for so long
            at_once = {"warmup_s": 0.0, "seconds": sustained_s}
            chosen = options.of(BenchmarkModelOptions).model_copy(update=at_once)
            options = options.model_copy(update={"own": chosen})
        inputs = input_flags(self._feeding(workload), self._transport.push)
        argv = [*command(options, str(binary), str(graph), runs, self._mask), *inputs, *more]
        deadline_s = self._deadline_s(workload)
        return self._transport.run(argv, idle_timeout_s=deadline_s, deadline_s=deadline_s)

    def _deadline_s(self, workload: Workload) -> float:
        """How long an invocation may take: the last runs of warming up and timing are run out."""
        known_ns = self._run_ns.get(workload)
        last_runs_s = FIRST_RUN_S if known_ns is None else PATIENCE * 2 * known_ns / 1e9
        return START_S + 2 * LONGEST_S + last_runs_s


def _check_threads(options: RuntimeOptions, mask: str | None) -> None:
    """Raises DeviceError where threads would have to share cores."""
    cores = int(mask, 16).bit_count() if mask else options.num_threads
    if options.num_threads > cores:
        raise DeviceError(
            f"num_threads = {options.num_threads}, but cpus = {options.cpus!r} are only {cores} "
            "core(s) of this phone"
        )


def command(
    options: RuntimeOptions, binary: str, graph: str, runs: int, mask: str | None
) -> list[str]:
    """The command line of one invocation."""
    chosen = options.of(BenchmarkModelOptions)
    pinned = ["taskset", mask] if mask else []
    return [
        *pinned,
        binary,
        f"--graph={graph}",
        f"--num_threads={options.num_threads}",
        f"--warmup_runs={chosen.warmup_runs}",
        f"--warmup_min_secs={chosen.warmup_s:g}",
        f"--num_runs={max(runs, chosen.runs)}",
        f"--min_secs={chosen.seconds:g}",
        f"--max_secs={LONGEST_S:g}",
        *DELEGATES[chosen.delegate],
        *chosen.extra_args,
    ]


def _output(finished: Finished) -> str:
    """Older runners print to standard error, newer ones errors only."""
    return f"{finished.text}\n{finished.stderr.decode(errors='replace')}"


def _is_model_file(workload: Workload) -> bool:
    return isinstance(workload, Path) and workload.suffix.lower() == ".tflite"


def _identity(options: RuntimeOptions, environment: Mapping[str, str]) -> dict[str, Any]:
    own = options.of(BenchmarkModelOptions).model_dump(mode="json", exclude={"path"})
    return {"benchmark_model": own, "battery_saver": environment["battery_saver"]}


RUNTIME = Runtime(
    name="benchmark_model",
    open=open_session,
    link="android",
    precisions=("float32", "float16", "int8"),
    file_suffixes=(".tflite",),
    options=BenchmarkModelOptions,
    knows_core_sizes=True,
    profiles_operators=True,
    identity=_identity,
)
