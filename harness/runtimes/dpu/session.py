"""A session whose visits are answered by the cost model."""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from harness.errors import Infeasible, TargetFailed
from harness.progress import Progress, silent
from harness.runtimes.dpu.architecture import Dpu
from harness.runtimes.dpu.limits import check
from harness.runtimes.dpu.model import network_cost
from harness.runtimes.dpu.options import DpuOptions
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import Samples, Session, Workload
from harness.spaces.block import Block
from harness.transports.transport import ResidentTransport


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    return DpuSession(transport, options)


class DpuSession:
    """Latencies without a device: the same workload always takes the same time."""

    resident = True
    makes_files = False
    infers_on = "this computer, torch in float32: int8 on the DPU is not simulated"
    visit_cost_ns = 0

    def __init__(self, transport: ResidentTransport, options: RuntimeOptions) -> None:
        dpu = options.of(DpuOptions)
        self._dpu, self._transport = Dpu.of(dpu), transport
        self._torch: Session | None = None
        self.evidence = dpu.evidence
        self.environment: Mapping[str, str] = {"processor": f"DPUCZDX8G {dpu.hardware} (simulated)"}

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        pass

    def load(self, workload: Workload) -> int:
        return self.latency_ns(workload)

    def visit(self, workload: Workload, runs: int) -> Samples:
        times = (self.latency_ns(workload),) * runs
        return Samples(time.time_ns(), {"wall": times, "device": times})

    def sustain(self, workload: Workload, seconds: float) -> Samples:  # noqa: ARG002 - no heat here
        return self.visit(workload, 1)

    def latency_ns(self, workload: Workload) -> int:
        """On the DPU alone, without the driver's call; one block is loaded and saved.

        Raises:
            Infeasible: the DPU cannot run it.
            TargetFailed: it is a model file: the cost model takes blocks.
        """
        return self._dpu.nanoseconds(network_cost(self._dpu, _blocks(workload)).cycles)

    def infeasible(self, blocks: Sequence[Block]) -> dict[str, str]:
        """Those that the DPU cannot run, by key, and why."""
        found = {}
        for block in blocks:
            try:
                check(self._dpu, block)
            except Infeasible as error:
                found[block.key] = str(error)
        return found

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self._torch is None:
            from harness.runtimes.torch import open_session as open_torch

            self._torch = open_torch(self._transport, RuntimeOptions())
        return self._torch.infer(workload, images)

    def unload(self, workload: Workload) -> None:
        if self._torch is not None:
            self._torch.unload(workload)

    def conditions(self) -> dict[str, float | str | None]:
        return {}

    def close(self) -> None:
        if self._torch is not None:
            self._torch.close()


def _blocks(workload: Workload) -> tuple[Block, ...]:
    if not isinstance(workload, Path):
        return workload
    if workload.suffix.lower() != ".pt":
        raise TargetFailed(
            f"{workload}: the cost model takes blocks: networks of a space, and network files"
        )
    from harness.networks.file import NetworkFile

    return NetworkFile.load(workload).blocks
