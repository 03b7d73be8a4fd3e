"""Peak memory as what a session's visits tell, instead of times.

Each visit starts the runtime anew, in a process of its own, and tells by how much its resident set
grew at most, from before loading to after the first run: weights, maps, and what the runtime keeps
besides.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from harness.device.conditions import Conditions
from harness.errors import DeviceError
from harness.progress import Progress, silent
from harness.runtimes.session import Samples, Session, StartingSession, Workload

PAGE_BYTES = 4096  # the least that a resident set grows by: none that fits into what was there is 0
START_NS = 1_500_000_000  # to start a runtime, until the first visit tells


class Starting(Session, StartingSession, Protocol):
    """A session that can tell how a workload starts."""


class MemorySession:
    """A session whose visits tell peak memories, bytes."""

    resident = False

    def __init__(self, session: Starting) -> None:
        self._session = session
        self.infers_on = session.infers_on
        self.visit_cost_ns = START_NS
        self.environment: Mapping[str, str] = session.environment

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        self._session.prepare(workloads, on_progress)

    def load(self, workload: Workload) -> int:
        (first_ns,) = self.visit(workload, 1).values["wall"]
        return first_ns

    def visit(self, workload: Workload, runs: int) -> Samples:  # noqa: ARG002 - one first run
        """Raises DeviceError where nobody there tells memories."""
        at_ns = time.time_ns()
        start = self._session.start(workload)
        self.visit_cost_ns = time.time_ns() - at_ns
        if start.memory_mb is None:
            raise DeviceError("the device does not tell how much memory a process takes")
        values = {
            "wall": (max(1, round(start.first_ms * 1e6)),),
            "resident": (max(PAGE_BYTES, round(start.memory_mb * 1e6)),),
        }
        return Samples(at_ns, values)

    def sustain(self, workload: Workload, seconds: float) -> Samples:  # noqa: ARG002 - as above
        return self.visit(workload, 1)

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self._session.infer(workload, images)

    def unload(self, workload: Workload) -> None:
        """Nothing stays."""

    def conditions(self) -> Conditions:
        return self._session.conditions()

    def close(self) -> None:
        self._session.close()
