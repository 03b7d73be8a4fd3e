"""Sessions in which a model answers instead of a device."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from harness.errors import Infeasible
from harness.runtimes.session import Samples, Session, Workload
from harness.spaces.block import Block


class EstimatingSession(ABC):
    """What all of them have in common; they compute in another runtime, on this computer."""

    resident = True
    visit_cost_ns = 0

    def __init__(self, open_computing: Callable[[], Session]) -> None:
        self._open_computing = open_computing
        self._computing: Session | None = None

    @abstractmethod
    def latency_ns(self, workload: Workload) -> int:
        """Raises Infeasible where the device cannot run it, TargetFailed for other files."""

    def load(self, workload: Workload) -> int:
        return self.latency_ns(workload)

    def visit(self, workload: Workload, runs: int) -> Samples:
        times = (self.latency_ns(workload),) * runs
        return Samples(time.time_ns(), {"wall": times, "device": times})

    def sustain(self, workload: Workload, seconds: float) -> Samples:  # noqa: ARG002 - no heat here
        return self.visit(workload, 1)

    def infeasible(self, blocks: Sequence[Block]) -> dict[str, str]:
        """Those that the device cannot run, by key, and why."""
        found = {}
        for block in blocks:
            try:
                self.latency_ns((block,))
            except Infeasible as error:
                found[block.key] = str(error)
        return found

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        if self._computing is None:
            self._computing = self._open_computing()
        return self._computing.infer(workload, images)

    def unload(self, workload: Workload) -> None:
        if self._computing is not None:
            self._computing.unload(workload)

    def conditions(self) -> dict[str, float | str | None]:
        return {}

    def close(self) -> None:
        if self._computing is not None:
            self._computing.close()
