"""Where work is done: what a place takes besides its computers, and how clean its grid is.

Power of a GPU: Strubell et al., ACL 2019 (64 V100 and their machines took 12,041.51 W). Data
centre: PUE 1.58; offices, homes and edge devices have none. Grid: 0.954 lb CO2e a kWh, the US mean.
Price: p3.16xlarge, 24.48 dollars an hour for 8 GPUs.
"""

from dataclasses import dataclass, field

from harness.errors import UsageError

GPU_W = 12_041.51 / 64
GRID_LB_PER_KWH = 0.954
KG_PER_LB = 0.45359237
GPU_USD_PER_H = 24.48 / 8


@dataclass(frozen=True)
class Pue:
    """Power usage effectiveness: what a place takes, over what its computers take."""

    value: float
    why: str = field(compare=False)

    def __str__(self) -> str:
        return f"PUE {self.value:g} ({self.why})"


DATA_CENTRE = Pue(1.58, "a data centre, Strubell et al. 2019")
OFFICE = Pue(1.0, "an office or home: no overhead was measured there, none is counted")
EDGE = Pue(1.0, "an edge device: nothing around it is run for it")
PLACES = {"data-centre": DATA_CENTRE, "office": OFFICE, "edge": EDGE}


def pue_of(kind: str | None, stated: float | None, usual: Pue) -> Pue:
    """The stated one, else that of the kind of place, else the usual one.

    Raises:
        UsageError: there is no such kind of place.
    """
    if kind is not None and kind not in PLACES:
        raise UsageError(f"--place {kind!r} is not in the list: {', '.join(PLACES)}")
    if stated is not None:
        return Pue(stated, "as stated")
    return usual if kind is None else PLACES[kind]


@dataclass(frozen=True)
class Site:
    """Where work is done, and what GPUs cost there; as it stands, the place of Table 2."""

    gpu_w: float = GPU_W
    pue: Pue = DATA_CENTRE
    grid_lb_per_kwh: float = GRID_LB_PER_KWH
    gpu_usd_per_h: float = GPU_USD_PER_H

    def co2e_lb(self, gpu_h: float) -> float:
        return self.kg(gpu_h * self.gpu_w / 1000) / KG_PER_LB

    def kg(self, kwh: float) -> float:
        """CO2e of what computers take there."""
        return kwh * self.pue.value * self.grid_lb_per_kwh * KG_PER_LB

    def cost_usd(self, gpu_h: float) -> float:
        return gpu_h * self.gpu_usd_per_h
