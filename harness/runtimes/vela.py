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
from harness.runtimes import litert
from harness.runtimes.conversion.cache import convert_all, named
from harness.runtimes.conversion.choice import tflite_steps
from harness.runtimes.conversion.vela import VelaConverter
from harness.runtimes.estimating import EstimatingSession
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.runtime import Runtime, device_clock
from harness.runtimes.session import Session, Workload
from harness.runtimes.tflite_micro import MICRO, has_micro, in_tflite_micro
from harness.schema import Section
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


class VelaSession(EstimatingSession):
    """Latencies that the compiler estimates."""

    makes_files = True

    def __init__(self, transport: ResidentTransport, options: RuntimeOptions) -> None:
        own = options.of(VelaOptions)
        super().__init__(lambda: litert.open_session(transport, options.here()))
        self._converter = VelaConverter(
            own.accelerator, own.system_config, own.memory_mode, options.range_images
        )
        self._micro = has_micro()  # computes what the NPU does, to the bit; so may LiteRT, or not
        self.infers_on = f"this computer, the same files in {MICRO if self._micro else 'LiteRT'}"
        self.evidence = evidence(options)
        self.environment: Mapping[str, str] = {
            "processor": f"{own.accelerator}, {own.system_config}, {own.memory_mode} (estimated)",
            "ethos-u-vela": version("ethos-u-vela"),
        }

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        convert_all(self._converter, workloads, on_progress)

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

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self._micro:
            return in_tflite_micro(self._converter.model_file(workload), images)
        return super().infer(workload, images)


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
