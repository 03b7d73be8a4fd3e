"""Energy as what a session's visits tell, instead of times.

A visit runs its workload over and over for a window long enough for the device's counter. Gross
energy is all that the counter saw; net energy is without what the device takes while it idles with
the runtime loaded, measured at each reading of the conditions.
"""

import time
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from harness.device.conditions import Conditions
from harness.errors import DeviceError
from harness.progress import Progress, silent
from harness.runtimes.session import MeteredSession, Samples, Workload

PERIODS = 20  # of the counter, in a window: an error of one of them is 5 %
SHORTEST_WINDOW_S = 0.5
IDLE_WINDOWS = 2  # long, of which the first lets clocks and caches come to rest


class EnergySession:
    """A session whose visits tell energies, nJ a run."""

    resident = True

    def __init__(self, session: MeteredSession) -> None:
        """Raises DeviceError where nothing there tells energies."""
        if session.meter is None:
            raise DeviceError(
                f"there is no energy counter to read: {session.no_meter}; latencies are measured "
                "without --energy"
            )
        self._session = session
        self.window_s = max(SHORTEST_WINDOW_S, PERIODS * session.meter.period_s)
        self.infers_on = session.infers_on
        self.visit_cost_ns = int(self.window_s * 1e9)
        self.environment: Mapping[str, str] = session.environment
        self.meter = session.meter.name
        self._idle_w: float | None = None

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        self._session.prepare(workloads, on_progress)

    def load(self, workload: Workload) -> int:
        return self._session.load(workload)

    def visit(self, workload: Workload, runs: int) -> Samples:  # noqa: ARG002 - a window, not runs
        if self._idle_w is None:
            self.conditions()
        assert self._idle_w is not None
        at_ns = time.time_ns()
        used = self._session.energy(workload, self.window_s)
        gross_nj = used.energy_mj * 1e6 / used.runs
        idle_nj = self._idle_w * used.seconds * 1e9 / used.runs
        values = {
            "wall": (max(1, round(used.seconds * 1e9 / used.runs)),),
            "gross": (max(1, round(gross_nj)),),
            "net": (round(gross_nj - idle_nj),),  # below 0 where idling took as much
        }
        return Samples(at_ns, values, used.runs)

    def sustain(self, workload: Workload, seconds: float) -> Samples:  # noqa: ARG002 - as above
        return self.visit(workload, 1)

    def infer(self, workload: Workload, images: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        return self._session.infer(workload, images)

    def unload(self, workload: Workload) -> None:
        self._session.unload(workload)

    def conditions(self) -> Conditions:
        """With the idle power, which is measured now."""
        for _ in range(IDLE_WINDOWS):
            idle = self._session.energy(None, self.window_s)
        self._idle_w = idle.energy_mj / 1e3 / idle.seconds
        idling = {"idle_power_w": round(self._idle_w, 3), "window_s": round(self.window_s, 3)}
        return self._session.conditions() | idling

    def close(self) -> None:
        self._session.close()
