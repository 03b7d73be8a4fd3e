"""A line of `tegrastats`, the monitor of Jetson boards, from TX1 to Orin.

What is in it differs by board, by release and by whether root asks. Its words are explained in the
Jetson Linux Developer Guide, "tegrastats Utility".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from harness.transports.told import CLOCK_MHZ, TEMPERATURE_C

LONGEST_LINE = 5_000
NO_SENSOR = "PMIC"  # says 100 or 50 for ever
NO_RAILS = ("NC", "RAM", "SWAP", "IRAM")  # not connected; memory in a line that was cut off
_NUMBER = r"\d{1,9}"
_RAM = re.compile(rf"\bRAM ({_NUMBER})/({_NUMBER})MB\b")
_CPUS = re.compile(rf"\b(?:CPU|cpu) \[([^\]]*)\](?:@({_NUMBER}))?")
_CPU = re.compile(rf"({_NUMBER})%(?:@({_NUMBER}))?")
_UNIT = r"\b{}(?:_FREQ)? (?:({})%)?(?:@(?:({})|\[([\d,]{{1,99}})\]))?(?=\s|$)"
_MEMORY = re.compile(_UNIT.format("EMC", _NUMBER, _NUMBER))
_GPU = re.compile(_UNIT.format("GR3D", _NUMBER, _NUMBER))
_CELSIUS = r"-?\d{1,4}(?:\.\d{1,9})?"
# Since JetPack 7.2 a sensor tells its peak, too, and a rail: now/average/peak.
_SENSOR = re.compile(rf"\b([A-Za-z]\w*)@({_CELSIUS})C(?:/{_CELSIUS}C)?(?=\s|$)")
_RAIL = re.compile(
    rf"\b([A-Za-z]\w*) ({_NUMBER})(?:mW)?/({_NUMBER})(?:mW)?(?:/{_NUMBER}(?:mW)?)?(?=\s|$)"
)


@dataclass(frozen=True)
class Unit:
    """A core, the memory controller or the GPU; None where the line does not tell."""

    load_percent: float | None
    mhz: float | None  # of the fastest part, where there are several


@dataclass(frozen=True)
class Power:
    """What a rail delivers, mW."""

    now_mw: float
    average_mw: float  # since tegrastats was started


@dataclass(frozen=True)
class Tegrastats:
    """One line."""

    ram_used_mb: float
    ram_total_mb: float
    cpus: tuple[Unit | None, ...]  # None: switched off
    memory: Unit | None  # None where the line does not have it
    gpu: Unit | None
    temperatures_c: Mapping[str, float]  # by sensor, without those that are off
    power_mw: Mapping[str, Power]  # by rail


def parse_line(line: str) -> Tegrastats | None:
    """What a whole line says; None where it is none of tegrastats'.

    Give it whole lines: of "VDD_IN 5297/52" nobody can tell that it was cut off.
    """
    ram = _RAM.search(line) if len(line) < LONGEST_LINE else None
    if ram is None:
        return None
    sensors = {name: TEMPERATURE_C.of(value) for name, value in _SENSOR.findall(line)}
    rails = _RAIL.findall(line)
    return Tegrastats(
        ram_used_mb=float(ram[1]),
        ram_total_mb=float(ram[2]),
        cpus=_cpus(line),
        memory=_unit(_MEMORY.search(line)),
        gpu=_unit(_GPU.search(line)),
        temperatures_c={
            name: celsius
            for name, celsius in sensors.items()
            if celsius is not None and name != NO_SENSOR
        },
        power_mw={
            name: Power(float(now), float(average))
            for name, now, average in rails
            if name not in NO_RAILS
        },
    )


def _cpus(line: str) -> tuple[Unit | None, ...]:
    """L4T 28 on a TX1 has one clock for all, behind the bracket."""
    found = _CPUS.search(line)
    if found is None:
        return ()
    cores = [_CPU.fullmatch(core.strip()) for core in found[1].split(",")]
    return tuple(
        Unit(float(core[1]), _mhz(core[2] or found[2])) if core else None for core in cores
    )


def _unit(found: re.Match[str] | None) -> Unit | None:
    if found is None:
        return None
    several = [mhz for clock in (found[3] or "").split(",") if (mhz := _mhz(clock)) is not None]
    load = float(found[1]) if found[1] else None
    return Unit(load, max(several) if several else _mhz(found[2]))


def _mhz(clock: str | None) -> float | None:
    return CLOCK_MHZ.of(clock)
