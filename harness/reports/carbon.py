"""What finding networks costs: GPU hours, CO2e and money, by the arithmetic of the paper's Table 2.

Power of a GPU: Strubell et al., ACL 2019 (64 V100 and their machines took 12,041.51 W). Data
centre: PUE 1.58; the table's alone, as offices, homes and edge devices have none. Grid: 0.954 lb
CO2e a kWh, the US mean. Price: p3.16xlarge, 24.48 dollars an hour for 8 GPUs.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, log10
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from harness.errors import UsageError
from harness.reports.style import COLOURS, INK, as_csv, drawing, plain, save, written_out
from harness.schema import Positive

GPU_W = 12_041.51 / 64
GRID_LB_PER_KWH = 0.954
KG_PER_LB = 0.45359237
GPU_USD_PER_H = 24.48 / 8
DEPLOYMENTS = 40  # of Table 2
SHOWN = (
    "NASNet-A",
    "MnasNet",
    "MobileNetV2 #1200",
    "FBNet-C",
    "ProxylessNAS",
    "OFA w/ PS #25",
    "OFA w/ PS",
)


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
class Place:
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


@dataclass(frozen=True)
class Method:
    """A way to networks for N deployments, as Table 2 has it."""

    name: str
    once_gpu_h: float
    per_deployment_gpu_h: float
    printed_co2e_klb: str  # thousands of pounds
    printed_cost_kusd: str
    # Why a printed cell does not follow from the hours; none where all do.
    misprint: str = ""

    def gpu_h(self, deployments: int) -> float:
        return self.once_gpu_h + self.per_deployment_gpu_h * deployments


METHODS = (
    Method("MobileNetV2", 0, 150, "1.7", "18.4"),
    Method("MobileNetV2 #1200", 0, 1200, "13.6", "146.9"),
    Method("NASNet-A", 0, 48_000, "544.5", "5875.2"),
    Method("DARTS", 0, 96 + 250, "4.0", "42.8"),
    Method("MnasNet", 0, 40_000, "453.8", "4896.0"),
    Method("FBNet-C", 0, 216 + 360, "6.5", "70.4"),
    Method("ProxylessNAS", 0, 200 + 300, "5.7", "61.2"),
    Method("SinglePathNAS", 288, 24 + 384, "4.8", "52.0"),
    Method("AutoSlim", 180, 300, "3.4", "36.7"),
    Method(
        "MobileNetV3-Large",
        0,
        180,
        "1.8",
        "22.2",
        "7.2k hours give neither: they fit no rule that the other rows follow",
    ),
    Method("OFA w/o PS", 40 + 1200, 0, "0.34", "3.7"),
    Method("OFA w/ PS", 40 + 1200, 0, "0.34", "3.7"),
    Method("OFA w/ PS #25", 40 + 1200, 25, "0.62", "6.7"),
    Method(
        "OFA w/ PS #75",
        40 + 1200,
        75,
        "1.2",
        "13.0",
        "4.2k hours give 12.85; the cost of the unrounded 4,240 is 12.97",
    ),
)


@dataclass(frozen=True)
class Row:
    """A method computed for its deployments, beside what is printed."""

    method: Method
    gpu_h: float  # rounded, as the table prints it
    co2e_klb: str
    cost_kusd: str

    @property
    def co2e_as_printed(self) -> bool:
        return self.co2e_klb == self.method.printed_co2e_klb

    @property
    def cost_as_printed(self) -> bool:
        return self.cost_kusd == self.method.printed_cost_kusd


def table_2(place: Place | None = None) -> list[Row]:
    """Table 2 from its hours: rounded to two digits first, then multiplied, as it was made."""
    return [_row(method, place or Place()) for method in METHODS]


def _row(method: Method, place: Place) -> Row:
    gpu_h = two_digits(method.gpu_h(DEPLOYMENTS))
    return Row(
        method,
        gpu_h,
        _like(method.printed_co2e_klb, place.co2e_lb(gpu_h) / 1000),
        _like(method.printed_cost_kusd, place.cost_usd(gpu_h) / 1000),
    )


def two_digits(hours: float) -> float:
    """The paper's rounding of hours; a million and more keep their thousands."""
    if hours >= 1e6:
        return round(hours, -3)
    return round(hours, 1 - floor(log10(hours)))


def _like(printed: str, value: float) -> str:
    """With as many decimals as the table prints."""
    return f"{value:.{len(printed.partition('.')[2])}f}"


@dataclass(frozen=True)
class Account:
    """Work of ours, from what its runs recorded."""

    hours: float  # over all ranks
    energy_kwh: float | None  # None where a rank had no counter
    co2e_kg: float | None
    assumed_kwh: float | None  # from stated watts, where no counter told
    sources: tuple[str, ...]
    pue: Pue  # that the CO2e is with


class Recorded(TypedDict):
    """What is needed of a session in `emissions.rank-N.json`."""

    seconds: Positive
    energy_mj: Positive | None
    meters: list[str]
    silent: list[str]


def account(
    sessions: Sequence[Mapping[str, Any]], assumed_w: float | None, place: Place
) -> Account:
    """What recorded sessions (`emissions.rank-N.json`) add up to.

    A missing counter is unknown, never 0: then only `assumed_w` watts a rank, where stated, give an
    energy, and it is marked as assumed.
    """
    hours = sum(each["seconds"] for each in sessions) / 3600
    told = [each["energy_mj"] for each in sessions]
    measured = sum(filter(None, told)) / 3.6e9 if sessions and None not in told else None
    assumed = None if measured is not None or assumed_w is None else hours * assumed_w / 1000
    kwh = measured if measured is not None else assumed
    co2e = None if kwh is None else place.kg(kwh)
    meters = {name for each in sessions for name in (*each["meters"], *each["silent"])}
    return Account(hours, measured, co2e, assumed, tuple(sorted(meters)), place.pue)


def inferences_kg(energy_mj: float, count: float, place: Place) -> float:
    """CO2e of so many inferences, each of one image and of `energy_mj`."""
    return place.kg(energy_mj * count / 3.6e9)


def save_deployments(folder: Path, place: Place) -> list[Path]:
    """Cost against the number of deployments (the paper's figure 5): PNG, SVG, PDF, CSV."""
    counts = range(1, DEPLOYMENTS + 1)
    with drawing("carbon", font_size=9) as plt:
        figure, axes = plt.subplots(figsize=(7.5, 4.6), layout="constrained")
        for number, name in enumerate(SHOWN):
            method = next(each for each in METHODS if each.name == name)
            values = [place.co2e_lb(method.gpu_h(count)) / 1000 for count in counts]
            axes.plot(counts, values, color=COLOURS[number % len(COLOURS)], label=name)
        axes.set_yscale("log")
        written_out(axes.yaxis, *axes.get_ylim())
        axes.set_xlabel("deployments, each for a device of its own")
        axes.set_ylabel("CO2e of finding and training, 1000 lb")
        axes.set_title("a supernet is trained once", loc="left", fontweight="bold", color=INK)
        plain(axes)
        axes.legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1), frameon=False)
        names = ("method", "deployments", "gpu_h", "co2e_lb", "cost_usd")
        return save(figure, folder, "carbon", as_csv(names, _rows(place)))


def _rows(place: Place) -> Iterator[list[object]]:
    """Every method at every number of deployments."""
    for method in METHODS:
        for count in range(1, DEPLOYMENTS + 1):
            gpu_h = method.gpu_h(count)
            yield [method.name, count, gpu_h, place.co2e_lb(gpu_h), place.cost_usd(gpu_h)]
