"""How fast processors and GPU run while they work, and how fast they may run.

An idle core's momentary clock tells nothing of the work, nor does that of another core (on
big.LITTLE of another kind): we read those of the cores that we stay on, right after visits.
"""

import statistics
import time

import system

READ_EVERY_S = 0.05  # at most, so that reading takes no time from visits
SAME_KIND = 0.9  # of the top clock: cores of one kind differ by less
CPU = "/sys/devices/system/cpu/cpu%d/cpufreq/%s"


class WorkClocks(object):
    """What is read after visits, until somebody asks."""

    def __init__(self, gpu=None, cpu_file=CPU):
        self._gpu = gpu
        self._cpu_file = cpu_file
        self._cpus = system.working_cpus()
        self._due_s = 0.0
        self._cpu_mhz, self._gpu_mhz, self._gpu_throttled = [], [], []

    def note(self):
        """To be called right after work."""
        if time.monotonic() < self._due_s:
            return
        self._cpu_mhz.append(self._cpu_now_mhz())
        if self._gpu is not None:
            self._gpu_mhz.append(self._gpu.clock_mhz())
            self._gpu_throttled.append(self._gpu.throttled())
        self._due_s = time.monotonic() + READ_EVERY_S

    def conditions(self):
        """The middle clocks since it was last asked; None where nothing has worked since."""
        found = {
            "frequency_mhz": _middle(self._cpu_mhz),
            "frequency_share": self._cpu_share(),
            "governor": ", ".join(sorted(set(self._lines("scaling_governor")))) or None,
        }
        if self._gpu is not None:
            found["gpu_clock_mhz"] = _middle(self._gpu_mhz)
            reasons = [each for each in self._gpu_throttled if each is not None]
            if reasons:  # the usual one: some microseconds at the power limit are no news
                found["gpu_throttled"] = max(reasons, key=reasons.count)
        self._cpu_mhz, self._gpu_mhz, self._gpu_throttled = [], [], []
        return found

    def _cpu_now_mhz(self):
        """The fastest core's; None where cores are of several kinds, as one of them may idle."""
        top = self._numbers("cpuinfo_max_freq")
        if top and min(top) < SAME_KIND * max(top):
            return None
        return max(self._numbers("scaling_cur_freq"), default=None)

    def _cpu_share(self):
        """How fast the slowest may run by the kernel's limit, which heat lowers, of what it can."""
        shares = []
        for cpu in self._cpus:
            limit = self._number(cpu, "scaling_max_freq")
            top = self._number(cpu, "cpuinfo_max_freq")
            if limit and top:
                shares.append(limit / top)
        return min(shares, default=None)

    def _lines(self, name):
        lines = [system.read_line(self._cpu_file % (cpu, name)) for cpu in self._cpus]
        return [line for line in lines if line]

    def _numbers(self, name):
        numbers = [self._number(cpu, name) for cpu in self._cpus]
        return [number for number in numbers if number is not None]

    def _number(self, cpu, name):
        return system.read_number(self._cpu_file % (cpu, name), 1000)


def _middle(clocks_mhz):
    told = [each for each in clocks_mhz if each is not None]
    return statistics.median(told) if told else None
