"""Devices of others beside one's own, as pages show them.

What was published has a spread where its source tells one, and no interval: nobody measured again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.networks.baselines import BASELINES
from harness.tables.imported import ImportedDevice, NetworkTime
from harness.tables.repeat import Interval

Timed = tuple[float, Interval | None]  # ms, and where another campaign finds it
_OWN_NAMES = {name: each.name for each in BASELINES for name in each.published_as}


def by_our_names(device: ImportedDevice) -> dict[str, NetworkTime]:
    """What was published of it; networks have our names where we have them."""
    return {_OWN_NAMES.get(name, name): times for name, times in device.networks.items()}


@dataclass(frozen=True)
class Other:
    """A device of others, and the front's networks there."""

    device: ImportedDevice
    source: str
    points: tuple[Timed, ...]  # rescaled from the front's device; none where that cannot be
    rests_on: str  # of the points, or why there are none

    @property
    def networks(self) -> dict[str, NetworkTime]:
        return by_our_names(self.device)


@dataclass(frozen=True)
class Beside:
    """The others, and the published networks that were timed here."""

    own: Mapping[str, Timed]
    others: tuple[Other, ...]

    @property
    def timed_here(self) -> list[str]:
        """Networks of the others that were timed here, too."""
        return [name for name in self._networks if name in self.own]

    @property
    def not_here(self) -> list[str]:
        return [name for name in self._networks if name not in self.own]

    @property
    def _networks(self) -> dict[str, None]:
        return dict.fromkeys(name for other in self.others for name in other.networks)
