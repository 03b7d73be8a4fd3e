"""An NVIDIA GPU, asked through NVML: the driver's own library, bound with ctypes.

It runs on the target: one file, Python 3.6, standard library only. Functions, structures, units and
bits are those of NVIDIA's nvml.h. What a GPU or its driver does not tell is None, never 0.
"""

import ctypes
import os

LIBRARY = "libnvidia-ml.so.1"
SUCCESS = 0
GRAPHICS, SM, MEMORY = 0, 1, 2  # nvmlClockType_t
CORE_SENSOR = 0  # nvmlTemperatureSensors_t
LOWEST_STATE = 15  # of nvmlPstates_t; 32 is "unknown"
TEXT_BYTES = 96  # names, UUIDs and versions are shorter
MOST_PROCESSES = 1024
FIRST_PID_NAMESPACE = "pid:[4026531836]"  # PROC_PID_INIT_INO of the kernel

NO_THROTTLING = 0x1 | 0x2  # idle, and clocks that somebody has set
THROTTLING = (
    (0x4, "power cap"),
    (0x8, "hardware slowdown"),
    (0x10, "sync boost"),
    (0x20, "software thermal slowdown"),
    (0x40, "hardware thermal slowdown"),
    (0x80, "power brake"),
    (0x100, "display clocks"),
)


def throttling(bits):
    """Why a GPU is held back, by NVML's bits, or "no"."""
    bits &= ~NO_THROTTLING
    named = []
    for bit, reason in THROTTLING:
        if bits & bit:
            named.append(reason)
            bits &= ~bit
    if bits:
        named.append("unknown reason 0x%x" % bits)
    return ", ".join(named) or "no"


class Process(ctypes.Structure):
    """nvmlProcessInfo_t since driver 450."""

    _fields_ = [
        ("pid", ctypes.c_uint),
        ("memory", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


class OldProcess(ctypes.Structure):
    """nvmlProcessInfo_v1_t."""

    _fields_ = [("pid", ctypes.c_uint), ("memory", ctypes.c_ulonglong)]


PROCESSES = (
    ("nvmlDeviceGetComputeRunningProcesses_v3", Process),
    ("nvmlDeviceGetComputeRunningProcesses_v2", Process),
    ("nvmlDeviceGetComputeRunningProcesses", OldProcess),
)


class Gpu(object):
    """One GPU of NVML, which stays open as long as the program runs."""

    def __init__(self, nvml, handle):
        self._nvml = nvml
        self._handle = handle

    @property
    def name(self):
        return self._text("nvmlDeviceGetName")

    @property
    def uuid(self):
        return self._text("nvmlDeviceGetUUID")

    def energy_mj(self):
        """Since the driver was loaded; None before Volta. NVML refreshes it in steps."""
        return self._number("nvmlDeviceGetTotalEnergyConsumption", kind=ctypes.c_ulonglong)

    def power_mw(self):
        """Now; from Ampere on the mean of the last second, GA100 excepted."""
        return self._number("nvmlDeviceGetPowerUsage")

    def facts(self):
        """What is recorded once: texts, and only those that are there."""
        driver = ctypes.create_string_buffer(TEXT_BYTES)
        if self._nvml.nvmlSystemGetDriverVersion(driver, TEXT_BYTES) != SUCCESS:
            driver.value = b""
        facts = {
            "gpu": self.name,
            "gpu_uuid": self.uuid,
            "driver": _decoded(driver.value),
            "gpu_max_clocks": self._clocks("nvmlDeviceGetMaxClockInfo", SM),
            "gpu_persistence": self._switch("nvmlDeviceGetPersistenceMode"),
            "gpu_ecc": self._ecc(),
        }
        facts.update(self._limits())
        return {key: fact for key, fact in facts.items() if fact}

    def _limits(self):
        """What somebody may set at any time."""
        limit_mw = self._number("nvmlDeviceGetEnforcedPowerLimit")
        return {
            "gpu_application_clocks": self._clocks("nvmlDeviceGetApplicationsClock", GRAPHICS),
            "gpu_power_limit": None if limit_mw is None else "%g W" % (limit_mw / 1000),
        }

    def clock_mhz(self):
        """Of its cores, now."""
        return self._number("nvmlDeviceGetClockInfo", SM)

    def conditions(self):
        """What changes from visit to visit."""
        power_mw = self.power_mw()
        state = self._number("nvmlDeviceGetPerformanceState", kind=ctypes.c_int)
        found = {
            "gpu_clock_mhz": self.clock_mhz(),
            "gpu_memory_clock_mhz": self._number("nvmlDeviceGetClockInfo", MEMORY),
            "gpu_temperature_c": self._number("nvmlDeviceGetTemperature", CORE_SENSOR),
            "gpu_power_w": None if power_mw is None else power_mw / 1000,
            "gpu_state": None if state is None or state > LOWEST_STATE else "P%d" % state,
            "gpu_throttled": self.throttled(),
            "gpu_other_processes": self._other_processes(),
        }
        found.update(self._limits())
        return found

    def throttled(self):
        """Why it is held back, "no", or None where the driver does not tell."""
        reasons = self._number("nvmlDeviceGetCurrentClocksThrottleReasons", kind=ctypes.c_ulonglong)
        return None if reasons is None else throttling(reasons)

    def _other_processes(self):
        """How many programs besides ours compute on this GPU.

        NVML has the numbers of the outermost namespace. Inside a container ours is one of those
        that are listed, but we cannot know which; an empty list tells nothing there.
        """
        pids = self._pids()
        if pids is None:
            return None
        try:
            if os.readlink("/proc/self/ns/pid") == FIRST_PID_NAMESPACE:
                return len(pids - {os.getpid()})
        except OSError:
            pass
        return len(pids) - 1 if pids else None

    def _pids(self):
        for function, kind in PROCESSES:
            count = ctypes.c_uint(MOST_PROCESSES)
            processes = (kind * MOST_PROCESSES)()
            if self._ask(function, ctypes.byref(count), processes):
                return {process.pid for process in processes[: count.value]}
        return None

    def _clocks(self, function, kind):
        """Of its cores and its memory: some GPUs tell only one."""
        parts = (("%d MHz", kind), ("memory %d MHz", MEMORY))
        read = [(text, self._number(function, each)) for text, each in parts]
        return ", ".join(text % number for text, number in read if number is not None) or None

    def _switch(self, function):
        return {0: "off", 1: "on"}.get(self._number(function))

    def _ecc(self):
        now, after_reboot = ctypes.c_uint(), ctypes.c_uint()
        if not self._ask("nvmlDeviceGetEccMode", ctypes.byref(now), ctypes.byref(after_reboot)):
            return None
        return "on" if now.value else "off"

    def _number(self, function, *arguments, kind=ctypes.c_uint):
        """One number that a function of NVML writes, an unsigned int unless told otherwise."""
        number = kind()
        answered = self._ask(function, *arguments, ctypes.byref(number))
        return number.value if answered else None

    def _text(self, function):
        text = ctypes.create_string_buffer(TEXT_BYTES)
        return _decoded(text.value) if self._ask(function, text, TEXT_BYTES) else None

    def _ask(self, function, *arguments):
        """Whether it answered: older drivers lack functions, and GPUs lack sensors."""
        try:
            return getattr(self._nvml, function)(self._handle, *arguments) == SUCCESS
        except AttributeError:
            return False


def _decoded(text):
    return text.decode("utf-8", "replace")


def open_gpu(bus_id=None, library=LIBRARY):
    """The GPU that CUDA takes first, or None, and why there is none.

    `bus_id` is its PCI address, such as 0000:65:00.0, where CUDA has told it. Without, we look
    where CUDA looks: the first entry of CUDA_VISIBLE_DEVICES, a number or the start of a UUID.
    """
    try:
        nvml = ctypes.CDLL(library)
    except OSError:
        return None, "%s of NVIDIA's driver is not installed here" % LIBRARY
    failed = nvml.nvmlInit_v2()
    if failed:
        nvml.nvmlErrorString.restype = ctypes.c_char_p
        return None, "NVML does not start: " + _decoded(nvml.nvmlErrorString(failed))
    if bus_id:
        return _found(nvml, "nvmlDeviceGetHandleByPciBusId_v2", bus_id.encode())
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    first = "0" if visible is None else visible.split(",")[0].strip()
    if first.isdecimal() and len(first) < 5:
        return _numbered(nvml, int(first))
    if first.startswith("MIG-"):
        return _found(nvml, "nvmlDeviceGetHandleByUUID", first.encode())
    for gpu in _all(nvml):
        if first and (gpu.uuid or "").startswith(first):
            return gpu, ""
    return None, "CUDA_VISIBLE_DEVICES = %r names no GPU of NVML" % visible


def _numbered(nvml, number):
    """NVML counts by PCI address; CUDA does so only when it is told to, else the fastest first."""
    by_address = os.environ.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    if not by_address and len({gpu.name for gpu in _all(nvml)}) > 1:
        return None, (
            "there are different GPUs, and which of them CUDA calls %d only CUDA knows: set "
            "CUDA_DEVICE_ORDER=PCI_BUS_ID, or name it by its UUID in CUDA_VISIBLE_DEVICES" % number
        )
    return _found(nvml, "nvmlDeviceGetHandleByIndex_v2", number)


def _all(nvml):
    count = ctypes.c_uint()
    nvml.nvmlDeviceGetCount_v2(ctypes.byref(count))
    found = [_found(nvml, "nvmlDeviceGetHandleByIndex_v2", each)[0] for each in range(count.value)]
    return [gpu for gpu in found if gpu is not None]


def _found(nvml, function, key):
    handle = ctypes.c_void_p()
    if getattr(nvml, function)(key, ctypes.byref(handle)) != SUCCESS:
        name = key.decode() if isinstance(key, bytes) else key
        return None, "NVML has no GPU %s, or we may not use it" % name
    return Gpu(nvml, handle), ""
