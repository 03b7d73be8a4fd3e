"""What a device says of itself around the visits, and what makes numbers doubtful."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mode
from typing import Any

import numpy as np

Conditions = dict[str, float | str | None]

OTHER_SHARE = 1 / 8  # of the machine that other programs may use: they share memory and clocks
OTHER_SHARE_HERE = 1 / 4  # of the processors that ours stays on: they take turns with it
OTHER_CPUS = 0.25  # as older versions judged, which read no shares
OTHER_PROGRAMS = "other programs used the processors"
SLOWED_DOWN = 0.9  # of the highest frequency seen
TURBO_SHARE = 0.1  # of the readings, about, that a moment of turbo may have been in
LITTLE_MEMORY_MB = 256
WALL_OVER_CPU = 1.1
THROTTLING = 2  # Android's thermal status "moderate"
NORMAL_IF_USUAL = ("power cap", "sync boost", "display clocks")  # how some GPUs always run
UNKNOWN = "unknown"
SETTINGS = {  # what somebody may change while we measure, by the names of conditions
    "governor": "governor",
    "power_mode": "power mode",
    "jetson_clocks": "locked clocks",
    "gpu_power_limit": "GPU power limit",
    "gpu_application_clocks": "GPU application clocks",
    "charging": "charging",
    "max_temperature_c": "temperature",  # whether it could be checked
}
GUARDS = {  # what is watched around visits, and the conditions that tell it: any of them
    "temperature": ("temperature_c",),
    "thermal status": ("thermal_status",),
    "clock of the processors": ("frequency_mhz", "frequency_share"),
    "free memory": ("memory_available_mb",),
    "other programs": ("other_cpus",),
    "temperature of the GPU": ("gpu_temperature_c",),
    "clock of the GPU": ("gpu_clock_mhz",),
    "whether the GPU is held back": ("gpu_throttled",),
    "other programs on the GPU": ("gpu_other_processes",),
}
CHANGED = "conditions_changed"  # the facts of a campaign
NOT_TOLD = "conditions_unknown"
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

    def checked(self, conditions: Conditions) -> Conditions:
        """With whether the limit could be checked, where there is one: "checked" or "unknown"."""
        if self.max_temperature_c is None or not conditions:
            return conditions
        is_known = _number(conditions, sensor_of(conditions)) is not None
        return conditions | {"max_temperature_c": "checked" if is_known else UNKNOWN}

    def unheld(self, conditions: Conditions) -> str | None:
        """What to say of a limit that cannot be checked."""
        if self.checked(conditions).get("max_temperature_c") != UNKNOWN:
            return None
        return (
            f"no sensor of the device tells its {sensor_of(conditions)}: max_temperature_c = "
            f"{self.max_temperature_c:g} is not held"
        )


def sensor_of(conditions: Conditions) -> str:
    """The temperature of what does the work."""
    return "gpu_temperature_c" if "gpu_temperature_c" in conditions else "temperature_c"


def unknown_in(readings: Sequence[Conditions]) -> tuple[str, ...]:
    """What was asked for and nothing reported in any reading: no visit could be doubted for it."""
    asked = {name for reading in readings for name in reading}
    reported = {name for name in asked if _reported(readings, name)}
    return tuple(
        what for what, by in GUARDS.items() if not asked.isdisjoint(by) and reported.isdisjoint(by)
    )


@dataclass(frozen=True)
class Fastest:
    """How fast the device was seen to run, or to be allowed to; None where nothing tells."""

    frequency_mhz: float | None = None  # of the CPUs that do the work
    frequency_share: float | None = None  # the kernel's limit for them, of what they can
    gpu_clock_mhz: float | None = None
    gpu_throttled: str = "no"  # as usual

    @classmethod
    def of(cls, readings: Sequence[Conditions]) -> "Fastest":
        throttled = _reported(readings, "gpu_throttled")
        return cls(
            _fastest(_numbers(readings, "frequency_mhz")),
            max(_numbers(readings, "frequency_share"), default=None),
            _fastest(_numbers(readings, "gpu_clock_mhz")),
            mode(throttled) if throttled else "no",
        )

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

    def held_back(self, reading: Conditions) -> str:
        """Why the GPU was held back, less what it is all along by its power limit and the like."""
        usual = set(self.gpu_throttled.split(", ")).intersection(NORMAL_IF_USUAL)
        reasons = str(reading.get("gpu_throttled") or "no").split(", ")
        return ", ".join(each for each in reasons if each != "no" and each not in usual)


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
        if reasons := fastest.held_back(reading):
            found.append(f"GPU held back: {reasons}")
        if _number(reading, "gpu_other_processes"):
            found.append("other programs used the GPU")
        if reading.get("throttled", "no") not in ("no", None):
            found.append(f"board held back: {reading['throttled']}")
    if readings and _others_used_it(readings[-1]):
        found.append(OTHER_PROGRAMS)
    return tuple(dict.fromkeys(found))


def _others_used_it(reading: Conditions) -> bool:
    """Other programs the processors, since the reading before."""
    share, here = _number(reading, "other_share"), _number(reading, "other_share_here")
    if share is None or here is None:
        cpus = _number(reading, "other_cpus")
        return cpus is not None and cpus > OTHER_CPUS
    return share > OTHER_SHARE or here > OTHER_SHARE_HERE


def settings_of(readings: Sequence[Conditions]) -> dict[str, str]:
    """The commonest of each setting; of equally common ones the first."""
    seen = {name: Counter(_reported(readings, name)) for name in SETTINGS}
    return {name: found.most_common(1)[0][0] for name, found in seen.items() if found}


def changed_between(readings: Sequence[Conditions], usual: Mapping[str, str]) -> tuple[str, ...]:
    """Settings that differ from the usual ones: what was measured then was another device."""
    return tuple(
        f"{SETTINGS[name]} was {value}, usually {setting}"
        for name, setting in usual.items()
        for value in dict.fromkeys(_reported(readings, name))
        if value != setting
    )


def changes_in(readings: Sequence[Conditions]) -> dict[str, list[str]]:
    """Settings and limits of a campaign that changed, each with what it was, in that order."""
    seen = {name: list(dict.fromkeys(_reported(readings, name))) for name in SETTINGS}
    if shares := _numbers(readings, "frequency_share"):
        ends = (shares[0], min(shares), shares[-1])
        seen["frequency_share"] = list(dict.fromkeys(f"{share:.0%}" for share in ends))
    return {name: values for name, values in seen.items() if len(values) > 1}


def describe_unknown(campaign: Mapping[str, Any]) -> str:
    """For people: what a campaign's visits could not be doubted for, if anything."""
    limit = (campaign.get("conditions_after") or {}).get("max_temperature_c")
    unheld = ["max_temperature_c could not be checked"] if limit == UNKNOWN else []
    return ", ".join([*campaign.get(NOT_TOLD, ()), *unheld])


def describe_changes(changes: Mapping[str, Sequence[str]]) -> str:
    """For people: "governor performance, then powersave"; nothing where nothing changed."""
    names = SETTINGS | {"frequency_share": "clock limit"}
    return "; ".join(
        f"{names.get(name, name)} {', then '.join(values)}" for name, values in changes.items()
    )


def _reported(readings: Sequence[Conditions], name: str) -> list[str]:
    return [str(reading[name]) for reading in readings if reading.get(name) is not None]


def _numbers(readings: Sequence[Conditions], name: str) -> list[float]:
    found = [_number(reading, name) for reading in readings]
    return [number for number in found if number is not None]


def _fastest(clocks_mhz: Sequence[float]) -> float | None:
    """The upper decile: a first moment of turbo is no measure of all that follows."""
    return float(np.quantile(clocks_mhz, 1 - TURBO_SHARE)) if clocks_mhz else None


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
