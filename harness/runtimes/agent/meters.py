"""What a network costs on this machine: energy counters, and the facts and conditions beside them.

It runs on the target: one file, Python 3.6, standard library only. As careful as Zeus (PyPI `zeus`,
github.com/ml-energy/zeus), which cannot be installed there: counters that wrap around, counters
that are refreshed only now and then, none at all. Where there is none there is no meter, never 0.

All functions take the GPU that networks run on, or None: that of NVML (nvml.py) or a Jetson's own.
"""

import contextlib
import glob
import json
import os
import re
import threading
import time

SHORTEST_PERIODS = 10  # of a window: the ends are then at most a tenth of it
PROBE_S = 0.5  # at most, to find how often a counter is refreshed
PROBE_STEPS = 11
GPU_POWER_MS = 100  # where the refreshing of a GPU's power cannot be seen (as Zeus takes it)
RAIL_MS = 20  # between two readings of a Jetson's rails, each some I2C transfers
MOST_WATTS = 1000  # of one processor package (as Zeus takes it)
COLDEST_C, HOTTEST_C = -40, 200  # a Jetson's sensor that is off says -256; solder melts at 217
LONGEST_FILE, LONGEST_NUMBER = 1 << 20, 20  # characters; the kernel's counters have 64 bits
ALIKE_OF = 20  # looks at the counters of dies, of which most tell
LOOK_S = 0.01  # between two of them

# Which rails make up a Jetson, by their names: those that come first and are all there.
BOARD_RAILS = (
    # The module's input: TX1, TX2, Xavier NX, Orin NX, Orin Nano (forums.developer.nvidia.com
    # 200883: "VDD_IN is the total power of module").
    ("VDD_IN",),
    # The same on Nano (Jetson Linux Developer Guide r32, "Power Management for Jetson Nano").
    ("POM_5V_IN",),
    # AGX Xavier has six supplies side by side and none for all (its Product Design Guide, 5.6.2).
    ("GPU", "CPU", "SOC", "CV", "VDDRQ", "SYS5V"),
    # AGX Orin (sensors: tegra234-p3701.dtsi of Linux). Most who measure it leave out the fourth,
    # VDDQ_VDD2_1V8AO, as fed by VIN_SYS_5V0; we found no document of NVIDIA that says so.
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),
)
# The kernel's names of their clocks: 57000000.gpu, 17000000.gp10b, ..., on Thor gpu-gpc-0.
GPU_NODE = re.compile(r"\.(gpu|gp10b|gv11b|ga10b)$|/gpu-gpc-\d+$")
# Thermal zones by their types, in lower case: of processors, and of the chip that they are in.
CPU_ZONES = "[a-z]?cpu|mtktscpu|big|mid|little|x86_pkg|b0d4"
CHIP_ZONES = "tj|soc|package|bcm2835|imx_thermal"  # `tj`: the hottest of a Jetson's
CPU_MONITORS = ("coretemp", "k10temp", "zenpower")  # names of hwmon; AMD has no zones
JETSON_GPUS = {
    "nvidia,tegra210": "NVIDIA Tegra X1 (GM20B)",
    "nvidia,tegra186": "NVIDIA Tegra X2 (GP10B)",
    "nvidia,tegra194": "NVIDIA Xavier (GV11B)",
    "nvidia,tegra234": "NVIDIA Orin (GA10B)",
    "nvidia,tegra264": "NVIDIA Thor (GB10B)",
}


class MeterError(Exception):
    """This window cannot be told; the meter stays usable."""


class CounterMeter(object):
    """An energy counter kept by the hardware, which refreshes it in steps.

    A window begins and ends with a step, so that nothing of a period is guessed: it lasts up to two
    periods longer than the work in it. Subtract idle power times its seconds.
    """

    def __init__(self, name, read_mj, period_ms, longest_s=float("inf")):
        self.name = name
        self.period_ms = period_ms
        self.shortest_s = SHORTEST_PERIODS * period_ms / 1e3
        self.read_mj = read_mj
        self._longest_s = longest_s  # else it may have wrapped around twice
        self._began = None

    def start(self):
        self._began = self._step()

    def stop(self):
        """The window's energy in mJ, and how long it was. Raises MeterError."""
        began_s, began_mj = self._began
        ended_s, ended_mj = self._step()
        seconds = ended_s - began_s
        _check_length(self, seconds)
        if seconds > self._longest_s:
            raise MeterError(
                "a window of %.0f s is too long for %s, which wraps around: at most %.0f s"
                % (seconds, self.name, self._longest_s)
            )
        if ended_mj < began_mj:
            raise MeterError("%s went back: was the driver loaded anew?" % self.name)
        return ended_mj - began_mj, seconds

    def _step(self):
        """Wait for the next step: when it was seen, and the counter then."""
        before = self.read_mj()
        end_s = time.perf_counter() + 0.1 + self.period_ms / 50
        while time.perf_counter() < end_s:
            now_mj, now_s = self.read_mj(), time.perf_counter()
            if now_mj is None:
                break
            if now_mj != before:
                return now_s, now_mj
            time.sleep(self.period_ms / 1e5)
        raise MeterError("%s stands still, or can no longer be read" % self.name)


class PowerMeter(object):
    """Power that a thread of ours reads again and again while a window is open, and sums up."""

    def __init__(self, name, read_mw, period_ms):
        self.name = name
        self.period_ms = period_ms
        self.shortest_s = SHORTEST_PERIODS * period_ms / 1e3
        self._read_mw = read_mw
        self._samples = []
        self._closing = threading.Event()
        self._thread = None

    def start(self):
        self._samples = []
        self._closing.clear()
        self._sample()
        self._thread = threading.Thread(target=self._keep_sampling, daemon=True)
        self._thread.start()

    def stop(self):
        """The window's energy in mJ, and how long it was. Raises MeterError."""
        self._closing.set()
        self._thread.join()
        self._sample()
        samples = self._samples
        seconds = samples[-1][0] - samples[0][0]
        _check_length(self, seconds)
        if len(samples) < SHORTEST_PERIODS:
            raise MeterError("%s was read only %d times" % (self.name, len(samples)))
        if None in [milliwatts for _, milliwatts in samples]:
            raise MeterError("%s can no longer be read" % self.name)
        energy_mj = 0.0
        before_s, before_mw = samples[0]
        for now_s, now_mw in samples[1:]:
            energy_mj += (before_mw + now_mw) / 2 * (now_s - before_s)
            before_s, before_mw = now_s, now_mw
        return energy_mj, seconds

    def _keep_sampling(self):
        if hasattr(os, "sched_setaffinity"):  # not where networks are timed
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, range(os.cpu_count()))
        while not self._closing.wait(self.period_ms / 1e3):
            self._sample()

    def _sample(self):
        milliwatts = self._read_mw()
        self._samples.append((time.perf_counter(), milliwatts))


def _check_length(meter, seconds):
    if seconds < meter.shortest_s:
        raise MeterError(
            "a window of %.3f s is too short for %s, which is refreshed every %.3g ms: at least "
            "%.3g s" % (seconds, meter.name, meter.period_ms, meter.shortest_s)
        )


def open_meter(on_gpu, gpu=None, root="/"):
    """The meter that tells what networks cost here, or None, and why there is none."""
    rails = _rails(root)
    if rails:
        return _rail_meter(rails)
    if not on_gpu:
        return _rapl_meter(root)
    if gpu is None:
        return None, "there is no GPU here whose energy can be read"
    return _gpu_meter(gpu)


def _gpu_meter(gpu):
    if gpu.energy_mj() is not None:
        period_s = refresh_s(gpu.energy_mj)
        if period_s is None:
            return None, "the energy counter of the GPU stands still"
        return CounterMeter("NVML energy", gpu.energy_mj, period_s * 1e3), ""
    if gpu.power_mw() is None:
        return None, "this GPU tells neither its energy nor its power"
    period_ms = (refresh_s(gpu.power_mw) or 0) * 1e3 or GPU_POWER_MS
    return PowerMeter("NVML power", gpu.power_mw, max(period_ms, RAIL_MS)), ""


def _rail_meter(rails):
    for names in BOARD_RAILS:
        if all(name in rails for name in names):

            def read_mw(names=names):
                powers = [_rail_mw(rails[name]) for name in names]
                return None if None in powers else sum(powers)

            if read_mw() is None:
                return None, "the rails %s cannot be read" % ", ".join(names)
            return PowerMeter("rails " + " + ".join(names), read_mw, RAIL_MS), ""
    return None, "which of the rails %s make up the board is not known" % ", ".join(sorted(rails))


def _rapl_meter(root):
    domains = sorted(glob.glob(os.path.join(root, "sys/class/powercap/intel-rapl:*")))
    names = {folder: _text(folder, "name") or "" for folder in domains}
    packages = [each for each in domains if names[each].startswith("package")]  # not dram, psys
    packages = _without_mirrors(packages, names)
    if not packages:
        return None, "this processor tells no energy (no RAPL in /sys/class/powercap)"
    rapl = Rapl(packages)
    if rapl.energy_mj() is None:
        return None, "only root may read RAPL here (energy_uj in /sys/class/powercap)"
    period_s = refresh_s(rapl.energy_mj)
    if period_s is None:
        return None, "RAPL stands still, as in some virtual machines"
    name = "RAPL of %d package%s" % (len(packages), "s" * (len(packages) > 1))
    return CounterMeter(name, rapl.energy_mj, period_s * 1e3, rapl.longest_s), ""


def _without_mirrors(folders, names):
    """Each counter once: all dies of a package of AMD's show the package's.

    (codecarbon, issues 1274 and 1379.) Those of different dies are never equal, look after look.
    """
    kept = []
    for folder in folders:
        socket = names[folder].partition("-die-")[0]
        dies = [each for each in kept if names[each].partition("-die-")[0] == socket]
        if not any(_one_counter(folder, each) for each in dies):
            kept.append(folder)
    return kept


def _one_counter(folder, other):
    equal = 0
    for _ in range(ALIKE_OF):
        now_uj = _integer(folder, "energy_uj")
        equal += now_uj is not None and now_uj == _integer(other, "energy_uj")
        time.sleep(LOOK_S)
    return equal > ALIKE_OF / 2


class Rapl(object):
    """The sum of processor packages, whose counters wrap around (Linux: Power Capping Framework).

    AMD's show under Intel's name.
    """

    def __init__(self, folders):
        self._ranges_uj = {folder: _integer(folder, "max_energy_range_uj") for folder in folders}
        ranges_uj = [range_uj for range_uj in self._ranges_uj.values() if range_uj]
        self.longest_s = min(ranges_uj) / 1e6 / MOST_WATTS if ranges_uj else float("inf")
        self._last_uj = {}
        self._last_s = 0.0
        self._sum_uj = 0

    def energy_mj(self):
        """Since it was first asked; None where it cannot be read. Raises MeterError."""
        now_s, now_uj = time.perf_counter(), {}
        for folder in self._ranges_uj:
            now_uj[folder] = _integer(folder, "energy_uj")
        if None in now_uj.values():
            return None
        last_uj, self._last_uj = self._last_uj, now_uj
        passed_s, self._last_s = now_s - self._last_s, now_s
        for folder, before_uj in last_uj.items():
            self._sum_uj += self._growth_uj(folder, before_uj, now_uj[folder], passed_s)
        return self._sum_uj / 1e3

    def _growth_uj(self, folder, before_uj, now_uj, passed_s):
        if now_uj >= before_uj:
            return now_uj - before_uj
        grown_uj = now_uj - before_uj + (self._ranges_uj[folder] or 0)
        if not 0 <= grown_uj <= max(passed_s, 1) * MOST_WATTS * 1e6:
            raise MeterError("RAPL went back and has not wrapped around: was the machine asleep?")
        return grown_uj


def refresh_s(read):
    """The mean time between two changes of what `read` tells; None where it hardly changes."""
    changes_s = []
    last, end_s = read(), time.perf_counter() + PROBE_S
    while len(changes_s) < PROBE_STEPS and time.perf_counter() < end_s:
        now = read()
        if now != last:
            changes_s.append(time.perf_counter())
            last = now
    if len(changes_s) < 3:
        return None
    return (changes_s[-1] - changes_s[0]) / (len(changes_s) - 1)


def _rails(root):
    """A Jetson's INA3221 sensors: by the name of a rail, the files whose product is its power."""
    sensors = os.path.join(root, "sys/bus/i2c/drivers/ina3221*/*")
    rails = {}
    for label in glob.glob(os.path.join(sensors, "iio:device*/rail_name_*")):  # JetPack 4: mW
        folder, number = label.rsplit("/rail_name_", 1)
        rails[_text(label)] = [os.path.join(folder, "in_power%s_input" % number)]
    for label in glob.glob(os.path.join(sensors, "hwmon/hwmon*/in*_label")):  # mV and mA
        volts = label.replace("_label", "_input")
        amperes = os.path.join(os.path.dirname(label), "curr" + os.path.basename(volts)[2:])
        rails[_text(label)] = [volts, amperes]
    return {
        name: files for name, files in rails.items() if name and all(map(os.path.exists, files))
    }


def _rail_mw(files):
    values = [_integer(file) for file in files]
    if None in values:
        return None
    return float(values[0]) if len(values) == 1 else values[0] * values[1] / 1e3


def open_gpu(nvml, bus_id=None, root="/"):
    """The GPU that CUDA takes first, or None, and why there is none; `nvml` is the module.

    A Jetson's own is never asked through NVML, which newer JetPacks have too: it says less there.
    """
    chip = _jetson_chip(root)
    return (JetsonGpu(chip, root), "") if chip else nvml.open_gpu(bus_id)


class JetsonGpu(object):
    """The GPU inside a Jetson, by the kernel's files: its clock and its thermal zone."""

    def __init__(self, chip, root):
        self._chip = chip
        self._root = root
        found = glob.glob(os.path.join(root, "sys/class/devfreq/*"))
        self._clocks = [folder for folder in sorted(found) if GPU_NODE.search(folder)]

    def energy_mj(self):
        """None: only the board's rails tell it, where there are any."""

    def power_mw(self):
        """None, likewise."""

    def facts(self):
        highest_mhz = self._clock_mhz("max_freq")
        facts = {"gpu": JETSON_GPUS[self._chip]}
        if highest_mhz is not None:
            facts["gpu_max_clocks"] = "%g MHz" % highest_mhz
        return facts

    def conditions(self):
        """The same keys as on other GPUs; what a Jetson does not tell is None."""
        known = {
            "gpu_clock_mhz": self.clock_mhz(),
            "gpu_temperature_c": _first_told(
                zone_temperature_c(each, self._root) for each in ("gpu", "tj")
            ),
        }
        silent = ("memory_clock_mhz", "power_w", "state", "throttled", "other_processes")
        return dict({"gpu_" + name: None for name in silent}, **known)

    def clock_mhz(self):
        """Of its cores, now."""
        return self._clock_mhz("cur_freq")

    def throttled(self):
        """None: no Jetson tells it."""

    def _clock_mhz(self, name):
        hertz = _integer(self._clocks[0], name) if self._clocks else None
        return None if hertz is None else hertz / 1e6


def _jetson_chip(root):
    compatible = (_text(root, "proc/device-tree/compatible") or "").split("\0")
    return next((chip for chip in compatible if chip in JETSON_GPUS), None)


def facts(gpu=None, root="/"):
    """For the environment: texts, and only those that are there."""
    found = {} if gpu is None else gpu.facts()
    cuda = os.path.join(root, "usr/local/cuda")
    try:
        version = str(json.loads(_text(cuda, "version.json") or "{}")["cuda"]["version"])
    except (KeyError, RecursionError, TypeError, ValueError):
        older = re.search(r"CUDA Version (\S+)", _text(cuda, "version.txt") or "")
        version = older.group(1) if older else None
    if version:
        found["cuda"] = version
    return found


def conditions(gpu=None, root="/"):
    """Around visits; what the machine does not tell is None."""
    found = {} if gpu is None else gpu.conditions()
    found["cpu_temperature_c"] = cpu_temperature_c(root)
    return found


def cpu_temperature_c(root="/"):
    """The processors', else the chip's that they are in; None where no sensor is called so."""
    found = (
        zone_temperature_c(CPU_ZONES, root),
        _monitor_temperature_c(root),
        zone_temperature_c(CHIP_ZONES, root),
    )
    return _first_told(found)


def zone_temperature_c(start, root="/"):
    """The hottest thermal zone whose type begins so (a pattern): CPU-therm, gpu-thermal, ..."""
    zones = glob.glob(os.path.join(root, "sys/class/thermal/thermal_zone*"))
    named = [zone for zone in zones if re.match(start, (_text(zone, "type") or "").lower())]
    return _hottest_c([_integer(zone, "temp") for zone in named])


def _monitor_temperature_c(root):
    """By the drivers of processors' own sensors. AMD's Tctl may be Tdie and an offset for fans."""
    monitors = glob.glob(os.path.join(root, "sys/class/hwmon/hwmon*"))
    read = {}
    for monitor in monitors:
        if _text(monitor, "name") in CPU_MONITORS:
            for file in glob.glob(os.path.join(monitor, "temp*_input")):
                label = _text(file.replace("_input", "_label")) or file
                read[monitor, label] = _integer(file)
    for monitor, label in list(read):
        if label == "Tctl" and (monitor, "Tdie") in read:
            del read[monitor, label]
    return _hottest_c(read.values())


def _first_told(values):
    return next((each for each in values if each is not None), None)


def _hottest_c(millidegrees):
    told = [each / 1e3 for each in millidegrees if each is not None]
    told = [celsius for celsius in told if COLDEST_C < celsius < HOTTEST_C]
    return max(told) if told else None


def _text(*path):
    """What a file of the kernel says; None where it is missing or may not be read."""
    try:
        with open(os.path.join(*path)) as file:
            return file.read(LONGEST_FILE).strip("\0\n ")
    except (OSError, UnicodeDecodeError):
        return None


def _integer(*path):
    text = _text(*path) or ""
    try:
        return int(text) if len(text) <= LONGEST_NUMBER else None
    except ValueError:
        return None
