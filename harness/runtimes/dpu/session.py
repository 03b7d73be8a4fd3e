"""A session whose visits are answered by the cost model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import TargetFailed
from harness.progress import Progress, silent
from harness.runtimes import torch
from harness.runtimes.dpu.architecture import Dpu
from harness.runtimes.dpu.model import network_cost
from harness.runtimes.dpu.options import DpuOptions
from harness.runtimes.estimating import EstimatingSession
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import Session, Workload
from harness.spaces.block import Block
from harness.transports.transport import ResidentTransport


def open_session(transport: ResidentTransport, options: RuntimeOptions) -> Session:
    return DpuSession(transport, options)


class DpuSession(EstimatingSession):
    """Latencies without a device: the same workload always takes the same time."""

    makes_files = False
    infers_on = "this computer, torch in float32: int8 on the DPU is not simulated"

    def __init__(self, transport: ResidentTransport, options: RuntimeOptions) -> None:
        super().__init__(lambda: torch.open_session(transport, RuntimeOptions()))
        dpu = options.of(DpuOptions)
        self._dpu = Dpu.of(dpu)
        self.evidence = dpu.evidence
        self.environment: Mapping[str, str] = {"processor": f"DPUCZDX8G {dpu.hardware} (simulated)"}

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        pass

    def latency_ns(self, workload: Workload) -> int:
        """On the DPU alone, without the driver's call; one block is loaded and saved.

        Raises:
            Infeasible: the DPU cannot run it.
            TargetFailed: it is a model file: the cost model takes blocks.
        """
        return self._dpu.nanoseconds(network_cost(self._dpu, _blocks(workload)).cycles)


def _blocks(workload: Workload) -> tuple[Block, ...]:
    if not isinstance(workload, Path):
        return workload
    if workload.suffix.lower() != ".pt":
        raise TargetFailed(
            f"{workload}: the cost model takes blocks: networks of a space, and network files"
        )
    from harness.networks.file import NetworkFile

    return NetworkFile.load(workload).blocks
