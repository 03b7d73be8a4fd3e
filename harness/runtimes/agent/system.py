"""What the system says of itself, and the processors that we stay on."""

import glob
import os
import platform
import time

SHORTEST_S = 0.2  # of a span in which the system's ticks tell how busy processors were


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


class OtherPrograms(object):
    """What they use of the processors."""

    def __init__(self):
        self._marks = [processor_seconds()]

    def cpus(self):
        """How many, since it was asked before, or since longer ago where that is too short to tell.

        None where the system does not tell.
        """
        now, marks = processor_seconds(), self._marks
        if now is None or marks[0] is None:
            return None
        while len(marks) > 1 and now[0] - marks[1][0] >= SHORTEST_S:
            del marks[0]
        passed_s, busy_s, own_s = (now[each] - marks[0][each] for each in range(3))
        marks.append(now)
        return round(max(0.0, busy_s - own_s) / passed_s, 3) if passed_s >= SHORTEST_S else None


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
