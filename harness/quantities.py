"""What users write: how long something may take (45m), how much slower it may become (5%)."""

import re
import time

from harness.errors import UsageError

_SECONDS = {"s": 1, "m": 60, "h": 3600}


def parse_duration_s(text: str) -> float:
    """Seconds of `90s`, `45m`, `1h30m` or `2.5h`.

    Raises:
        UsageError: `text` is none of these.
    """
    if not re.fullmatch(r"(\d+(\.\d+)?[smh])+", text):
        raise UsageError(f"--budget {text!r} is no duration; write 90s, 45m or 1h30m")
    parts = re.findall(r"([\d.]+)([smh])", text)
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def parse_share(text: str | None) -> float | None:
    """0.05 for `5%`; None stays None.

    Raises:
        UsageError: `text` is no percentage.
    """
    if text is None:
        return None
    if not re.fullmatch(r"\d+(\.\d+)?%?", text):
        raise UsageError(f"--fail-above {text!r} is no percentage; write 5%")
    return float(text.removesuffix("%")) / 100


def deadline_s(text: str | None) -> float | None:
    """The end of a budget that begins now, by time.monotonic(); None without one."""
    return None if text is None else time.monotonic() + parse_duration_s(text)
