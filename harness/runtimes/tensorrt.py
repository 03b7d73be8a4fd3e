"""TensorRT on a board or a GPU through its own `trtexec`.

Each network's engine is built there once and kept; each visit is one invocation that loads it and
exports the time of every single run. The flags come and go with TensorRT's versions, so that
`trtexec --help` decides which are used.
"""

import hashlib
import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import DeviceFull, TargetFailed, TargetStalled
from harness.progress import Progress, silent
from harness.runtimes import model_files, onnxruntime
from harness.runtimes.conversion.cache import convert_all, converted, named
from harness.runtimes.conversion.onnx import OPSET, OnnxConverter
from harness.runtimes.model_inputs.feeding import feeding
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.phone import MEMORY_KB, ask, word
from harness.runtimes.runtime import Runtime, device_clock
from harness.runtimes.sensors import Conditions, plausible
from harness.runtimes.session import OpTime, Samples, Session, Workload
from harness.runtimes.trtexec_flags import (
    WARM_UP_MS,
    TensorrtOptions,
    build_flags,
    input_flags,
    numbers_of,
    run_flags,
    shape_flags,
)
from harness.runtimes.trtexec_gpu import CONDITIONS as GPU_CONDITIONS
from harness.runtimes.trtexec_gpu import (
    Watched,
    gpu_conditions,
    other_processes,
    parse_watched,
    usual,
)
from harness.runtimes.trtexec_log import (
    AT_ONCE,
    NO_CUDA_GRAPH,
    NOT_SAVED,
    TAKEN,
    TrtexecLog,
    parse_flags,
    parse_layers,
    parse_log,
    parse_times,
)
from harness.runtimes.trtexec_scripts import (
    BUILD,
    EXPORT,
    EXPORTED,
    OPEN,
    WATCHED,
    opened,
    read_facts,
)
from harness.transports.listings import free_mb_of
from harness.transports.local import LocalTransport
from harness.transports.plausible import one_line
from harness.transports.transport import Finished, ResidentTransport

# To start takes a second or more, a run of a block next to nothing, one of a large network seconds.
FEWEST_RUNS, LONGEST_S = 10, 30.0
PROFILED_RUNS, PROFILED_S = 100, 10.0
ASK_S, VISIT_S, BUILD_S = 60.0, 300.0, 3600.0  # a Nano builds for many minutes without a word
PATIENCE = 5  # times as long as before may runs take, besides VISIT_S
NOT_THERE = (126, 127)  # the status where a program cannot be started
NOT_READ = ("temperature_c", "frequency_mhz", "other_cpus")  # of processors; the first on Jetsons
CONDITIONS = GPU_CONDITIONS | {
    "load": "cat /proc/loadavg",
    "memory": "grep MemAvailable /proc/meminfo",
}


@dataclass(frozen=True)
class Engine:
    """A network that TensorRT has built for this board."""

    path: str  # on the board
    inputs: tuple[str, ...]  # the flags that say what it is fed with


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> "TensorrtSession":
    """Find the board's trtexec.

    Raises:
        TargetFailed: it is not there, or too old.
        DeviceError: it does not have the precision.
        MissingExtra: networks cannot be made into ONNX files here.
    """
    return TensorrtSession(transport, options)


class TensorrtSession:
    """A board with trtexec on it."""

    # trtexec can export outputs, with six digits, one process for each batch.
    infers_on = "this computer, the same files in onnxruntime"
    resident = False
    visit_cost_ns = 2_000_000_000  # until the first visit

    def __init__(self, transport: ResidentTransport, options: RuntimeOptions) -> None:
        self._transport = transport
        self._options = options
        self._trtexec = options.of(TensorrtOptions).trtexec
        self._engines: dict[Workload, Engine] = {}
        self._run_ns: dict[Workload, int] = {}
        self._warnings: set[str] = set()  # since the conditions were last read
        self._said: set[str] = set()
        self._watched: list[Watched] = []  # likewise, of each visit
        self._here: Session | None = None  # onnxruntime on this computer, for accuracies
        help_text = self._help()
        self._version = version = parse_log(help_text).version
        self._converter = OnnxConverter(options.batch, opset_of(version))
        self._flags = parse_flags(help_text)
        self._build_flags = build_flags(options, self._flags)
        self._folder, digest = self._open()
        facts = read_facts(transport)
        self.environment: Mapping[str, str] = facts | {
            "tensorrt": version or facts.get("tensorrt", "before 8"),
            "trtexec": self._trtexec,
            "trtexec_sha256": digest[:16],
        }

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        convert_all(self._converter, [each for each in workloads if not _is_onnx(each)])
        for done, workload in enumerate(workloads, start=1):
            self._engine(workload)
            on_progress(done, len(workloads))

    def load(self, workload: Workload) -> int:
        if workload not in self._run_ns:
            self.visit(workload, 1)
        return self._run_ns[workload]

    def visit(self, workload: Workload, runs: int) -> Samples:
        """The clock "device" is computing on the GPU; "wall" adds transfers, where there are any.

        There are none, unless `extra_args` ask for them or trtexec is too old to leave them out.
        """
        self._engine(workload)
        try:
            return self._visit(workload, self._runs(workload, runs))
        except TargetStalled:
            if workload in self._run_ns:
                raise
        self._visit(workload, 1)  # tells how slow it is
        return self._visit(workload, self._runs(workload, runs))

    def _runs(self, workload: Workload, wanted: int) -> int:
        """As many as starting is worth, where they do not take long."""
        known_ns = self._run_ns.get(workload)
        few = FEWEST_RUNS if known_ns is None else min(FEWEST_RUNS, LONGEST_S * 1e9 / known_ns)
        return max(wanted, int(few))

    def _visit(self, workload: Workload, runs: int) -> Samples:
        at_ns = time.time_ns()
        iterations = parse_times(self._export(workload, "--exportTimes", runs), WARM_UP_MS)
        took_ns = time.time_ns() - at_ns
        self.visit_cost_ns = max(0, took_ns - sum(iterations.latency_ns))
        self._run_ns[workload] = min(iterations.latency_ns)
        # It may have made some more.
        values = {"wall": iterations.latency_ns[-runs:], "device": iterations.compute_ns[-runs:]}
        return Samples(at_ns, values)

    def sustain(self, workload: Workload, seconds: float) -> Samples:
        return self.visit(workload, max(1, round(seconds * 1e9 / self.load(workload))))

    def profile_ops(self, workload: Workload) -> Sequence[OpTime]:
        """Times by layer of the engine; profiling itself takes time, so that they sum up to more.

        Raises:
            TargetFailed: trtexec gives none.
        """
        fitting = int(PROFILED_S * 1e9 / self.load(workload))
        runs = max(1, min(PROFILED_RUNS, fitting))
        return parse_layers(self._export(workload, "--exportProfile", runs, ["--dumpProfile"]))

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self._here is None:
            self._here = onnxruntime.open_session(LocalTransport(), self._options.here())
        return self._here.infer(workload, images)

    def unload(self, workload: Workload) -> None:
        self._run_ns.pop(workload, None)
        if self._here is not None:
            self._here.unload(workload)

    def conditions(self) -> Conditions:
        answers = ask(self._transport, CONDITIONS)
        warnings, self._warnings = self._warnings, set()
        watched, self._watched = self._watched, []
        memory_kb = MEMORY_KB.of(word(answers["memory"], 1))
        return plausible(
            dict.fromkeys(NOT_READ)
            | gpu_conditions(answers["jetson"], answers["gpu"])
            | usual(watched)
            | {
                "gpu_other_processes": other_processes(answers["gpu_processes"]),
                "load_1m": word(answers["load"], 0),
                "memory_available_mb": memory_kb and memory_kb / 1024,
                "trtexec_warnings": "; ".join(sorted(warnings)) or None,
            }
        )

    def close(self) -> None:
        if self._here is not None:
            self._here.close()

    def _help(self) -> str:
        finished = self._run([self._trtexec, "--help"])
        if finished.status in NOT_THERE:
            raise TargetFailed(
                f"there is no trtexec at {self._trtexec} of the device: install TensorRT there, or "
                "name another path by trtexec under [tensorrt] in the device's profile"
            )
        if "--exportTimes" not in parse_flags(_output(finished)):
            raise TargetFailed(
                f"{self._trtexec} gives no single times: it is no trtexec, or one before "
                f"TensorRT 6: {finished.complaint():.200}"
            )
        return _output(finished)

    def _open(self) -> tuple[str, str]:
        """The folder of engines on the board, and the SHA-256 of its trtexec."""
        finished = self._run(["sh", "-c", OPEN, "sh", self._trtexec])
        if finished.status:
            raise TargetFailed(f"the device cannot keep engines: {finished.complaint():.200}")
        return opened(finished.text)

    def _model(self, workload: Workload) -> Path:
        if isinstance(workload, Path) and _is_onnx(workload):
            return workload
        return converted(self._converter, workload)

    def _engine(self, workload: Workload) -> Engine:
        """The workload's engine on the board, built if it is not there yet."""
        if workload not in self._engines:
            model = self._model(workload)
            shapes, inputs = self._inputs(model) if _is_onnx(workload) else ((), ())
            flags = [*self._build_flags, *shapes]
            path = f"{self._folder}/{self._name(model, flags)}.engine"
            engine = Engine(path, (*shapes, *inputs))
            if not self._is_there(engine):
                self._build(workload, model, flags, engine)
            self._engines[workload] = engine
        return self._engines[workload]

    def _inputs(self, model: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Flags for building and running, and those for running alone."""
        fed = feeding(model, self._options.asked, self._options.batch)
        return shape_flags(fed), input_flags(fed, self._version, self._transport.push)

    def _name(self, model: Path, flags: Sequence[str]) -> str:
        """By all that decides an engine, which TensorRT chooses by timing parts of it there."""
        facts = ("tensorrt", "trtexec_sha256", "model", "gpu", "power_mode")
        decides = {
            "onnx": model_files.digest(model),
            "flags": list(flags),
            "target": [self.environment.get(fact, "") for fact in facts],
        }
        return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:32]

    def _is_there(self, engine: Engine) -> bool:
        return self._run(["test", "-s", engine.path]).status == 0

    def _build(self, workload: Workload, model: Path, flags: Sequence[str], engine: Engine) -> None:
        onnx = model_files.push(self._transport, model)
        argv = [self._trtexec, f"--onnx={onnx}", *flags]
        finished = self._run(["sh", "-c", BUILD, "sh", engine.path, *argv], BUILD_S)
        log = parse_log(_output(finished))
        if any(NOT_SAVED in error for error in log.errors):
            raise DeviceFull(
                f"{named(workload)}: its engine could not be saved in {self._folder} of the "
                f"device, where {self._free_mb():.0f} MB are free: free some space"
            )
        if finished.status or not log.passed:
            raise _failure(f"{named(workload)}: trtexec could not build its engine", finished, log)
        _check_fed(workload, log)

    def _free_mb(self) -> float:
        return free_mb_of(self._run(["df", "-Pk", self._folder]).text) or 0.0

    def _export(self, workload: Workload, flag: str, runs: int, more: Sequence[str] = ()) -> str:
        """What trtexec exports by `flag` of one invocation."""
        asked = [f"--iterations={runs}", *more]
        # One run more warms up; where layers are timed, too, it is in runs of their own.
        runs_s = (2 * runs + 1) * self._run_ns.get(workload, 0) / 1e9
        limit_s = VISIT_S + PATIENCE * runs_s
        try:
            finished = self._call(self._engine(workload), flag, asked, limit_s)
            if finished.status:  # perhaps the engine was deleted, or cut off
                self._run(["rm", "-f", self._engines.pop(workload).path])
                finished = self._call(self._engine(workload), flag, asked, limit_s)
        except TargetStalled as error:
            raise TargetStalled(f"{named(workload)}, {runs} runs in trtexec: {error}") from error
        _, _, exported = finished.text.partition(f"\n{EXPORTED}\n")
        exported, _, watched = exported.partition(f"\n{WATCHED}\n")
        self._watched.append(parse_watched(watched))
        log = parse_log(_output(finished))
        if finished.status or not log.passed:
            raise _failure(f"{named(workload)}: trtexec could not run it", finished, log)
        _check_fed(workload, log)
        wanted = self._options.of(TensorrtOptions).cuda_graphs
        if wanted and any(NO_CUDA_GRAPH in each for each in log.warnings):
            raise TargetFailed(f"{named(workload)}: it cannot run as a CUDA graph")
        self._note(log.warnings)
        return exported

    def _call(self, engine: Engine, flag: str, asked: Sequence[str], limit_s: float) -> Finished:
        loaded = [self._trtexec, f"--loadEngine={engine.path}", *engine.inputs]
        argv = [*loaded, *asked, *run_flags(self._options, self._flags)]
        return self._run(["sh", "-c", EXPORT, "sh", f"{limit_s:.0f}", flag, *argv], limit_s)

    def _note(self, warnings: Sequence[str]) -> None:
        """What makes times doubtful; each once, as most visits to a busy GPU have it."""
        for warning in warnings:
            kind = one_line(warning.lstrip("* ").partition(",")[0])
            if not warning.startswith("* ") and AT_ONCE not in warning:
                continue
            self._warnings.add(kind)
            if kind not in self._said:
                self._said.add(kind)
                logging.getLogger(__name__).warning("harness: trtexec says: %s", kind)

    def _run(self, argv: Sequence[str], deadline_s: float = ASK_S) -> Finished:
        return self._transport.run(argv, idle_timeout_s=deadline_s, deadline_s=deadline_s)


def opset_of(version: str | None) -> int:
    """The newest ONNX operators that we and this TensorRT have (onnx-tensorrt, operators.md)."""
    number = numbers_of(version)
    return OPSET if number >= (8, 6) else 13 if number >= (8, 0) else 11


def _failure(what: str, finished: Finished, log: TrtexecLog) -> TargetFailed:
    reason = f"it ended with status {finished.status}: {finished.complaint()}"
    return TargetFailed(f"{what}: {one_line(log.reason if log.errors else reason, 400)}")


def _check_fed(workload: Workload, log: TrtexecLog) -> None:
    """Raises TargetFailed where trtexec took sizes or values that nobody asked for."""
    taken = next((warning for warning in log.warnings if TAKEN in warning), None)
    if taken is not None:
        raise TargetFailed(
            f"{named(workload)}: an input decides sizes inside TensorRT, for which it took values "
            f"of its own, so that its time means nothing: {one_line(taken, 200)}"
        )


def _output(finished: Finished) -> str:
    """Errors go to standard error, all else to standard output."""
    return f"{finished.text}\n{finished.stderr.decode(errors='replace')}"


def _is_onnx(workload: Workload) -> bool:
    return isinstance(workload, Path) and workload.suffix.lower() == ".onnx"


def _identity(options: RuntimeOptions, _environment: Mapping[str, str]) -> dict[str, Any]:
    own = options.of(TensorrtOptions)
    return {"tensorrt": own.model_dump(mode="json", exclude={"trtexec"})}


RUNTIME = Runtime(
    name="tensorrt",
    open=open_session,
    link="resident",
    precisions=("float32", "float16"),
    file_suffixes=(".onnx",),
    clock=device_clock,
    options=TensorrtOptions,
    without_effect=("num_threads", "cpus"),
    profiles_operators=True,
    on_gpu=lambda _options: True,
    identity=_identity,
)
