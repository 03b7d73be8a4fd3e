"""Temperatures in a line of `tegrastats`, the monitor of Jetson boards, from TX1 to Orin.

What is in it differs by board, by release and by whether root asks. Its words are explained in the
Jetson Linux Developer Guide, "tegrastats Utility".
"""

import re

from harness.transports.plausible import TEMPERATURE_C

LONGEST_LINE = 5_000
NO_SENSOR = "PMIC"  # says 100 or 50 for ever
_RAM = re.compile(r"\bRAM \d{1,9}/\d{1,9}MB\b")
_CELSIUS = r"-?\d{1,4}(?:\.\d{1,9})?"
# Since JetPack 7.2 a sensor tells its peak, too.
_SENSOR = re.compile(rf"\b([A-Za-z]\w*)@({_CELSIUS})C(?:/{_CELSIUS}C)?(?=\s|$)")


def temperatures_c(line: str) -> dict[str, float] | None:
    """By sensor, without those that are off; None where the line is none of tegrastats'."""
    if len(line) >= LONGEST_LINE or not _RAM.search(line):
        return None
    sensors = {name: TEMPERATURE_C.of(value) for name, value in _SENSOR.findall(line)}
    return {
        name: celsius
        for name, celsius in sensors.items()
        if celsius is not None and name != NO_SENSOR
    }
