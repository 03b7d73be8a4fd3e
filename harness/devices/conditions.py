"""What a device says of itself around the visits, and what makes numbers doubtful."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Conditions = dict[str, float | str | None]

OTHER_CPUS = 0.25  # processors that other programs may use while wall time is read
SLOWED_DOWN = 0.9  # of the highest frequency seen
LITTLE_MEMORY_MB = 256
WALL_OVER_CPU = 1.1
THROTTLING = 2  # Android's thermal status "moderate"
CLOCKS_COST_NS = 2_000  # reading both clocks, a tenth of a very short block


@dataclass(frozen=True)
class Limits:
    """Conditions under which a device may be measured."""

    max_temperature_c: float | None = None
    pause_s: float = 0.0  # after each round, to cool down

    def too_hot(self, conditions: Conditions) -> bool:
        """Hotter than the profile allows, or so hot that a phone holds itself back."""
        for name in ("temperature_c", "gpu_temperature_c"):
            temperature_c, limit = _number(conditions, name), self.max_temperature_c
            if limit is not None and temperature_c is not None and temperature_c > limit:
                return True
        status = _number(conditions, "thermal_status")
        return status is not None and status >= THROTTLING


@dataclass(frozen=True)
class Fastest:
    """How fast the processor was seen to be allowed to run; None where nothing tells."""

    frequency_mhz: float | None = None
    frequency_share: float | None = None  # of what it can

    @classmethod
    def of(cls, readings: Sequence[Conditions]) -> "Fastest":
        return cls(_highest(readings, "frequency_mhz"), _highest(readings, "frequency_share"))


def doubts_between(
    readings: Sequence[Conditions], fastest: Fastest, limits: Limits, clock: str
) -> tuple[str, ...]:
    """Reasons to doubt all that was measured between these readings.

    Other programs lengthen wall time, and take energy, but not the CPU time of our own thread.
    """
    found = []
    for reading in readings:
        if limits.too_hot(reading):
            found.append("too hot")
        frequency_mhz = _number(reading, "frequency_mhz")
        share = _number(reading, "frequency_share")
        if _below(frequency_mhz, fastest.frequency_mhz) or _below(share, fastest.frequency_share):
            found.append(f"processor slowed down below {SLOWED_DOWN:.0%} of its frequency")
        memory_mb = _number(reading, "memory_available_mb")
        if memory_mb is not None and memory_mb < LITTLE_MEMORY_MB:
            found.append(f"less than {LITTLE_MEMORY_MB} MB of memory left")
        if reading.get("gpu_throttled", "no") not in ("no", None):
            found.append(f"GPU held back: {reading['gpu_throttled']}")
        if _number(reading, "gpu_other_processes"):
            found.append("other programs used the GPU")
        if reading.get("throttled", "no") not in ("no", None):
            found.append(f"board held back: {reading['throttled']}")
    others = _number(readings[-1], "other_cpus") if readings else None
    if clock in ("wall", "net", "gross") and others is not None and others > OTHER_CPUS:
        found.append(f"other programs used more than {OTHER_CPUS:g} processors")
    return tuple(dict.fromkeys(found))


def _highest(readings: Sequence[Conditions], name: str) -> float | None:
    found = [_number(reading, name) for reading in readings]
    return max((value for value in found if value is not None), default=None)


def _below(value: float | None, highest: float | None) -> bool:
    return value is not None and highest is not None and value < SLOWED_DOWN * highest


def waited(values: Mapping[str, Sequence[int]]) -> bool:
    """Whether the thread waited for its processor: wall time well above CPU time."""
    if "thread" not in values:
        return False
    return ran_with_waiting(sum(values["wall"]), sum(values["thread"]), len(values["wall"]))


def ran_with_waiting(wall_ns: int, thread_ns: int, runs: int = 1) -> bool:
    """Whether runs took well longer than their CPU time, and not just by what clocks cost."""
    return wall_ns > WALL_OVER_CPU * thread_ns and wall_ns - thread_ns > CLOCKS_COST_NS * runs


def _number(conditions: Conditions, name: str) -> float | None:
    value = conditions.get(name)
    return float(value) if isinstance(value, int | float) else None
