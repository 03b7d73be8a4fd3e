"""What training uses: time, energy where a counter tells it, and the CO2e that follows.

Each rank writes its own file: its GPU, and the first rank of a machine the processors too. A rank
that is killed has told all but the last half minute.
"""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import files
from harness.carbon.place import GRID_LB_PER_KWH, KG_PER_LB, OFFICE, Site
from harness.runtimes.agent import meters, nvml

if TYPE_CHECKING:
    from harness.training.distributed import Ranks

WRITE_EVERY_S = 30.0
# Nobody has said where it runs: `harness carbon runs --place` counts the energy anew. Older records
# have a data centre's PUE in their CO2e, and say so.
PLACE = Site(pue=OFFICE)
GRID_KG_PER_KWH = GRID_LB_PER_KWH * KG_PER_LB


@dataclass(frozen=True)
class RecordedSession:
    """One stretch of work of one rank, from a start to its end or kill."""

    what: str
    started_at: str
    seconds: float
    rank: int
    ranks: int
    hardware: str
    energy_mj: float | None  # of all meters; None where there is none
    meters: tuple[str, ...]
    silent: tuple[str, ...]  # what has no meter, and why
    co2e_kg: float | None  # energy x PUE x grid
    pue: float = OFFICE.value
    pue_is: str = OFFICE.why
    grid_kg_per_kwh: float = GRID_KG_PER_KWH


class Recording:
    """The use of one rank since it began, kept in `emissions.rank-N.json` of its folder."""

    def __init__(self, folder: Path, what: str, ranks: "Ranks") -> None:
        self._path = folder / f"emissions.rank-{ranks.rank}.json"
        self._what, self._ranks = what, ranks
        self._before = _earlier(self._path)
        self._started_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._began = self._written = time.monotonic()
        self._meters, self._silent, self._hardware = _meters(ranks.device)
        self._first = {name: read() for name, read in self._meters.items()}
        self._last = dict(self._first)

    def tick(self) -> None:
        """Read the counters, often enough that none wraps around twice unseen."""
        if time.monotonic() - self._written < WRITE_EVERY_S:
            return
        self._written = time.monotonic()
        self.write()

    def write(self) -> None:
        for name, read in self._meters.items():
            self._last[name] = read()
        files.write_json(self._path, [*self._before, asdict(self.session())])

    def session(self) -> RecordedSession:
        used = [
            end - start
            for start, end in zip(self._first.values(), self._last.values(), strict=True)
            if start is not None and end is not None
        ]
        complete = len(used) == len(self._meters) and not self._silent
        # A rank whose machine another rank measures has nothing of its own: 0, and not unknown.
        energy_mj = sum(used) if complete else None
        kwh = None if energy_mj is None else energy_mj / 3.6e9
        return RecordedSession(
            self._what,
            self._started_at,
            round(time.monotonic() - self._began, 1),
            self._ranks.rank,
            self._ranks.count,
            self._hardware,
            energy_mj,
            tuple(self._meters),
            self._silent,
            None if kwh is None else PLACE.kg(kwh),
        )

    def describe(self) -> str:
        now = self.session()
        hours = f"{now.seconds / 3600:.3g} h of {now.ranks} rank(s)"
        if now.energy_mj is None:
            return f"{hours}; energy unknown: {'; '.join(now.silent)}"
        return (
            f"{hours}; rank {now.rank}: {now.energy_mj / 3.6e9:.3g} kWh, {now.co2e_kg:.3g} kg CO2e "
            f"with {PLACE.pue}"
        )


def _meters(
    device: str,
) -> tuple[dict[str, Callable[[], float | None]], tuple[str, ...], str]:
    """Counters by name, what has none and why, and the hardware in words."""
    found: dict[str, Callable[[], float | None]] = {}
    silent = []
    hardware = platform.processor() or platform.machine()
    if os.environ.get("LOCAL_RANK", "0") == "0":
        meter, why = meters.open_meter(on_gpu=False)
        if isinstance(meter, meters.CounterMeter):
            found[meter.name] = meter.read_mj
        else:
            silent.append(why or f"{meter.name} is for short windows")
    if device.startswith("cuda"):
        import torch

        hardware = torch.cuda.get_device_name(device)
        gpu, why = _gpu(torch.cuda.get_device_properties(device))
        if gpu is not None and gpu.energy_mj() is not None:
            found["NVML energy"] = gpu.energy_mj
        else:
            silent.append(why or "this GPU has no energy counter")
    return found, tuple(silent), hardware


def _gpu(card: Any) -> tuple[Any, str]:
    """The GPU at the address that torch tells: NVML counts them in another order than CUDA."""
    names = ("pci_domain_id", "pci_bus_id", "pci_device_id")
    if not all(hasattr(card, name) for name in names):
        return None, "this torch does not tell which GPU it uses"
    domain, bus, number = (getattr(card, name) for name in names)
    found: tuple[Any, str] = meters.open_gpu(nvml, f"{domain:04x}:{bus:02x}:{number:02x}.0")
    return found


def _earlier(path: Path) -> list[dict[str, Any]]:
    """Sessions of runs that were killed or resumed; a broken file starts anew."""
    try:
        found = files.parsed_json(path.read_text())
    except (OSError, ValueError):
        return []
    return found if isinstance(found, list) else []
