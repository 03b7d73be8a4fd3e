"""Watts of hardware and the carbon intensity of grids: inputs of a calculator.

As Lacoste et al. have it: Quantifying the Carbon Emissions of Machine Learning, 2019.
"""

from dataclasses import dataclass

from harness.errors import UsageError
from harness.hints import nearest
from harness.reports.carbon import EDGE, KG_PER_LB, OFFICE, Place, Pue

YEAR = 2023
GRID_SOURCE = f"{YEAR}, Our World in Data as CodeCarbon 3.3.2 has it"
POWER_SOURCE = "thermal design power, from data sheets as github.com/mlco2/impact lists them"

# Watts at full load; a real load takes less.
HARDWARE_W = {
    "a100-pcie": 250,
    "a100-sxm4": 400,
    "a6000": 300,
    "epyc-7763": 280,
    "gtx-1080ti": 250,
    "jetson-agx-xavier": 30,
    "k80": 300,
    "p100": 250,
    "rtx-2080ti": 250,
    "rtx-3090": 350,
    "t4": 70,
    "titan-xp": 250,
    "v100-sxm2": 300,
    "xeon-gold-6148": 150,
}
ON_THE_EDGE = ("jetson-agx-xavier",)

# Grams of CO2e a kWh, by ISO 3166 code.
GRID_G_PER_KWH = {
    "AUS": 548.692,
    "BRA": 98.348,
    "CAN": 170.043,
    "CHE": 34.843,
    "CHN": 582.317,
    "DEU": 380.95,
    "ESP": 174.05,
    "FIN": 79.158,
    "FRA": 56.039,
    "GBR": 237.589,
    "IND": 713.441,
    "IRL": 290.805,
    "ITA": 330.718,
    "JPN": 485.392,
    "KOR": 430.567,
    "NLD": 267.622,
    "NOR": 30.08,
    "POL": 661.926,
    "SGP": 470.783,
    "SWE": 40.695,
    "TWN": 642.378,
    "USA": 369.473,
}


@dataclass(frozen=True)
class Work:
    """Hours on hardware, to be accounted for."""

    hours: float
    count: int  # of the same, at once
    watts: float  # of one
    power_from: str

    def kwh(self) -> float:
        """Without what the place takes besides."""
        return self.hours * self.count * self.watts / 1000

    def kg(self, place: Place) -> float:
        """CO2e in a place, by its PUE and its grid."""
        return place.kg(self.kwh())


def hardware_w(name: str) -> float:
    """Raises UsageError for hardware that is not in the list."""
    if name not in HARDWARE_W:
        raise UsageError(
            f"--hardware {name!r} is not in the list (--gpu-watts states the watts of any other); "
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
