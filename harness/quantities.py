"""What users write: a duration (45m), a share (5%), a limit (pixel-1:30ms)."""

import re
import time

from harness.errors import UsageError

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_TIMES = {"ms": 1.0, "s": 1e3, "us": 1e-3}
_KILOBYTES = {"B": 1e-3, "kB": 1.0, "KiB": 1.024, "MB": 1e3, "MiB": 1024 * 1.024}
_MEGABYTES = {"kB": 1e-3, "MB": 1.0, "GB": 1e3}
_FACTORS = {  # of each cost that is no latency; limits are kept in the unit whose factor is 1
    "macs": {"k": 1e-3, "M": 1.0, "G": 1e3},
    "params": {"k": 1e-3, "M": 1.0, "G": 1e3},
    "activations": _MEGABYTES,
    "memory": _MEGABYTES,
    "energy": {"uJ": 1e-3, "mJ": 1.0, "J": 1e3},
    "sram": _KILOBYTES,
    "flash": _KILOBYTES,
}


def parse_duration_s(text: str) -> float:
    """Seconds of `90s`, `45m`, `1h30m` or `2.5h`.

    Raises:
        UsageError: `text` is none of these.
    """
    if not re.fullmatch(r"(\d+(\.\d+)?[smh])+", text):
        raise UsageError(f"--budget {text!r} is no duration; write 90s, 45m or 1h30m")
    parts = re.findall(r"([\d.]+)([smh])", text)
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def parse_milliseconds(text: str) -> float:
    """30.0 for `30ms`.

    Raises:
        UsageError: `text` is no time above zero.
    """
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|us)", text)
    if not match or not float(match[1]):
        raise UsageError(f"--budget {text!r} is no time of a run; write 30ms, 800us or 1.5s")
    return float(match[1]) * _TIMES[match[2]]


def parse_share(text: str | None) -> float | None:
    """0.05 for `5%`; None stays None.

    Raises:
        UsageError: `text` is no percentage.
    """
    if text is None:
        return None
    if not re.fullmatch(r"\d+(\.\d+)?%", text):
        raise UsageError(f"--fail-above {text!r} is no percentage; write 5% (0.05 could be either)")
    return float(text.removesuffix("%")) / 100


def quantity_of(name: str) -> str:
    """`energy` of `pixel-1.energy`, `activations` of `activations.int8`; a device's own name is a
    latency."""
    first, last = name.partition(".")[0], name.rpartition(".")[2]
    return first if first in _FACTORS else last


def unit_of(name: str) -> str:
    """The unit that limits on a device or cost are kept in: ms, M, MB, mJ, kB."""
    factors = _FACTORS.get(quantity_of(name), _TIMES)
    return next(unit for unit, factor in factors.items() if factor == 1.0)


def parse_limit(text: str) -> tuple[str, float, str | None]:
    """A device or cost and its limit: ms of `pixel-1:30ms`, millions of `macs:300M`, MB, kB, mJ.

    A latency's may say which time is meant, as `pixel-1:30ms@p90`; else None.

    Raises:
        UsageError: `text` is none of these.
    """
    match = re.fullmatch(r"([\w.-]+):(\d+(?:\.\d+)?)(\w*)(?:@(\w+))?", text)
    if match:
        name, value, unit, at = match.groups()
        factors = _FACTORS.get(quantity_of(name), _TIMES)
        if unit in factors:
            return name, float(value) * factors[unit], at
    raise UsageError(
        f"--constraint {text!r} is no limit; write pixel-1:30ms, pixel-1:30ms@p50, "
        "macs:300M, params:5M, activations:2MB, activations.int8:500kB, memory:64MB, sram:256kB, "
        "flash:1MB or energy:9mJ"
    )


def deadline_in(text: str | None) -> float | None:
    """The end of a budget that begins now, by time.monotonic(); None without one."""
    return None if text is None else time.monotonic() + parse_duration_s(text)
