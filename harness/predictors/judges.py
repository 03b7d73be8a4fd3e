"""How far a predictor of accuracies is off: told by networks that it was not fitted to."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.schema import Count, Number
from harness.spaces.space import Space

Floats = npt.NDArray[np.float64]
BEYOND = 40  # of so many networks, one may lie beyond each end of a 95 % interval
FEWEST = BEYOND - 1  # judges: of fewer, more lie beyond the largest error of all
LEAST_WRONG = 1.0  # percentage points: nobody knows an accuracy better for being predicted at 100 %


@dataclass(frozen=True)
class Judges:
    """Networks that were evaluated, and that the predictor was not fitted to.

    Some are random. The others were found by searches that the predictor guided, as what users see
    is: those are predicted too well, and lie in corners where random networks are rare. An error
    counts as a share of the wrong answers that were predicted: accuracies of good networks are
    known better than those of poor ones.
    """

    shares: tuple[Number, ...]  # (predicted - evaluated) / (100 - predicted), in percent both
    found: Count = 0  # how many of them searches found

    @classmethod
    def random(cls, predicted: Floats, evaluated: Floats) -> "Judges":
        """Accuracies [n], percent, of networks that were held out."""
        return cls(tuple(((predicted - evaluated) / _wrong(predicted)).tolist()))

    def and_found(self, predicted: Floats, evaluated: Floats) -> "Judges":
        """With as many that searches found."""
        further = self.random(predicted, evaluated).shares
        return Judges(self.shares + further, self.found + len(further))

    @property
    def ends(self) -> tuple[float, float] | None:
        """Between which shares 95 % of networks like the judges have theirs.

        Split conformal: of n judges and one more, the k least and the k largest lie beyond. None
        where there are too few judges to tell.
        """
        if len(self.shares) < FEWEST:
            return None
        shares = sorted(self.shares)
        beyond = (len(shares) + 1) // BEYOND
        return shares[beyond - 1], shares[-beyond]

    def interval(self, accuracy: float) -> tuple[float, float] | None:
        """Where accuracies that are predicted as `accuracy`, percent, lie on validation images."""
        if self.ends is None:
            return None
        least, largest = (share * float(_wrong(np.array(accuracy))) for share in self.ends)
        low, high = (min(100.0, max(0.0, accuracy - error)) for error in (largest, least))
        return low, high


def _wrong(predicted: Floats) -> Floats:
    """Wrong answers, percent."""
    return np.maximum(100 - predicted, LEAST_WRONG)


def described(judges: Judges | None, space: Space) -> str:
    """How sure predicted accuracies of the space are, in words."""
    if judges is None:
        return "nothing tells how far single networks are off: no intervals"
    if judges.ends is None:
        return f"{len(judges.shares)} judges are too few for intervals ({FEWEST} are needed)"
    least, largest = judges.ends
    random = len(judges.shares) - judges.found
    found = (
        f" and {judges.found} that searches by it found"
        if judges.found
        else "; networks that a search finds may be off further"
    )
    times = f"{1 + least:.2f} to {1 + largest:.2f} times as"
    off = f"give {times} many wrong answers on"
    if space.scored != Space.scored:
        off = f"lack {times} much of 100 {space.scored} on"
    return (
        f"95 % of networks are expected to {off} validation {space.examples} as predicted: "
        f"so did {random} random networks{found}, none of them fitted to"
    )
