"""Phones on which networks run in a command line runner: each visit is one short invocation.

A runner of its own is a subclass that says its command and reads what it prints.
"""

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from harness.errors import DeviceError, TargetFailed, TargetStalled
from harness.progress import Progress, silent
from harness.runtimes.conversion.cache import Converter, convert_all, converted, is_whole, named
from harness.runtimes.conversion.ranges import range_images_fact
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.phone import CHANGING, core_mask, read_conditions, read_facts
from harness.runtimes.sensors import Conditions
from harness.runtimes.session import Samples, Session, Workload
from harness.schema import Section
from harness.transports.transport import Finished, KeepingTransport

LONGEST_S = 30.0  # of warming up, and of the timed runs; what has begun is run to its end
START_S = 60.0  # to start and load
FIRST_RUN_S = 300.0  # of which nobody knows how long it takes
PATIENCE = 5  # times as long as before may runs take


class RunnerLog(Protocol):
    """What one invocation says of its timed runs."""

    @property
    def typical_us(self) -> float:
        """Of one run."""

    @property
    def runs(self) -> int: ...

    @property
    def memory_mb(self) -> float | None:
        """Growth of resident memory; None where it does not tell."""


def identity_of(
    runner: str, kind: type[Section]
) -> Callable[[RuntimeOptions, Mapping[str, str]], dict[str, Any]]:
    """For the identity of tables: the runner's settings, wherever its binary is, and the phone's
    battery saver."""

    def identity(options: RuntimeOptions, environment: Mapping[str, str]) -> dict[str, Any]:
        own = options.of(kind).model_dump(mode="json", exclude={"path"})
        return {runner: own, "battery_saver": environment["battery_saver"]}

    return identity


class CommandLineSession(ABC):
    """A phone with the runner on it."""

    runner: ClassVar[str]
    own: ClassVar[str]
    """Suffix of the files that it takes."""
    infers_on: str
    resident = False
    elsewhere = True

    def __init__(
        self,
        transport: KeepingTransport,
        options: RuntimeOptions,
        binary: Path,
        converter: Converter,
        start_s: float,
    ) -> None:
        """`start_s`: what an invocation takes besides the runs that were asked for, about."""
        self._transport = transport
        self._options = options
        self._converter = converter
        self._binary = binary
        transport.push(binary)
        self._mask = core_mask(transport, options.cpus)
        _check_threads(options, self._mask)
        self._run_ns: dict[Workload, int] = {}
        self._models: dict[Workload, Path] = {}
        self._here: Session | None = None  # the same runtime on this computer, for accuracies
        self.visit_cost_ns = int(start_s * 1e9)
        digest = hashlib.sha256(binary.read_bytes()).hexdigest()
        self.environment: Mapping[str, str] = read_facts(transport) | {
            self.runner: digest[:16],
            "cores": self._mask or "any",
            **range_images_fact(options),
        }

    @abstractmethod
    def _command(
        self, workload: Workload, binary: str, model: str, runs: int, sustained_s: float | None
    ) -> list[str]:
        """The command line of one invocation; `sustained_s`: at once, and for about so long."""

    @abstractmethod
    def _parsed(self, workload: Workload, output: str) -> RunnerLog:
        """Raises TargetFailed where it says nothing of its runs, or why they failed."""

    @abstractmethod
    def _open_here(self) -> Session:
        """The runtime on this computer: the runner does not give outputs."""

    def _reason(self, _output: str) -> str:
        """Why it failed, where it says so in a way of its own."""
        return ""

    def _check(self, workload: Workload, output: str) -> None:  # noqa: B027 - few can tell
        """Raises TargetFailed where it ran something else than was asked for."""

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        self.make_files(workloads, on_progress)
        self.send(workloads, on_progress)

    def make_files(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        given = [each for each in workloads if not self._is_own(each)]
        convert_all(self._converter, given, on_progress)

    def has_file(self, workload: Workload) -> bool:
        return self._is_own(workload) or is_whole(self._converter.path(workload))

    def send(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
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

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """By the same file on this computer."""
        if self._here is None:
            self._here = self._open_here()
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

    def _is_own(self, workload: Workload) -> bool:
        return isinstance(workload, Path) and workload.suffix.lower() == self.own

    def _model(self, workload: Workload) -> Path:
        if isinstance(workload, Path) and self._is_own(workload):
            return workload
        if workload not in self._models:
            self._models[workload] = converted(self._converter, workload)
        return self._models[workload]

    def _invoke(
        self,
        workload: Workload,
        runs: int,
        sustained_s: float | None = None,
        more: Sequence[str] = (),
    ) -> tuple[RunnerLog, str]:
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
    ) -> tuple[RunnerLog, str]:
        try:
            finished = self._run(workload, runs, sustained_s, more)
            output = _output(finished)
            log = self._parsed(workload, output)
            if finished.status:
                reason = self._reason(output) or f"it ended with status {finished.status}"
                raise TargetFailed(f"{self.runner} failed: {reason}")
            self._check(workload, output)
        except (TargetFailed, TargetStalled) as error:
            raise type(error)(f"{named(workload)}: {error}") from error
        self._run_ns[workload] = max(1, round(log.typical_us * 1e3))
        return log, output

    def _run(
        self, workload: Workload, runs: int, sustained_s: float | None, more: Sequence[str]
    ) -> Finished:
        model = str(self._transport.push(self._model(workload)))
        binary = str(self._transport.push(self._binary))
        argv = [*self._command(workload, binary, model, runs, sustained_s), *more]
        deadline_s = self._deadline_s(workload)
        return self._transport.run(argv, idle_timeout_s=deadline_s, deadline_s=deadline_s)

    def _deadline_s(self, workload: Workload) -> float:
        """How long an invocation may take: the last runs of warming up and timing are run out."""
        known_ns = self._run_ns.get(workload)
        last_runs_s = FIRST_RUN_S if known_ns is None else PATIENCE * 2 * known_ns / 1e9
        return START_S + 2 * LONGEST_S + last_runs_s

    def _runs_in(self, workload: Workload, seconds: float, least: int) -> int:
        """As many runs as fit, for runners that take a number of them; of an unknown one, few."""
        known_ns = self._run_ns.get(workload)
        if known_ns is None:
            return 2
        return max(min(least, int(LONGEST_S * 1e9 / known_ns)), int(seconds * 1e9 / known_ns), 2)


def pinned(mask: str | None) -> list[str]:
    """What has to stand before a command that stays on these cores."""
    return ["taskset", mask] if mask else []


def _check_threads(options: RuntimeOptions, mask: str | None) -> None:
    """Raises DeviceError where threads would have to share cores."""
    cores = int(mask, 16).bit_count() if mask else options.num_threads
    if options.num_threads > cores:
        raise DeviceError(
            f"num_threads = {options.num_threads}, but cpus = {options.cpus!r} are only {cores} "
            "core(s) of this phone"
        )


def _output(finished: Finished) -> str:
    """Some print to standard error, others errors only."""
    return f"{finished.text}\n{finished.stderr.decode(errors='replace')}"
