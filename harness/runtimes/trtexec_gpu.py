"""What a GPU says of itself around trtexec's visits, and while it works in them.

A Jetson tells by tegrastats and the kernel's files, any other GPU by nvidia-smi.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, mode

from harness.runtimes.agent.nvml import throttling
from harness.runtimes.phone import Conditions
from harness.runtimes.tegrastats import parse_line

# Its clock again and again while trtexec runs, which has let go of it when it has ended.
WATCH = """
clock=
for node in /sys/class/devfreq/*.gpu /sys/class/devfreq/*.g*[0-9]b /sys/class/devfreq/gpu-gpc-*; do
    [ -r "$node/cur_freq" ] && clock=$node/cur_freq && break
done
if [ "$clock" ]; then while cat "$clock"; do sleep 0.1; done; fi
exec nvidia-smi -i 0 -lms 500 --format=csv,noheader,nounits \\
    --query-gpu=clocks.sm,clocks_throttle_reasons.active
"""
CONDITIONS = {
    "jetson": "timeout 2 tegrastats --interval 100 | head -n 1",
    "gpu": "nvidia-smi --query-gpu=temperature.gpu,clocks.sm --format=csv,noheader,nounits "
    "| head -n 1",
    "gpu_processes": "nvidia-smi -i 0 --query-compute-apps=pid --format=csv,noheader && echo told",
}
HERTZ = 1e6  # in a MHz


@dataclass(frozen=True)
class Watched:
    """What a GPU said during one visit; None where it did not."""

    clock_mhz: float | None  # the highest: it rests while trtexec starts and ends
    throttled: str | None  # "no", or why it was held back


def parse_watched(lines: str) -> Watched:
    """What WATCH printed: a Jetson's lines are Hz, those of nvidia-smi "MHz, reasons"."""
    clocks_mhz, reasons = [], 0
    others = re.findall(r"^(\d{1,6}), 0x([0-9a-fA-F]{1,16})$", lines, re.MULTILINE)
    for mhz, bits in others:
        clocks_mhz.append(float(mhz))
        reasons |= int(bits, 16)
    clocks_mhz += [int(hertz) / HERTZ for hertz in re.findall(r"^(\d{6,12})$", lines, re.MULTILINE)]
    return Watched(max(clocks_mhz, default=None), throttling(reasons) if others else None)


def usual(visits: Sequence[Watched]) -> Conditions:
    """The middle clock, and what was commonly said of throttling; None where nothing worked."""
    clocks_mhz = [visit.clock_mhz for visit in visits if visit.clock_mhz is not None]
    reasons = [visit.throttled for visit in visits if visit.throttled is not None]
    return {
        "gpu_clock_mhz": median(clocks_mhz) if clocks_mhz else None,
        "gpu_throttled": mode(reasons) if reasons else None,
    }


def gpu_conditions(jetson: str, other: str) -> Conditions:
    """Temperature and clock now, by a line of tegrastats or of nvidia-smi; None by neither."""
    line = parse_line(jetson)
    if line is not None:
        sensors = {name.lower(): celsius for name, celsius in line.temperatures_c.items()}
        clock_mhz = line.gpu.mhz if line.gpu else None
        return {"gpu_temperature_c": sensors.get("gpu"), "gpu_clock_mhz": clock_mhz}
    found = re.fullmatch(r"(\d{1,4}), (\d{1,6})", other)
    temperature_c, mhz = (float(found[1]), float(found[2])) if found else (None, None)
    return {"gpu_temperature_c": temperature_c, "gpu_clock_mhz": mhz}


def other_processes(answer: str) -> int | None:
    """How many programs compute there between visits, when ours has ended."""
    *pids, last = answer.splitlines() or [""]
    return len(pids) if last == "told" else None
