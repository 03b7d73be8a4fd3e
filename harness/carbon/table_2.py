"""Table 2 of the OFA paper by its own arithmetic, from its hours in `table_2.csv`."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path

from harness.carbon.place import Site

DEPLOYMENTS = 40


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


def _methods() -> Iterator[Method]:
    with Path(__file__).with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            hours = float(row["once_gpu_h"]), float(row["per_deployment_gpu_h"])
            printed = row["printed_co2e_klb"], row["printed_cost_kusd"]
            yield Method(row["method"], *hours, *printed, row["misprint"])


METHODS = tuple(_methods())


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


def table_2(place: Site | None = None) -> list[Row]:
    """Table 2 from its hours: rounded to two digits first, then multiplied, as it was made."""
    return [_row(method, place or Site()) for method in METHODS]


def _row(method: Method, place: Site) -> Row:
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
