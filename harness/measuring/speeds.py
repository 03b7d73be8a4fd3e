"""The machine's speeds while a campaign measured it, told by its sentinel.

A shared machine flips between speeds, for moments or for minutes: the other half of a core belongs
to somebody else, whom no counter shows (1.0 or 1.47 times as long, seen on a virtual machine).
"""

from bisect import bisect
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import log

import numpy as np
import numpy.typing as npt

FULL_SPEED = 0.05  # of the sentinel's visits are faster: a first moment of turbo is no measure
SLOW = 1.15  # times that; on a steady machine 98 of 100 of a sentinel's visits are faster
SLOT_S = 1.0  # moments are told apart by their fastest visit
SLOT_SLOW = 1.05  # times full speed
OFTEN_MISSED = 0.025  # of other campaigns, the share that an interval of 95 % leaves out above


@dataclass(frozen=True)
class Speeds:
    """The sentinel's visits, in the order they were made: [n] of each."""

    numbers: npt.NDArray[np.int64]  # among all visits
    at_s: npt.NDArray[np.float64]
    fastest: npt.NDArray[np.int64]  # of its runs, ns

    @cached_property
    def full(self) -> float:
        """Full speed, ns."""
        return float(np.quantile(self.fastest, FULL_SPEED))

    def slow(self, number: int) -> bool:
        """Whether the visit lies between two of the sentinel's that were both slow."""
        return bool((self._around(number) > SLOW * self.full).all())

    def turbo(self, number: int) -> bool:
        """Whether it lies between two that were faster than all but few: too few to compare by."""
        return bool((self._around(number) < self.full / SLOW).all())

    def missed(self) -> float:
        """How much longer all takes where a campaign misses full speed; logarithm, 0 if none does.

        Moments are taken for a chain of two states, fast and slow. That it became fast k times in
        the slow share s of a campaign tells the rate, by Jeffreys' prior, as Gamma(k + 1/2, s);
        over it, another campaign as long is slow from end to end in s * (s / (s + 1))^(k + 1/2).
        """
        slots = np.floor(self.at_s / SLOT_S)
        best = np.array([self.fastest[slots == slot].min() for slot in np.unique(slots)])
        is_slow = best > SLOT_SLOW * self.full
        slow = float(is_slow.mean())
        became_fast = sum(before and not now for before, now in pairwise(is_slow))
        if slow * (slow / (slow + 1)) ** (became_fast + 0.5) < OFTEN_MISSED:
            return 0.0
        return log(float(np.median(best[is_slow])) / float(np.median(best[~is_slow])))

    def _around(self, number: int) -> npt.NDArray[np.int64]:
        after = bisect(self.numbers, number)
        return self.fastest[max(0, after - 1) : after + 1]
