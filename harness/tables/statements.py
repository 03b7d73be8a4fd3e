"""What is known of a network's latency: at full speed, and as users see it, each with its error.

A statement is learned from whole networks that its fit had not seen. What users see is given as a
ratio to the predicted full speed.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import exp, hypot, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.tables.conformal import bound
from harness.tables.record import SEEN, Statistics
from harness.tables.repeat import TYPICAL, Interval, Repeat, value_of

Floats = npt.NDArray[np.float64]
AT = ("full", *SEEN)
"""The times that can be asked for."""
SHIPPED = "p90"
"""The time that what ships is chosen by, where it is known."""
WORDS = {
    "full": "at full speed",
    "p50": "p50 on the wall clock",
    "p90": "p90 on the wall clock",
    "p99": "p99 on the wall clock",
    "sustained": "sustained, back to back, on the wall clock",
}


@dataclass(frozen=True)
class Statement:
    """95 % of networks are expected at predicted full speed * ratio, within exp(+-log_error)."""

    at: str
    ratio: float
    log_error: float | None  # None: nobody knows

    def interval(self, full: float) -> Interval | None:
        """Where a network predicted at `full` is expected with a chance of 95 %."""
        if self.log_error is None:
            return None
        middle = full * self.ratio
        return middle * exp(-self.log_error), middle * exp(self.log_error)

    @property
    def upper_ratio(self) -> float:
        """Of the interval's upper end to predicted full speed; where there is none, the ratio."""
        return self.ratio * exp(self.log_error or 0.0)

    @property
    def relative_error(self) -> float | None:
        """The larger side of the interval, as a share."""
        return None if self.log_error is None else float(np.expm1(self.log_error))


def check_time(at: str | None) -> str | None:
    """The name of a time, if one is given.

    Raises:
        UsageError: there is none of that name.
    """
    if at is not None and at not in AT:
        raise UsageError(f"{at!r} is none of the times that there are: {', '.join(AT)}")
    return at


Statements = Mapping[str, Statement]
SILENT: Statements = {"full": Statement("full", 1.0, None)}
"""Of predictions that nobody compared with measurements."""


def statements(
    predicted: Floats,
    full: list[Statistics],
    wall: list[Statistics | None],
    repeats: Mapping[str, Repeat],
    inherited: float = 0.0,
) -> dict[str, Statement]:
    """From networks that were measured and their predictions by fits that had not seen them.

    predicted: [n], in the records' unit. `full` and `wall`: their records by the table's clock and
    by the wall's. `repeats`: how much campaigns differ, where statements are to hold for another
    one; none where the predictions are for the campaign that measured. `inherited`: an error in
    logarithms that the predictions of other networks have besides.
    """
    found = {}
    for at in AT:
        pairs = [
            (full_value, statistics)
            for full_value, statistics in zip(
                predicted, full if at == "full" else wall, strict=True
            )
            if statistics is not None and value_of(statistics, at) is not None
        ]
        if not pairs:
            continue
        known = [statistics for _, statistics in pairs]
        values = np.array([value_of(each, at) for each in known], dtype=float)
        errors = np.log(values / np.array([full_value for full_value, _ in pairs]))
        middle = 0.0 if at == "full" else float(np.median(errors))
        if len(errors) > 1:
            taken_out = 0 if at == "full" else 1
            error = bound((errors - middle) * sqrt(len(errors) / (len(errors) - taken_out)))
        else:  # one network tells the ratio, not how it varies
            error = TYPICAL[at].own * 2 + TYPICAL[at].per_spread * abs(middle)
        level = repeats[at].level(known) if at in repeats else 0.0
        found[at] = Statement(at, exp(middle), hypot(error, level, inherited))
    return found


def error_facts(told: Statements) -> dict[str, Any]:
    """For `front.json`: the error at full speed, and each statement."""
    return {
        "p95": told["full"].relative_error,
        "statements": {at: asdict(statement) for at, statement in told.items()},
    }
