"""What runs of ours used, from what they recorded, and what inferences add."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from typing_extensions import TypedDict

from harness.carbon.place import Pue, Site
from harness.schema import Positive


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


def account(sessions: Sequence[Mapping[str, Any]], assumed_w: float | None, place: Site) -> Account:
    """What recorded sessions (`emissions.rank-N.json`) add up to.

    A missing counter is unknown, never 0: then only `assumed_w` watts a rank, where stated, give an
    energy, and it is marked as assumed.
    """
    hours = sum(each["seconds"] for each in sessions) / 3600
    mj = [each["energy_mj"] for each in sessions]
    measured = sum(filter(None, mj)) / 3.6e9 if sessions and None not in mj else None
    assumed = None if measured is not None or assumed_w is None else hours * assumed_w / 1000
    kwh = measured if measured is not None else assumed
    co2e = None if kwh is None else place.kg(kwh)
    meters = {name for each in sessions for name in (*each["meters"], *each["silent"])}
    return Account(hours, measured, co2e, assumed, tuple(sorted(meters)), place.pue)


def inferences_kg(energy_mj: float, count: float, place: Site) -> float:
    """CO2e of so many inferences, each of one image and of `energy_mj`."""
    return place.kg(energy_mj * count / 3.6e9)
