"""Watts of hardware and the carbon intensity of grids, from `factors.toml`."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

from harness.carbon.place import EDGE, KG_PER_LB, OFFICE, Pue, Site
from harness.errors import UsageError
from harness.hints import nearest

_FACTORS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
POWER_SOURCE: str = _FACTORS["hardware"]["source"]
HARDWARE_W: dict[str, float] = _FACTORS["hardware"]["watts"]
ON_THE_EDGE: list[str] = _FACTORS["hardware"]["edge"]
GRID_SOURCE: str = _FACTORS["grid"]["source"]
GRID_G_PER_KWH: dict[str, float] = _FACTORS["grid"]["g_co2e_per_kwh"]


@dataclass(frozen=True)
class HardwareHours:
    """Work to be accounted for."""

    hours: float
    count: int  # of the same, at once
    watts: float  # of one
    power_from: str

    def kwh(self) -> float:
        """Without what the place takes besides."""
        return self.hours * self.count * self.watts / 1000

    def kg(self, place: Site) -> float:
        """CO2e in a place, by its PUE and its grid."""
        return place.kg(self.kwh())


def hardware_w(name: str) -> float:
    """Raises UsageError for hardware that is not in the list."""
    if name not in HARDWARE_W:
        raise UsageError(
            f"--hardware {name!r} is not in the list (--watts states those of any other); "
            f"{nearest(name, HARDWARE_W)}"
        )
    return HARDWARE_W[name]


def hardware_pue(name: str | None) -> Pue:
    """Where nobody says where it stands. A GPU is in no data centre until somebody says so."""
    return EDGE if name in ON_THE_EDGE else OFFICE


def grid_lb_per_kwh(region: str) -> float:
    """Raises UsageError for a region that is not in the list."""
    code = region.upper()
    if code not in GRID_G_PER_KWH:
        raise UsageError(
            f"--region {region!r} is not in the list (--grid states the lb CO2e a kWh of any "
            f"other); {nearest(region, GRID_G_PER_KWH)}"
        )
    return GRID_G_PER_KWH[code] / 1000 / KG_PER_LB
