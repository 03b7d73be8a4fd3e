"""What a device says of itself around the visits, and what makes numbers doubtful."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

Conditions = dict[str, float | str | None]

OTHER_CPUS = 0.25  # processors that other programs may use
OTHER_PROGRAMS = f"other programs used more than {OTHER_CPUS:g} processors"
SLOWED_DOWN = 0.9  # of the highest frequency seen
LITTLE_MEMORY_MB = 256
WALL_OVER_CPU = 1.1
THROTTLING = 2  # Android's thermal status "moderate"
SETTINGS = {  # what somebody may change while we measure, by the names of conditions
    "governor": "governor",
    "power_mode": "power mode",
    "jetson_clocks": "locked clocks",
    "gpu_power_limit": "GPU power limit",
    "gpu_application_clocks": "GPU application clocks",
    "charging": "charging",
}
CHANGED = "conditions_changed"  # the fact of a campaign
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
    """How fast the device was seen to run, or to be allowed to; None where nothing tells."""

    frequency_mhz: float | None = None  # of the CPUs that do the work
    frequency_share: float | None = None  # the kernel's limit for them, of what they can
    gpu_clock_mhz: float | None = None

    @classmethod
    def of(cls, readings: Sequence[Conditions]) -> "Fastest":
        return cls(**{field.name: _highest(readings, field.name) for field in fields(cls)})

    def slowed_down(self, reading: Conditions) -> tuple[str, ...]:
        """Whether the processor or the GPU was clearly slower than that."""
        found = []
        share, highest_share = _number(reading, "frequency_share"), self.frequency_share
        frequency_mhz = _number(reading, "frequency_mhz")
        if _below(frequency_mhz, self.frequency_mhz) or _below(share, highest_share):
            found.append(f"processor slowed down below {SLOWED_DOWN:.0%} of its frequency")
        if _below(_number(reading, "gpu_clock_mhz"), self.gpu_clock_mhz):
            found.append(f"GPU slowed down below {SLOWED_DOWN:.0%} of its clock")
        return tuple(found)


def doubts_between(
    readings: Sequence[Conditions], fastest: Fastest, limits: Limits
) -> tuple[str, ...]:
    """Reasons to doubt all that was measured between these readings, by whichever clock.

    Other programs lengthen wall time by the time that they are given; and CPU time, as they share
    caches, memory and clocks with us; and a GPU's, as its kernels are launched by a processor.
    """
    found: list[str] = []
    for reading in readings:
        if limits.too_hot(reading):
            found.append("too hot")
        found += fastest.slowed_down(reading)
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
    if others is not None and others > OTHER_CPUS:
        found.append(OTHER_PROGRAMS)
    return tuple(dict.fromkeys(found))


def settings_of(readings: Sequence[Conditions]) -> dict[str, str]:
    """The commonest of each setting; of equally common ones the first."""
    seen = {name: Counter(_told(readings, name)) for name in SETTINGS}
    return {name: found.most_common(1)[0][0] for name, found in seen.items() if found}


def changed_between(readings: Sequence[Conditions], usual: Mapping[str, str]) -> tuple[str, ...]:
    """Settings that differ from the usual ones: what was measured then was another device."""
    return tuple(
        f"{SETTINGS[name]} was {told}, usually {setting}"
        for name, setting in usual.items()
        for told in dict.fromkeys(_told(readings, name))
        if told != setting
    )


def changes_in(readings: Sequence[Conditions]) -> dict[str, list[str]]:
    """Settings and limits of a campaign that changed, each with what it was, in that order."""
    seen = {name: list(dict.fromkeys(_told(readings, name))) for name in SETTINGS}
    found = [_number(reading, "frequency_share") for reading in readings]
    if shares := [share for share in found if share is not None]:
        ends = (shares[0], min(shares), shares[-1])
        seen["frequency_share"] = list(dict.fromkeys(f"{share:.0%}" for share in ends))
    return {name: told for name, told in seen.items() if len(told) > 1}


def describe_changes(changes: Mapping[str, Sequence[str]]) -> str:
    """For people: "governor performance, then powersave"; nothing where nothing changed."""
    names = SETTINGS | {"frequency_share": "clock limit"}
    return "; ".join(
        f"{names.get(name, name)} {', then '.join(told)}" for name, told in changes.items()
    )


def _told(readings: Sequence[Conditions], name: str) -> list[str]:
    return [str(reading[name]) for reading in readings if reading.get(name) is not None]


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
