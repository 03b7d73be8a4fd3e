"""What every runtime offers: a session that visits workloads and returns raw samples."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from harness.progress import Progress, silent
from harness.runtimes import model_files
from harness.runtimes.model_inputs.asked import NOTHING_ASKED, Asked
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


@dataclass(frozen=True)
class BenchmarkModelOptions:
    """Settings of the command-line runner on phones."""

    path: Path | None = None  # of the runner, on this computer; None: where it usually lies
    delegate: str = "default"  # "default", "none", "xnnpack", "gpu" or "nnapi"
    warmup_runs: int = 1  # at least
    warmup_s: float = 0.2  # at least
    runs: int = 10  # timed in one invocation, at least
    seconds: float = 0.1  # of timed runs, at least
    extra_args: tuple[str, ...] = ()


@dataclass(frozen=True)
class TorchOptions:
    """How torch runs networks."""

    device: str = "cpu"  # or "cuda"
    memory_format: str = "contiguous"  # or "channels_last"
    autocast: str = "off"  # "float16" or "bfloat16"
    cuda_graphs: bool = False


@dataclass(frozen=True)
class TensorrtOptions:
    """Settings of the board's trtexec."""

    trtexec: str = "/usr/src/tensorrt/bin/trtexec"
    cuda_graphs: bool = False
    extra_args: tuple[str, ...] = ()


@dataclass(frozen=True)
class DpuOptions:
    """A simulated DPU: its size, its memory, and the constants fitted to measurements."""

    architecture: str = "B4096"
    clock_mhz: float = 300.0
    ddr_gb_s: float = 17.0
    vector_ns: float = 0.0
    ddr_share: float = 1.0
    pass_cycles: float = 0.0
    fitted_to: str = ""  # "": to nothing that was measured
    fitted_on: str = ""  # which hardware that was, as `hardware` tells it

    @property
    def hardware(self) -> str:
        return f"{self.architecture}, {self.clock_mhz:g} MHz, {self.ddr_gb_s:g} GB/s"

    @property
    def evidence(self) -> str:
        """What stands behind its numbers."""
        if self.fitted_to and self.fitted_on == self.hardware:
            return f"simulated, fitted to {self.fitted_to}"
        return "simulated, uncalibrated: its constants were not fitted on this hardware"


@dataclass(frozen=True)
class RuntimeOptions:
    """The settings of a device that change its numbers."""

    num_threads: int = 1
    cpus: str = "any"  # "any", "one" (the last we may use), "big", "little", or a mask: "0x2"
    precision: str = "float32"
    batch: int = 1
    converter: str = "litert-torch"  # of .tflite files
    range_images: Path | None = None  # from which int8 ranges of network files are collected
    asked: Asked = NOTHING_ASKED  # what a model file is fed with
    benchmark_model: BenchmarkModelOptions = BenchmarkModelOptions()
    torch: TorchOptions = TorchOptions()
    tensorrt: TensorrtOptions = TensorrtOptions()
    dpu: DpuOptions = DpuOptions()

    def here(self) -> "RuntimeOptions":
        """The same for this computer, whose cores have other names."""
        return replace(self, cpus="any")


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
class OpTime:
    """All operators of one type in a workload."""

    op: str
    count: int
    mean_ms: float  # of all of them, in one run


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
class ProfilingSession(Protocol):
    """A session that can tell where a workload's time goes."""

    def profile_ops(self, workload: Workload) -> Sequence[OpTime]:
        """Times by type of operator, in one run; profiling itself takes time."""
