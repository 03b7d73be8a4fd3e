"""Ethos-U NPUs by Arm's compiler: what vela estimates of int8 files; no device is reached.

Its cycles are those of the compiler's own performance model; nobody here compared them with
silicon.
"""

from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from harness.errors import Infeasible, MissingExtra, TargetFailed
from harness.hints import install
from harness.progress import Progress, silent
from harness.runtimes.conversion.cache import convert_all, named
from harness.runtimes.conversion.choice import tflite_steps
from harness.runtimes.conversion.vela import VelaConverter
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.runtime import Runtime, device_clock
from harness.runtimes.session import Samples, Session, Workload
from harness.runtimes.tflite_micro import MICRO, has_micro, in_tflite_micro
from harness.schema import Section
from harness.spaces.block import Block
from harness.transports.transport import ResidentTransport

_Name = Annotated[str, Field(pattern=r"^\w{1,60}$")]


class VelaOptions(Section):
    """`[vela]`: which NPU, and the system around it, as the compiler's own vela.ini names them."""

    accelerator: Annotated[
        str,
        Field(pattern=r"^ethos-u(55-(32|64|128|256)|65-(256|512)|85-(128|256|512|1024|2048))$"),
    ] = "ethos-u55-128"
    system_config: _Name = "Ethos_U55_High_End_Embedded"
    memory_mode: _Name = "Shared_Sram"


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    """Raises MissingExtra where vela is not installed."""
    if find_spec("ethosu") is None:
        raise MissingExtra(f"the runtime vela is not installed: {install('npu')}")
    return VelaSession(transport, options)


class VelaSession:
    """Latencies that the compiler estimates."""

    resident = True
    makes_files = True
    visit_cost_ns = 0

    def __init__(self, transport: ResidentTransport, options: RuntimeOptions) -> None:
        own = options.of(VelaOptions)
        self._transport, self._options = transport, options
        self._converter = VelaConverter(
            own.accelerator, own.system_config, own.memory_mode, options.range_images
        )
        self._micro = has_micro()  # computes what the NPU does, to the bit; so may LiteRT, or not
        self.infers_on = f"this computer, the same files in {MICRO if self._micro else 'LiteRT'}"
        self._litert: Session | None = None
        self.evidence = evidence(options)
        self.environment: Mapping[str, str] = {
            "processor": f"{own.accelerator}, {own.system_config}, {own.memory_mode} (estimated)",
            "ethos-u-vela": version("ethos-u-vela"),
        }

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        convert_all(self._converter, workloads, on_progress)

    def load(self, workload: Workload) -> int:
        return self.latency_ns(workload)

    def visit(self, workload: Workload, runs: int) -> Samples:
        times = (self.latency_ns(workload),) * runs
        return Samples(0, {"wall": times, "device": times})

    def sustain(self, workload: Workload, seconds: float) -> Samples:  # noqa: ARG002 - no heat here
        return self.visit(workload, 1)

    def latency_ns(self, workload: Workload) -> int:
        """Of the NPU alone.

        Raises:
            Infeasible: a part would run on the CPU, whose time the compiler does not tell.
        """
        if isinstance(workload, Path) and workload.suffix.lower() != ".pt":
            raise TargetFailed(f"{workload}: networks of a space and .pt files are compiled here")
        estimate = self._converter.estimate(workload)
        if estimate.on_cpu:
            raise Infeasible(f"{named(workload)}: {', '.join(estimate.on_cpu)} run on the CPU")
        return max(1, estimate.latency_ns)

    def infeasible(self, blocks: Sequence[Block]) -> dict[str, str]:
        found = {}
        for block in blocks:
            try:
                self.latency_ns((block,))
            except Infeasible as error:
                found[block.key] = str(error)
        return found

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self._micro:
            return in_tflite_micro(self._converter.model_file(workload), images)
        if self._litert is None:
            from harness.runtimes import litert

            self._litert = litert.open_session(self._transport, self._options.here())
        return self._litert.infer(workload, images)

    def unload(self, workload: Workload) -> None:
        if self._litert is not None:
            self._litert.unload(workload)

    def conditions(self) -> dict[str, float | str | None]:
        return {}

    def close(self) -> None:
        if self._litert is not None:
            self._litert.close()


def evidence(_options: RuntimeOptions) -> str:
    """What stands behind its numbers."""
    try:
        known = f" {version('ethos-u-vela')}"
    except PackageNotFoundError:
        known = ""
    return f"estimated by the vendor's compiler, vela{known}: never measured"


RUNTIME = Runtime(
    name="vela",
    open=open_session,
    link="none",
    precisions=("int8",),
    clock=device_clock,
    options=VelaOptions,
    without_effect=("num_threads", "cpus", "batch"),
    simulated_networks=20,  # each is converted and compiled
    evidence=evidence,
    steps=tflite_steps,
    identity=lambda options, _environment: {"vela": options.of(VelaOptions).model_dump()},
)
