"""What an Android phone says of itself: facts, conditions, and which cores are the big ones."""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import DeviceError, TargetFailed, TargetStalled
from harness.runtimes.sensors import Conditions, plausible
from harness.transports.plausible import (
    CLOCK_MHZ,
    CPUS,
    MEMORY_MB,
    TEMPERATURE_C,
    Range,
    one_line,
    whole,
)
from harness.transports.transport import Transport

IDLE_S, DEADLINE_S = 30.0, 60.0
SECTION = "=== "
LONGEST_ANSWER = 4 << 20  # characters; what servers say of their processors are some 100,000
LONGEST_LIST = 4096  # of processors, likewise
KHZ = Range(1, CLOCK_MHZ.highest * 1e3)
MEMORY_KB = Range(0, MEMORY_MB.highest * 1024)
ANY = Range(-1e9, 1e9)
BATTERY_TEMPERATURE, SKIN, CPU = 10, "3", "0"  # tenths of a degree; types of the thermal HAL
NO_DEGREES = ("6", "7", "8")  # of its types: battery voltage, current, and percentage

FACTS = {
    "manufacturer": "getprop ro.product.manufacturer",
    "model": "getprop ro.product.model",
    "soc": "getprop ro.soc.model",
    "platform": "getprop ro.board.platform",
    "android": "getprop ro.build.version.release",
    "build": "getprop ro.build.fingerprint",
    "abi": "getprop ro.product.cpu.abi",
    "serial": "getprop ro.serialno",
    "battery_saver": "settings get global low_power",
}
FREQUENCIES = (
    "for c in /sys/devices/system/cpu/cpu[0-9]*; do echo ${c##*/cpu} "
    + " ".join(
        f"$(cat $c/cpufreq/{name} || echo -)"
        for name in (
            "cpuinfo_max_freq",
            "scaling_max_freq",
            "scaling_cur_freq",
            "scaling_governor",
        )
    )
    + "; done"
)
# Some tenths of a second, so that cores that rested run as fast as they do when networks run.
WORK = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"
CHANGING = ("build", "battery_saver")  # facts that must stay the same during a campaign
CONDITIONS = {name: FACTS[name] for name in CHANGING} | {
    "present": "cat /sys/devices/system/cpu/present",
    "battery": "dumpsys battery",
    "thermal": "dumpsys thermalservice",
    "screen": "dumpsys power | grep mWakefulness=",
    "load": "cat /proc/loadavg",
    "memory": "grep MemAvailable /proc/meminfo",
    "frequencies": FREQUENCIES,
}


def ask(transport: Transport, commands: Mapping[str, str]) -> dict[str, str]:
    """What each command prints, all in one call; nothing where the phone does not know it."""
    script = "; ".join(
        f"echo {shlex.quote(SECTION + name)}; {command} 2>/dev/null"
        for name, command in commands.items()
    )
    argv = ["sh", "-c", script]
    for last in (False, True):
        try:
            finished = transport.run(argv, idle_timeout_s=IDLE_S, deadline_s=DEADLINE_S)
            break
        except TargetStalled:  # perhaps asleep, or restarting
            if last:
                raise
    return sections(finished.text, commands)


def sections(text: str, names: Iterable[str]) -> dict[str, str]:
    """What stands behind each name in the output of such a script; nothing where it does not."""
    answers = dict.fromkeys(names, "")
    for part in f"\n{text}".split(f"\n{SECTION}")[1:]:
        name, _, answer = part.partition("\n")
        if name in answers:
            answers[name] = answer[:LONGEST_ANSWER].strip()
    return answers


def read_facts(transport: Transport) -> dict[str, str]:
    """What may change between campaigns, and `processor`, which may not.

    Raises:
        TargetFailed: it does not say what it is.
    """
    answers = {name: one_line(answer) for name, answer in ask(transport, FACTS).items()}
    facts = {name: answer for name, answer in answers.items() if answer}
    if "model" not in facts:
        raise TargetFailed("the phone does not say what model it is")
    facts["battery_saver"] = _on_or_off(facts.get("battery_saver"))
    chip = facts.get("platform") or facts.get("soc") or "unknown chip"  # Android 12 brought `soc`
    facts["processor"] = f"{facts.get('manufacturer', '')} {facts['model']}, {chip}".strip()
    return facts


def core_mask(transport: Transport, cpus: str) -> str | None:
    """The mask for `taskset`, hexadecimal; None for all cores.

    Args:
        cpus: "any", "big" and "little" (the cores with the highest and the lowest top frequency),
            "one" (the last big one), or a mask.

    Raises:
        DeviceError: the phone does not tell its cores' frequencies.
    """
    if cpus == "any":
        return None
    if cpus.startswith("0x"):
        return cpus[2:]
    answers = ask(transport, {name: CONDITIONS[name] for name in ("frequencies", "present")})
    return choose_cores(answers["frequencies"], answers["present"], cpus)


def choose_cores(frequencies: str, present: str, cpus: str) -> str:
    top_khz = {core.number: core.top_khz for core in _cores(frequencies)}
    there = _listed(present)
    if not top_khz or there - top_khz.keys():
        silent = one_line(", ".join(map(str, sorted(there - top_khz.keys()))), 100) or "any"
        raise DeviceError(
            f"the phone does not tell the frequency of its cores ({silent}), which may be switched "
            f'off: name them by a mask, such as "0xf0", instead of cpus = "{cpus}"'
        )
    wanted = min(top_khz.values()) if cpus == "little" else max(top_khz.values())
    chosen = [core for core, top in top_khz.items() if top == wanted]
    if cpus == "one":
        chosen = [max(chosen)]
    return format(sum(1 << core for core in chosen), "x")


@dataclass(frozen=True)
class _Core:
    number: int
    top_khz: int
    allowed_khz: int | None  # now
    current_khz: int | None
    governor: str


def _cores(answer: str) -> list[_Core]:
    """Those that tell at least how fast they can be."""

    found = []
    for row in [line.split() for line in answer.splitlines()]:
        if len(row) != 5:
            continue
        number, top_khz = whole(row[0], CPUS), whole(row[1], KHZ)
        if number is not None and top_khz is not None:
            found.append(_Core(number, top_khz, whole(row[2], KHZ), whole(row[3], KHZ), row[4]))
    return found


def _listed(text: str) -> set[int]:
    """What the system means by "0-3,7".

    Raises:
        DeviceError: it names processors that cannot be.
    """
    found: set[int] = set()
    for first, last in re.findall(r"([0-9]+)(?:-([0-9]+))?", text[:LONGEST_LIST]):
        lowest, highest = whole(first, CPUS), whole(last or first, CPUS)
        if lowest is None or highest is None:
            raise DeviceError(
                f"the phone tells of processors that cannot be, {one_line(text, 100)!r}: name the "
                'cores by a mask, such as cpus = "0xf0" in the profile'
            )
        found.update(range(lowest, highest + 1))
    return found


def _on_or_off(setting: str | None) -> str:
    return "on" if setting == "1" else "off"


def read_conditions(transport: Transport, mask: str | None) -> Conditions:
    """Temperatures, thermal status, battery, screen, load, and how fast the cores may run."""
    pinned = f"taskset {mask} " if mask else ""
    at_work = f"{pinned}sh -c {shlex.quote(f'{WORK}; {FREQUENCIES}')}"
    return describe_conditions(ask(transport, CONDITIONS | {"frequencies": at_work}), mask)


def describe_conditions(answers: Mapping[str, str], mask: str | None) -> Conditions:
    rows = re.findall(r"^[ \t]*(\w[\w ]*): (\S+)$", answers["battery"], re.MULTILINE)
    battery = dict(reversed(rows))  # some makers say more behind it, by the same words
    battery_c = ANY.of(battery.get("temperature"))
    skin_c, cpu_c = _temperatures(answers["thermal"])
    if skin_c is None and battery_c is not None:
        skin_c = battery_c / BATTERY_TEMPERATURE
    status = re.search(r"Thermal Status: (\d+)", answers["thermal"])
    sources = [name for name in battery if name.endswith("powered")]
    plugged = [name.removesuffix(" powered") for name in sources if battery[name] == "true"]
    memory_kb = MEMORY_KB.of(word(answers["memory"], 1))
    cores = [core for core in _cores(answers["frequencies"]) if _in_mask(core.number, mask)]
    wakefulness = re.search(r"mWakefulness=(\w+)", answers["screen"])
    values = {
        "temperature_c": skin_c,
        "cpu_temperature_c": cpu_c,
        "thermal_status": status[1] if status else None,
        "battery_percent": battery.get("level"),
        "charging": ", ".join(plugged) or "no" if battery else None,
        "screen": wakefulness[1].lower() if wakefulness else None,
        "load_1m": word(answers["load"], 0),
        "other_cpus": None,
        "memory_available_mb": memory_kb and memory_kb / 1024,
        "frequency_share": min(
            (core.allowed_khz / core.top_khz for core in cores if core.allowed_khz), default=None
        ),
        "frequency_mhz": _clock_mhz(cores),
        "governor": ", ".join(sorted({core.governor for core in cores})) or None,
        "build": answers["build"] or None,
        "battery_saver": _on_or_off(answers["battery_saver"]) if answers["battery_saver"] else None,
    }
    return plausible(values)


def word(answer: str, number: int) -> str | None:
    """Counted from 0; None where it has fewer."""
    words = answer.split(maxsplit=number + 1)
    return words[number] if len(words) > number else None


def _clock_mhz(cores: Sequence[_Core]) -> float | None:
    """The fastest core's; None where they are of several kinds, as the fast ones may rest."""
    several = len({core.top_khz for core in cores}) > 1
    clocks_khz = [core.current_khz for core in cores if core.current_khz and not several]
    return max(clocks_khz, default=0) / 1000 or None


def _temperatures(thermal: str) -> tuple[float | None, float | None]:
    """The hottest of the skin's and of the processors' sensors.

    Only "current" ones: "cached" ones may be hours old. Some makers number the types otherwise than
    Android does, so that a sensor's name counts before its type; absent ones say -99.9 or the like.
    """
    _, _, current = thermal.partition("Current temperatures from HAL")
    current = current.partition("Current cooling devices")[0]
    found: dict[str, list[float]] = {"skin": [], "cpu": []}
    sensors = re.findall(r"mValue=(-?[\d.]+), mType=(-?\d+), mName=([^,}]*)", current)
    for value, kind, name in sensors:
        if kind in NO_DEGREES:
            continue
        words = [word for word in ("skin", "cpu", "battery", "gpu", "usb") if word in name.lower()]
        place = words[0] if words else {SKIN: "skin", CPU: "cpu"}.get(kind)
        celsius = TEMPERATURE_C.of(value)
        if place in found and celsius is not None:
            found[place].append(celsius)
    return max(found["skin"], default=None), max(found["cpu"], default=None)


def _in_mask(core: int, mask: str | None) -> bool:
    return mask is None or bool(int(mask, 16) >> core & 1)
