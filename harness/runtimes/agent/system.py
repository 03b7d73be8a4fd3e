"""What the system says of itself, and the processors that we stay on."""

import glob
import os
import platform
import re
import time

LARGEST = 1e18  # number of a file of the kernel; it tells bytes, ticks or Hz
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
    """The first number of a line; None without one."""
    for word in (read_line(path, start) or "").split():
        try:
            number = float(word)
        except ValueError:
            continue
        if abs(number) <= LARGEST:  # neither infinite nor NaN
            return number / divisor
    return None


def memory_mb():
    """Resident memory of this process, whose peak begins anew; None where the system tells none."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        return None
    return read_number("/proc/self/status", 1024, "VmRSS")


def peak_memory_mb():
    """The most resident memory since."""
    return read_number("/proc/self/status", 1024, "VmHWM")


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
    kinds = set()
    for core in re.split(r"^processor\s*:", cpuinfo, flags=re.MULTILINE):
        found = [re.search(r"^(%s)\s*: *(.+)$" % name, core, re.MULTILINE) for name in NUMBERS]
        kinds.add(" ".join(" ".join(each.groups()) for each in found if each))
    return " + ".join(sorted(kinds - {""})).replace("CPU ", "")


def processor_seconds():
    """The time of day, and the busy seconds of all processors, of those that we stay on, and ours.

    Ours are those of who started us, too.
    """
    try:
        ticks = os.sysconf("SC_CLK_TCK")
        busy = _busy_ticks()
        stay = ["cpu%d" % cpu for cpu in working_cpus()]
        here = sum(busy[cpu] for cpu in stay) if busy.keys() >= set(stay) else busy["cpu"]
        own = time.clock_gettime(2) + _parents_ticks() / ticks
        return time.time(), busy["cpu"] / ticks, here / ticks, own
    except (ArithmeticError, AttributeError, KeyError, OSError, ValueError):
        return None


def _parents_ticks():
    """0 where it cannot be seen, as from inside a container."""
    line = read_line("/proc/%d/stat" % os.getppid()) or ""
    words = line.rpartition(")")[2].split()[11:13]
    return sum(int(word) for word in words)


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
        passed_s, busy_s, here_s, own_s = (now[each] - marks[0][each] for each in range(4))
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
        last = self._marks[-1]
        self._marks = [
            tuple(mark[each] + now[each] - last[each] for each in range(4)) for mark in self._marks
        ]


def charging(folders="/sys/class/power_supply/*"):
    """Whether a laptop runs on mains power, "yes" or "no"; None where nothing tells.

    Where there are only USB ports they tell what is plugged in, not what the computer runs on.
    Batteries of mice and the like (of a "Device") are not the computer's.
    """
    kinds = {folder: read_line(os.path.join(folder, "type")) for folder in glob.glob(folders)}
    own = [
        kind
        for folder, kind in kinds.items()
        if read_line(os.path.join(folder, "scope")) != "Device"
    ]
    if not {"Battery", "Mains"}.intersection(own):
        return None
    supplies = [folder for folder, kind in kinds.items() if kind in ("Mains", "USB")]
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
