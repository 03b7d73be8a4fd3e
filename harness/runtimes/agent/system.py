"""What the system says of itself, and the processors that we stay on."""

import glob
import os
import platform
import re
import time

SHORTEST_S = 0.2  # of a span in which the system's ticks tell how busy processors were
# Lines of /proc/cpuinfo that tell processors apart which have no name: Arm's, RISC-V's, POWER's.
NUMBERS = (
    *("CPU implementer", "CPU part", "CPU variant", "CPU revision"),
    *("uarch", "mvendorid", "marchid", "mimpid", "cpu"),
)


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


def processor(cpuinfo="/proc/cpuinfo", model="/proc/device-tree/model"):
    """The processor's name as the system gives it, or what tells it from others without a name."""
    try:
        with open(cpuinfo) as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        text = ""
    board = (read_line(model) or "").strip("\0")
    unnamed = ", ".join(each for each in (board, processor_numbers(text)) if each)
    name = processor_name(text) or unnamed or platform.processor() or "unknown processor"
    return "%s, %s, %s processors" % (name, platform.machine(), os.cpu_count())


def processor_name(cpuinfo):
    """None where it has none: Arm's kernels tell none, or one that all of an architecture share."""
    named = re.findall(r"^model name\s*: *(\S.*)$", cpuinfo, re.MULTILINE)
    named += re.findall(r"^Model[^:\n]*: *(\S.*)$", cpuinfo, re.MULTILINE)  # of a Raspberry Pi
    return next((name for name in named if not re.match(r"ARMv\d+ Processor", name)), None)


def processor_numbers(cpuinfo):
    """The numbers of each kind of core, as their makers have given them."""
    columns = [re.findall(r"^%s\s*: *(.+)$" % name, cpuinfo, re.MULTILINE) for name in NUMBERS]
    told = [(name, column) for name, column in zip(NUMBERS, columns) if column]
    kinds = set(zip(*(column for _, column in told)))
    return " + ".join(
        " ".join("%s %s" % (name.replace("CPU ", ""), each) for (name, _), each in zip(told, kind))
        for kind in sorted(kinds)
    )


def processor_seconds():
    """The time of day, and the busy seconds of all processors, of those that we stay on, and ours.

    Ours are those of who started us, too.
    """
    try:
        ticks = os.sysconf("SC_CLK_TCK")
        busy = _busy_ticks()
        stay = [busy["cpu%d" % cpu] for cpu in working_cpus()]
        with open("/proc/%d/stat" % os.getppid()) as file:
            parent = file.read().rpartition(")")[2].split()[11:13]
        own = time.clock_gettime(2) * ticks + int(parent[0]) + int(parent[1])
    except (AttributeError, KeyError, OSError, ValueError, IndexError):
        return None
    return time.time(), busy["cpu"] / ticks, sum(stay) / ticks, own / ticks


def _busy_ticks():
    """Of all ("cpu") and of each ("cpu0"): not idle, not waiting for disks."""
    busy = {}
    with open("/proc/stat") as file:
        for line in file:
            if line.startswith("cpu"):
                name, *words = line.split()
                busy[name] = sum(int(word) for word in words[:3] + words[5:8])
    return busy


def working_cpus():
    """The processors that we stay on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


class OtherPrograms(object):
    """What they use of the processors."""

    def __init__(self):
        self._marks = [processor_seconds()]

    def conditions(self):
        """Since it was asked before, or since longer ago where that is too short to tell.

        How many processors, and which share of the machine and of those that we stay on (where all
        of our own time counts as spent there). None where the system does not tell.
        """
        now, marks = processor_seconds(), self._marks
        silent = dict.fromkeys(("other_cpus", "other_share", "other_share_here"))
        if now is None or marks[0] is None:
            return silent
        while len(marks) > 1 and now[0] - marks[1][0] >= SHORTEST_S:
            del marks[0]
        passed_s, busy_s, here_s, own_s = (end - start for end, start in zip(now, marks[0]))
        marks.append(now)
        if passed_s < SHORTEST_S:
            return silent
        others, here = (max(0.0, each - own_s) / passed_s for each in (busy_s, here_s))
        return {
            "other_cpus": round(others, 3),
            "other_share": round(others / os.cpu_count(), 3),
            "other_share_here": round(here / len(working_cpus()), 3),
        }

    def leave_out(self):
        """What was done since it was asked does not count: it was done for us."""
        now = processor_seconds()
        if now is None or self._marks[0] is None:
            return
        passed = [end - start for end, start in zip(now, self._marks[-1])]
        self._marks = [tuple(map(sum, zip(mark, passed))) for mark in self._marks]


def charging(folders="/sys/class/power_supply/*"):
    """Whether a laptop runs on mains power, "yes" or "no"; None where nothing tells.

    A computer without a battery runs on mains power, whatever its USB ports say: they tell of what
    is plugged in. Batteries of mice and the like ("Device") are not the computer's.
    """

    def is_there(folder, kinds):
        scope = read_line(os.path.join(folder, "scope"))
        return read_line(os.path.join(folder, "type")) in kinds and scope != "Device"

    found = glob.glob(folders)
    if not any(is_there(folder, ("Battery",)) for folder in found):
        return None
    supplies = [folder for folder in found if is_there(folder, ("Mains", "USB"))]
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
