"""What every runtime offers: a session that visits workloads and returns raw samples."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from harness.progress import Progress, silent
from harness.runtimes import model_files
from harness.spaces.block import Block

Workload = tuple[Block, ...] | Path
"""What is timed: blocks (one, or a whole network, with random weights), a network file, or a model
file that the runtime takes as it is."""


def seed_of(workload: Workload) -> int:
    """The seed of a workload's random weights and input: always the same for the same content."""
    if isinstance(workload, Path):
        content = model_files.digest(workload)
    else:
        content = hashlib.sha256(" ".join(block.key for block in workload).encode()).hexdigest()
    return int.from_bytes(bytes.fromhex(content)[:4], "little")


@dataclass(frozen=True, slots=True)
class Samples:
    """One visit: consecutive runs of one workload, each timed, or what is typical of them.

    `values` has always the clock "wall", ns; "thread" (CPU time of the running thread) and "device"
    (the GPU's own) where there are such, and "net" and "gross" energies, nJ, of energy visits.
    """

    at_ns: int  # when the visit began, Unix time
    values: Mapping[str, tuple[int, ...]]  # by clock, one a run
    runs: int | None = None  # behind `values` where that is not one a run
    memory_mb: float | None = None  # growth of resident memory; None where the runtime is silent


@dataclass(frozen=True)
class Start:
    """What a workload takes in a runtime that has just been started; its file is in the memory of
    the system already."""

    load_ms: float  # from the file to a network that can run
    first_ms: float  # the first run, in which a runtime may still prepare things
    memory_mb: float | None  # growth of resident memory at its peak; None: nobody tells


@dataclass(frozen=True)
class OpTime:
    """All operators of one type in a workload."""

    op: str
    count: int
    mean_ms: float  # of all of them, in one run
    nodes: Sequence[tuple[str, float]] = ()  # each of them by name, ms; where the runtime tells


@dataclass(frozen=True)
class Meter:
    """What tells energy on a device."""

    name: str
    period_s: float  # how often it is refreshed


@dataclass(frozen=True)
class Energy:
    """What a window of time took."""

    energy_mj: float
    seconds: float
    runs: int


class Session(Protocol):
    """An open runtime on a device."""

    environment: Mapping[str, str]
    """Versions and facts of the target that may change between campaigns."""

    resident: bool
    """Whether `load` keeps a workload there, warm; else it is just another run."""

    infers_on: str
    """Where `infer` runs networks, for people."""

    visit_cost_ns: int
    """What a visit takes beside its runs: asking, starting, answering."""

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        """Make the files that loading these needs, where the cache does not have them yet."""

    def load(self, workload: Workload) -> int:
        """Make the workload resident and warm; harmless when it is already.

        Returns how long one warm run took, ns.

        Raises:
            TargetFailed: the runtime cannot build or run it.
        """

    def visit(self, workload: Workload, runs: int) -> Samples:
        """Time `runs` consecutive runs of a workload (loaded if it is not yet).

        Raises:
            TargetFailed, TargetLost, TargetStalled
        """

    def sustain(self, workload: Workload, seconds: float) -> Samples:
        """Runs back to back for about so long; a runtime that is a program starts for each call.

        Raises:
            TargetFailed, TargetLost, TargetStalled
        """

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Logits [n, classes] of images [n, channels, height, width]."""

    def unload(self, workload: Workload) -> None:
        """Forget a workload."""

    def conditions(self) -> dict[str, float | str | None]:
        """Load, frequency, governor, temperature, free memory; None where the target has none."""

    def close(self) -> None:
        """End the session; harmless when it has ended."""


class MeteredSession(Session, Protocol):
    """A session that can tell energies, where the device has a counter."""

    meter: Meter | None
    """None, never a guess, where nothing tells."""

    no_meter: str
    """Why there is none."""

    def energy(self, workload: Workload | None, window_s: float) -> Energy:
        """What runs of a workload take over at least `window_s`; None: what idling takes.

        Raises:
            TargetFailed, TargetLost, TargetStalled
        """


@runtime_checkable
class ElsewhereSession(Session, Protocol):
    """A session that takes files which are made here, and whose device may be another computer."""

    elsewhere: bool
    """Whether it is: making files does not disturb visits there."""

    def make_files(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        """Those that the cache does not have yet, in this order; without asking the device."""

    def has_file(self, workload: Workload) -> bool:
        """Whether the workload needs none made any more."""

    def send(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        """Send their files, where the device does not have them.

        Raises:
            DeviceFull: they do not fit there.
        """


@runtime_checkable
class SimulatedSession(Session, Protocol):
    """A session in which a model answers instead of a device: the same workload always takes the
    same time."""

    evidence: str
    """What stands behind its numbers."""

    makes_files: bool
    """Whether `prepare` takes long."""

    def latency_ns(self, workload: Workload) -> int:
        """Raises Infeasible where the device cannot run it."""

    def infeasible(self, blocks: Sequence[Block]) -> dict[str, str]:
        """Those that the device cannot run, by key, and why."""


@runtime_checkable
class StartingSession(Protocol):
    """A session that can tell how a workload starts."""

    def start(self, workload: Workload) -> Start:
        """In a process of its own, beside what is loaded here.

        Raises:
            TargetFailed, TargetLost, TargetStalled
        """


@dataclass(frozen=True)
class Throughput:
    """Several streams of runs side by side, each in a process of its own."""

    streams: int
    runs_per_s: float  # of all of them


Scenario = Literal["single-stream", "multi-stream", "offline"]
"""MLPerf's: one query after the other, queries of eight samples, all samples at once."""


@dataclass(frozen=True)
class Played:
    """A scenario's figure, by MLPerf's LoadGen."""

    scenario: Scenario
    value: float  # ns that 90 % (several streams: 99 %) of queries take at most; offline: runs/s
    valid: bool  # whether LoadGen found enough runs for it


@runtime_checkable
class ScenarioSession(Protocol):
    """A session that can play MLPerf's scenarios."""

    def play(self, workload: Workload, scenario: Scenario, seconds: float) -> Played:
        """For at least so long.

        Raises:
            MissingExtra: LoadGen is not installed.
            TargetFailed, TargetLost, TargetStalled
        """


@runtime_checkable
class StreamingSession(Protocol):
    """A session that can run a workload in several streams."""

    def throughput(self, workload: Workload, streams: int, seconds: float) -> Throughput:
        """Runs back to back in each stream for about so long.

        Raises:
            TargetFailed, TargetLost, TargetStalled
        """


@runtime_checkable
class ProfilingSession(Protocol):
    """A session that can tell where a workload's time goes."""

    def profile_ops(self, workload: Workload) -> Sequence[OpTime]:
        """Times by type of operator, in one run; profiling itself takes time."""
