"""What devices say, fit for use: numbers that can be, and texts of one line.

A device may be another than we think, half broken, or hostile. Text becomes numbers here only, so
that none is infinite, absurd, or so long that reading it takes for ever.
"""

import re
from dataclasses import dataclass

LONGEST_NUMBER = 40  # characters
LONGEST_TEXT = 500  # of it in a message


@dataclass(frozen=True)
class Range:
    """What a quantity can be, both ends included."""

    lowest: float
    highest: float

    def of(self, value: object) -> float | None:
        """A number or its text; None for what is no number, or one that cannot be."""
        if isinstance(value, str):
            if len(value) > LONGEST_NUMBER:
                return None
            try:
                value = float(value)
            except ValueError:
                return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return value if self.lowest <= value <= self.highest else None  # false for NaN, too


DAY_S = 86_400.0
RUN_NS = Range(1, DAY_S * 1e9)  # light goes a foot in 1 ns; nobody waits longer than a day
UNIX_NS = Range(0, 3_471_292_799 * 1e9)  # before 2080; boards without a battery begin in 1970
COUNT = Range(0, 10**9)  # a run a microsecond for a quarter of an hour; operators in a network
CPUS = Range(0, 4096)  # the most that Linux can be built for is 8192, that anybody builds 2048
MEMORY_MB = Range(0, 1e9)  # a petabyte
FILE_BYTES = Range(0, 1 << 60)
CLOCK_MHZ = Range(0, 20_000)  # liquid helium gets silicon to 9,000
TEMPERATURE_C = Range(-60, 200)  # solder melts at 217; absent sensors say -99.9, -256 or the like
POWER_W = Range(0, 10_000)  # of one device, a rack's
ENERGY_MJ = Range(0, POWER_W.highest * DAY_S * 1e3)


def whole(text: str, within: Range) -> int | None:
    """The number that ASCII digits and nothing else write; None where it cannot be."""
    if not re.fullmatch("[0-9]{1,19}", text):
        return None
    number = int(text)
    return number if within.lowest <= number <= within.highest else None


def one_line(text: str, longest: int = LONGEST_TEXT) -> str:
    """Without what would break a line or steer a terminal, and cut."""
    return "".join(each if each.isprintable() else " " for each in text[:longest]).strip()
