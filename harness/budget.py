"""`--budget 45m`: how long something may take."""

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


def deadline_s(text: str | None) -> float | None:
    """The end of a budget that begins now, by time.monotonic(); None without one."""
    return None if text is None else time.monotonic() + parse_duration_s(text)
