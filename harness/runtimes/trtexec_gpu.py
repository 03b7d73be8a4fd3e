"""What a GPU says of itself around trtexec's visits, and while it works in them.

A Jetson tells by tegrastats and the kernel's files, any other GPU by nvidia-smi.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, mode

from harness.runtimes.agent.nvml import throttling
from harness.runtimes.sensors import Conditions
from harness.runtimes.tegrastats import temperatures_c
from harness.transports.plausible import CLOCK_MHZ, TEMPERATURE_C

# The one that CUDA takes first: it counts as nvidia-smi does where CUDA_DEVICE_ORDER says so.
NVIDIA_SMI = 'nvidia-smi -i "$(echo "${CUDA_VISIBLE_DEVICES:-0}" | cut -d , -f 1)"'
# Its clock again and again while trtexec runs, which has let go of it when it has ended. A driver
# that does not know the one name of the reasons knows the other, and else says nothing at all.
WATCH = f"""
clock=
for node in /sys/class/devfreq/*.gpu /sys/class/devfreq/*.g*[0-9]b /sys/class/devfreq/gpu-gpc-*; do
    [ -r "$node/cur_freq" ] && clock=$node/cur_freq && break
done
if [ "$clock" ]; then while cat "$clock"; do sleep 0.1; done; fi
for reasons in ,clocks_throttle_reasons.active ,clocks_event_reasons.active ""; do
    {NVIDIA_SMI} --query-gpu=clocks.sm$reasons --format=csv >/dev/null && break
done
exec {NVIDIA_SMI} -lms 500 --format=csv,noheader,nounits --query-gpu=clocks.sm$reasons
"""
CONDITIONS = {
    "jetson": "timeout 2 tegrastats --interval 100 | head -n 1",
    "gpu": f"{NVIDIA_SMI} --query-gpu=temperature.gpu --format=csv,noheader,nounits",
    "gpu_processes": f"{NVIDIA_SMI} --query-compute-apps=pid --format=csv,noheader && echo told",
}
HERTZ = 1e6  # in a MHz
CPUS = ("cpu", "mcpu", "bcpu")  # sensors of tegrastats; the last two are a TX2's
IDLE = 0x1  # of NVML's reasons: nothing ran


@dataclass(frozen=True)
class Watched:
    """What a GPU said during one visit; None where it did not."""

    clock_mhz: float | None  # the highest: it rests while trtexec starts and ends
    throttled: str | None  # "no", or why it was usually held back


def parse_watched(lines: str) -> Watched:
    """What WATCH printed: a Jetson's lines are Hz, those of nvidia-smi "MHz, reasons".

    What nvidia-smi does not tell stands there in words.
    """
    read = [int(hertz) / HERTZ for hertz in re.findall(r"^(\d{6,12})$", lines, re.MULTILINE)]
    read += [int(mhz) for mhz in re.findall(r"^(\d{1,5})(?:, .*)?$", lines, re.MULTILINE)]
    clocks_mhz = [mhz for mhz in read if CLOCK_MHZ.of(mhz) is not None]
    masks = re.findall(r"^[^,\n]*, 0x([0-9a-fA-F]{1,16})$", lines, re.MULTILINE)
    bits = [int(each, 16) for each in masks]
    at_work = [each for each in bits if not each & IDLE] or bits
    reasons = [throttling(each) for each in at_work]
    return Watched(max(clocks_mhz, default=None), mode(reasons) if reasons else None)


def usual(visits: Sequence[Watched]) -> Conditions:
    """The middle clock, and what was commonly said of throttling; None where nothing worked."""
    clocks_mhz = [visit.clock_mhz for visit in visits if visit.clock_mhz is not None]
    reasons = [visit.throttled for visit in visits if visit.throttled is not None]
    return {
        "gpu_clock_mhz": median(clocks_mhz) if clocks_mhz else None,
        "gpu_throttled": mode(reasons) if reasons else None,
    }


def gpu_conditions(jetson: str, other: str) -> Conditions:
    """Temperatures now, by a line of tegrastats or what nvidia-smi said; None by neither."""
    temperatures = temperatures_c(jetson)
    if temperatures is None:
        return {"gpu_temperature_c": TEMPERATURE_C.of(other)}
    sensors = {name.lower(): celsius for name, celsius in temperatures.items()}
    return {
        "gpu_temperature_c": sensors.get("gpu", sensors.get("tj")),  # the hottest of the chip
        "temperature_c": max((sensors[cpu] for cpu in CPUS if cpu in sensors), default=None),
    }


def other_processes(answer: str) -> int | None:
    """How many programs compute there between visits, when ours has ended."""
    *lines, last = answer.splitlines() or [""]
    pids = [line for line in lines if line.strip() and "No running processes" not in line]
    told = last == "told" and all(pid.strip().isdecimal() for pid in pids)
    return len(pids) if told else None
