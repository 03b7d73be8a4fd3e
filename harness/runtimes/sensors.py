"""Conditions of a device as it tells them: what cannot be is unknown.

A sensor that is off, broken or of another unit says anything: that ends no campaign, and no visit
is doubted for it.
"""

import re
from collections.abc import Mapping

from harness.transports.plausible import (
    CLOCK_MHZ,
    COUNT,
    CPUS,
    MEMORY_MB,
    POWER_W,
    TEMPERATURE_C,
    Range,
    one_line,
)

Conditions = dict[str, float | str | None]

MOST_CONDITIONS = 200
LOAD = Range(0, 1e6)  # processes
PERCENT = Range(0, 100)
SHARE = Range(0, 2)  # of a clock's limit; some boost beyond it
THERMAL_STATUS = Range(0, 6)  # of Android: "none" to "shutdown"
OTHERWISE = Range(-1e15, 1e15)
NUMBERS: Mapping[str, Range] = {
    "temperature_c": TEMPERATURE_C,
    "cpu_temperature_c": TEMPERATURE_C,
    "gpu_temperature_c": TEMPERATURE_C,
    "thermal_status": THERMAL_STATUS,
    "battery_percent": PERCENT,
    "load_1m": LOAD,
    "other_cpus": CPUS,
    "other_share": CPUS,
    "other_share_here": CPUS,
    "memory_available_mb": MEMORY_MB,
    "frequency_share": SHARE,
    "frequency_mhz": CLOCK_MHZ,
    "gpu_clock_mhz": CLOCK_MHZ,
    "gpu_memory_clock_mhz": CLOCK_MHZ,
    "gpu_power_w": POWER_W,
    "gpu_other_processes": COUNT,
}


def plausible(reported: Mapping[str, object]) -> Conditions:
    """Finite numbers within what they can be, and texts of one line; all else is None."""
    names = [name for name in reported if re.fullmatch(r"[a-z]\w{0,63}", name, re.ASCII)]
    return {name: _plausible(name, reported[name]) for name in names[:MOST_CONDITIONS]}


def _plausible(name: str, reported: object) -> float | str | None:
    if name not in NUMBERS and isinstance(reported, str):
        return one_line(reported) or None
    return NUMBERS.get(name, OTHERWISE).of(reported)
