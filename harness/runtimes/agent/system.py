"""What the system says of itself, and the processors that we stay on."""

import glob
import os
import platform
import time


def read_line(path, start=""):
    """The first line of a file of /proc or /sys that begins with `start`; None without one."""
    try:
        with open(path) as file:
            for line in file:
                if line.startswith(start):
                    return line.strip()
    except (OSError, UnicodeDecodeError):
        pass
    return None


def read_number(path, divisor, start=""):
    line = read_line(path, start)
    words = [word for word in (line or "").split() if word.lstrip("-").replace(".", "").isdigit()]
    return float(words[0]) / divisor if words else None


def processor():
    """The processor's name as the system gives it."""
    line = read_line("/proc/cpuinfo", "model name") or read_line("/proc/cpuinfo", "Model")
    name = line.split(":", 1)[1].strip() if line else platform.processor() or "unknown processor"
    return "%s, %s, %s processors" % (name, platform.machine(), os.cpu_count())


def processor_seconds():
    """The time of day, and the processors' busy seconds in all and for us (and who started us)."""
    try:
        ticks = os.sysconf("SC_CLK_TCK")
        words = read_line("/proc/stat", "cpu ").split()[1:]
        busy = sum(int(word) for word in words[:3] + words[5:8])  # not idle, not waiting for disks
        with open("/proc/%d/stat" % os.getppid()) as file:
            parent = file.read().rpartition(")")[2].split()[11:13]
        own = time.clock_gettime(2) * ticks + int(parent[0]) + int(parent[1])
    except (AttributeError, OSError, ValueError, IndexError):
        return None
    return time.time(), busy / ticks, own / ticks


def other_cpus(before, after):
    """How many processors other programs used in between; None where that is too short to tell."""
    if before is None or after is None or after[0] - before[0] < 0.2:
        return None
    busy, own = after[1] - before[1], after[2] - before[2]
    return round(max(0.0, busy - own) / (after[0] - before[0]), 3)


def charging(folders="/sys/class/power_supply/*"):
    """Whether a laptop runs on mains power, "yes" or "no"; None where nothing tells."""
    supplies = [
        folder
        for folder in glob.glob(folders)
        if read_line(os.path.join(folder, "type")) in ("Mains", "USB")
    ]
    online = [read_line(os.path.join(folder, "online")) for folder in supplies]
    told = [each for each in online if each is not None]
    return None if not told else "no" if set(told) == {"0"} else "yes"


def pin(cpus):
    """Stay on the processors named: "any", "one" (the last that we may use), or a hex mask."""
    if cpus == "any" or not hasattr(os, "sched_setaffinity"):
        return
    allowed = os.sched_getaffinity(0)
    if cpus == "one":
        chosen = {max(allowed)}
    else:
        mask = int(cpus, 16)
        chosen = {number for number in range(mask.bit_length()) if mask >> number & 1}
        if not chosen or not chosen <= allowed:
            raise ValueError("cpus = %r names processors that are not here" % (cpus,))
    os.sched_setaffinity(0, chosen)
