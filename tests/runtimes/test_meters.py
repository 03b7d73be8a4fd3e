"""Meters over made trees of /sys whose counters a thread moves in real time.

NVML is a stand-in that is compiled here: this never ran on a GPU, nor on a board."""

import ctypes
import importlib.util
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from harness.runtimes import board

pytestmark = pytest.mark.flaky(reruns=1)  # windows of real time, while other tests run
WATTS = 20.0
STEP_S = 0.02
RANGE_UJ = 262_143_328_850  # of an Intel package
# The functions of nvml.h that we call, for two GPUs; tests set what the first of them says.
NVML = r"""
#include <string.h>
#include <time.h>
typedef struct { unsigned pid; unsigned long long memory; unsigned a, b; } process;
int init_code = 0, state = 0, pid_count = 0, same = 1, memory_code = 0;
unsigned power_mw = 250000, pids[8];
unsigned long long reasons = 0, offset_mj = 1000000;
static int gpus[2];
#define NUMBER(name, type, value) \
    int name(void *gpu, type *out) { (void)gpu; *out = (value); return 0; }
#define OF_KIND(name, value) \
    int name(void *gpu, int kind, unsigned *out) { (void)gpu; *out = (value); return 0; }
int nvmlInit_v2(void) { return init_code; }
const char *nvmlErrorString(int code) { return code == 9 ? "Driver Not Loaded" : "Unknown Error"; }
int nvmlSystemGetDriverVersion(char *out, unsigned size) {
    strncpy(out, "535.129.03", size);
    return 0;
}
int nvmlDeviceGetCount_v2(unsigned *out) { *out = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **out) {
    if (index > 1) return 2;
    *out = &gpus[index];
    return 0;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char *id, void **out) {
    if (strcmp(id, "0000:65:00.0")) return 6;
    *out = &gpus[1];
    return 0;
}
int nvmlDeviceGetName(void *gpu, char *out, unsigned size) {
    strncpy(out, gpu == &gpus[1] && !same ? "NVIDIA T4" : "NVIDIA H100 80GB HBM3", size);
    return 0;
}
int nvmlDeviceGetUUID(void *gpu, char *out, unsigned size) {
    strncpy(out, gpu == &gpus[1] ? "GPU-bbbb2222" : "GPU-aaaa1111", size);
    return 0;
}
OF_KIND(nvmlDeviceGetClockInfo, kind == 1 ? 1755 : kind == 2 ? 2619 : 0)
int nvmlDeviceGetMaxClockInfo(void *gpu, int kind, unsigned *out) {
    (void)gpu;
    *out = kind == 1 ? 1980 : kind == 2 ? 2619 : 0;
    return kind == 2 ? memory_code : 0;
}
int nvmlDeviceGetApplicationsClock(void *gpu, int kind, unsigned *out) { return 3; }
OF_KIND(nvmlDeviceGetTemperature, kind == 0 ? 41 : 0)
NUMBER(nvmlDeviceGetPowerUsage, unsigned, power_mw)
NUMBER(nvmlDeviceGetEnforcedPowerLimit, unsigned, 700000)
NUMBER(nvmlDeviceGetPerformanceState, int, state)
NUMBER(nvmlDeviceGetCurrentClocksThrottleReasons, unsigned long long, reasons)
NUMBER(nvmlDeviceGetPersistenceMode, int, 1)
int nvmlDeviceGetEccMode(void *gpu, int *now, int *later) { *now = 1; *later = 0; return 0; }
#ifndef PASCAL
int nvmlDeviceGetTotalEnergyConsumption(void *gpu, unsigned long long *out) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    unsigned long long ms = (now.tv_sec % 100000) * 1000ull + now.tv_nsec / 1000000;
    *out = offset_mj + ms / 20 * 20 * power_mw / 1000;
    return 0;
}
#define LIST nvmlDeviceGetComputeRunningProcesses_v3
#else
#define process struct { unsigned pid; unsigned long long memory; }
#define LIST nvmlDeviceGetComputeRunningProcesses
#endif
int LIST(void *gpu, unsigned *count, void *out) {
    process *processes = out;
    for (int i = 0; i < pid_count; i++) processes[i].pid = pids[i];
    *count = pid_count;
    return 0;
}
"""


def load(name: str) -> ModuleType:
    """As the agent does on the target: by its path."""
    spec = importlib.util.spec_from_file_location(
        name, Path(board.__file__).parent / "agent" / f"{name}.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


meters, nvml = load("meters"), load("nvml")


def write(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@contextmanager
def moving(tick: Callable[[float], None], every_s: float = STEP_S) -> Iterator[None]:
    """A thread that calls `tick` with the seconds since it began."""
    end, begin_s = threading.Event(), time.perf_counter()

    def run() -> None:
        while not end.wait(every_s):
            tick(time.perf_counter() - begin_s)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


def put(file: Path, number: float) -> None:
    """Replace a number as the kernel does: nobody sees half of it."""
    descriptor = os.open(file, os.O_WRONLY)
    os.pwrite(descriptor, b"%020d\n" % int(number), 0)
    os.close(descriptor)


# --- RAPL -----------------------------------------------------------------------------------------


def package(root: Path, number: int, begin_uj: int = 0, range_uj: int | None = RANGE_UJ) -> Path:
    folder = root / f"sys/class/powercap/intel-rapl:{number}"
    write(folder / "name", f"package-{number}\n")
    if range_uj is not None:
        write(folder / "max_energy_range_uj", f"{range_uj}\n")
    return write(folder / "energy_uj", f"{begin_uj:020d}\n")


def drawing(file: Path, begin_uj: int = 0, watts: float = WATTS) -> Callable[[float], None]:
    return lambda passed_s: put(file, (begin_uj + passed_s * watts * 1e6) % RANGE_UJ)


def window(meter: Any, seconds: float) -> tuple[float, float]:
    """The mean power in W, and how long the window was."""
    began_s = time.perf_counter()
    meter.start()
    time.sleep(seconds)
    energy_mj, took_s = meter.stop()
    assert took_s == pytest.approx(time.perf_counter() - began_s, abs=0.15)
    return energy_mj / 1e3 / took_s, took_s


@pytest.mark.parametrize("begin_uj", [0, RANGE_UJ - 30_000_000], ids=["plain", "wrapping"])
def test_rapl_energy_of_a_window(tmp_path: Path, begin_uj: int) -> None:
    file = package(tmp_path, 0, begin_uj)
    with moving(drawing(file, begin_uj)):
        meter, why = meters.open_meter(False, root=str(tmp_path))
        assert (meter.name, why) == ("RAPL of 1 package", "")
        assert 10 < meter.period_ms < 40
        for _ in range(3):  # the second wraps
            watts, _ = window(meter, 0.5)
            assert watts == pytest.approx(WATTS, rel=0.15)
    if begin_uj:
        assert int(file.read_text()) < begin_uj


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path) -> None:
    files = [package(tmp_path, number) for number in range(2)]
    part = tmp_path / "sys/class/powercap/intel-rapl:0:0"
    write(part / "name", "dram\n")
    write(part / "energy_uj", "7\n")

    def tick(passed_s: float) -> None:
        for file in files:
            drawing(file)(passed_s)

    with moving(tick):
        meter, _ = meters.open_meter(False, root=str(tmp_path))
        assert meter.name == "RAPL of 2 packages"
        assert window(meter, 0.5)[0] == pytest.approx(2 * WATTS, rel=0.15)


@pytest.mark.parametrize(("begin_uj", "packages"), [((5, 5), 1), ((5, 900_000_000), 2)])
def test_dies_that_show_the_one_counter_of_their_package_count_once(
    tmp_path: Path, begin_uj: tuple[int, int], packages: int
) -> None:
    """A Threadripper 1950X has the first (codecarbon, issue 1274), a Xeon 9282 the second."""
    files = [package(tmp_path, number, begin_uj[number]) for number in range(2)]
    for number, file in enumerate(files):
        write(file.parent / "name", f"package-0-die-{number}\n")
    write(tmp_path / "sys/class/powercap/intel-rapl:0:0/name", "core\n")

    def tick(passed_s: float) -> None:
        for file, begin in zip(files, begin_uj, strict=True):
            drawing(file, begin, 68)(passed_s)

    with moving(tick):
        meter, _ = meters.open_meter(False, root=str(tmp_path))
        assert meter.name.startswith(f"RAPL of {packages} package")
        assert window(meter, 0.5)[0] == pytest.approx(packages * 68, rel=0.15)


def test_a_window_of_fewer_than_ten_periods_is_refused(tmp_path: Path) -> None:
    with moving(drawing(package(tmp_path, 0))):
        meter, _ = meters.open_meter(False, root=str(tmp_path))
        meter.start()
        with pytest.raises(meters.MeterError, match="too short for RAPL of 1 package"):
            meter.stop()


def test_a_window_in_which_a_counter_may_wrap_twice_is_refused(tmp_path: Path) -> None:
    package(tmp_path, 0, range_uj=300_000_000)
    with moving(drawing(tmp_path / "sys/class/powercap/intel-rapl:0/energy_uj")):
        meter, _ = meters.open_meter(False, root=str(tmp_path))
        meter.start()
        time.sleep(0.5)  # 300 J at 1000 W: 0.3 s
        with pytest.raises(meters.MeterError, match="too long"):
            meter.stop()


@pytest.mark.parametrize("range_uj", [RANGE_UJ, None], ids=["with its range", "without"])
def test_a_counter_that_goes_back_gives_no_energy(tmp_path: Path, range_uj: int | None) -> None:
    begin_uj = 5_000_000_000
    file = package(tmp_path, 0, begin_uj, range_uj)
    with moving(drawing(file, begin_uj)):
        meter, _ = meters.open_meter(False, root=str(tmp_path))
        meter.start()
        time.sleep(0.3)
    put(file, 0)
    with moving(drawing(file)):
        with pytest.raises(meters.MeterError, match="went back"):
            meter.stop()
        assert window(meter, 0.5)[0] == pytest.approx(WATTS, rel=0.15)  # usable again


def test_a_counter_that_vanishes_gives_no_energy(tmp_path: Path) -> None:
    file = package(tmp_path, 0)
    with moving(drawing(file)):
        meter, _ = meters.open_meter(False, root=str(tmp_path))
        meter.start()
    shutil.rmtree(file.parent)
    with pytest.raises(meters.MeterError, match="can no longer be read"):
        meter.stop()


def test_a_counter_that_stands_still_is_no_meter(tmp_path: Path) -> None:
    package(tmp_path, 0, 12_345)
    meter, why = meters.open_meter(False, root=str(tmp_path))
    assert meter is None
    assert "stands still" in why


def test_no_rapl_no_meter(tmp_path: Path) -> None:
    meter, why = meters.open_meter(False, root=str(tmp_path))
    assert meter is None
    assert "no RAPL" in why


def test_rapl_that_only_root_may_read_is_no_meter() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        package(root, 0).chmod(0)
        user = os.geteuid()
        if user == 0:  # who may read everything
            os.seteuid(65534)
        try:
            meter, why = meters.open_meter(False, root=folder)
        finally:
            os.seteuid(user)
    assert meter is None
    assert "only root may read RAPL" in why


# --- Jetson ---------------------------------------------------------------------------------------


def jetpack_4_rails(root: Path, **milliwatts: int) -> dict[str, Path]:
    """As on a TX2: rail_name_N beside in_powerN_input."""
    folder = root / "sys/bus/i2c/drivers/ina3221x/0-0041/iio:device1"
    for number, (name, power) in enumerate(milliwatts.items()):
        write(folder / f"rail_name_{number}", f"{name}\n")
        write(folder / f"in_power{number}_input", f"{power:020d}\n")
    return {name: folder / f"in_power{n}_input" for n, name in enumerate(milliwatts)}


def jetpack_5_rails(root: Path, sensor: int, **rails: tuple[int, int]) -> None:
    """As on an Orin: inN_label beside inN_input (mV) and currN_input (mA)."""
    folder = root / f"sys/bus/i2c/drivers/ina3221/1-00{40 + sensor}/hwmon/hwmon{3 + sensor}"
    for number, (name, (millivolts, milliamperes)) in enumerate(rails.items(), start=1):
        write(folder / f"in{number}_label", f"{name}\n")
        write(folder / f"in{number}_input", f"{millivolts}\n")
        write(folder / f"curr{number}_input", f"{milliamperes}\n")
    write(folder / "in7_label", "sum of shunt voltages\n")  # it has no current
    write(folder / "in7_input", "9\n")


@pytest.mark.parametrize("on_gpu", [True, False])
def test_power_of_a_tx2_is_summed_up_as_it_changes(tmp_path: Path, on_gpu: bool) -> None:
    files = jetpack_4_rails(tmp_path, VDD_IN=4000, VDD_SYS_CPU=900)
    meter, why = meters.open_meter(on_gpu, root=str(tmp_path))
    assert (meter.name, meter.period_ms, why) == ("rails VDD_IN", 20, "")
    began_s = time.perf_counter()
    meter.start()
    time.sleep(0.4)
    low_s = time.perf_counter() - began_s
    put(files["VDD_IN"], 10_000)
    time.sleep(0.4)
    energy_mj, seconds = meter.stop()
    assert seconds == pytest.approx(time.perf_counter() - began_s, abs=0.1)
    assert energy_mj == pytest.approx(low_s * 4000 + (seconds - low_s) * 10_000, rel=0.1)


def test_an_agx_orin_is_the_sum_of_its_three_inputs(tmp_path: Path) -> None:
    cpu = (780, 3437)
    jetpack_5_rails(tmp_path, 0, VDD_GPU_SOC=(843, 6170), VDD_CPU_CV=cpu, VIN_SYS_5V0=(4968, 953))
    jetpack_5_rails(tmp_path, 1, VDDQ_VDD2_1V8AO=(1800, 341))
    meter, _ = meters.open_meter(True, root=str(tmp_path))
    assert meter.name == "rails VDD_GPU_SOC + VDD_CPU_CV + VIN_SYS_5V0"
    expected_w = (843 * 6170 + 780 * 3437 + 4968 * 953) / 1e6
    assert window(meter, 0.4)[0] == pytest.approx(expected_w, rel=1e-6)


def test_rails_nobody_knows_are_no_meter(tmp_path: Path) -> None:
    jetpack_4_rails(tmp_path, VDD_SYS_CPU=900, GPU=300)
    meter, why = meters.open_meter(True, root=str(tmp_path))
    assert meter is None
    assert "GPU, VDD_SYS_CPU" in why


def test_short_and_unreadable_windows_of_rails_are_refused(tmp_path: Path) -> None:
    files = jetpack_4_rails(tmp_path, POM_5V_IN=2000)
    meter, _ = meters.open_meter(True, root=str(tmp_path))
    meter.start()
    with pytest.raises(meters.MeterError, match="too short"):
        meter.stop()
    meter.start()
    time.sleep(0.3)
    files["POM_5V_IN"].unlink()
    with pytest.raises(meters.MeterError, match="can no longer be read"):
        meter.stop()


def test_facts_and_conditions_of_a_jetson(tmp_path: Path) -> None:
    write(tmp_path / "proc/device-tree/compatible", "nvidia,p2771-0000\0nvidia,tegra186\0")
    clock = tmp_path / "sys/class/devfreq/17000000.gp10b"
    write(clock / "cur_freq", "1134750000\n")
    write(clock / "max_freq", "1300500000\n")
    write(tmp_path / "sys/class/devfreq/15340000.vic/cur_freq", "1\n")
    zones = (
        ("BCPU-therm", "40500"),
        ("GPU-therm", "-256000"),
        ("gpu-other", "38000"),
        ("cpu-t", "x"),
    )
    for number, (kind, temperature) in enumerate(zones):
        write(tmp_path / f"sys/class/thermal/thermal_zone{number}/type", f"{kind}\n")
        write(tmp_path / f"sys/class/thermal/thermal_zone{number}/temp", f"{temperature}\n")
    write(tmp_path / "usr/local/cuda/version.txt", "CUDA Version 10.2.300\n")
    gpu, why = meters.open_gpu(nvml, root=str(tmp_path))
    assert why == ""
    assert meters.facts(gpu, str(tmp_path)) == {
        "gpu": "NVIDIA Tegra X2 (GP10B)",
        "gpu_max_clocks": "1300.5 MHz",
        "cuda": "10.2.300",
    }
    found = meters.conditions(gpu, str(tmp_path))
    assert found.pop("gpu_clock_mhz") == 1134.75
    assert found.pop("gpu_temperature_c") == 38
    assert found.pop("cpu_temperature_c") == 40.5
    assert meters.zone_temperature_c("gpu-therm", str(tmp_path)) is None  # it is off
    assert found.keys() > {"gpu_power_w", "gpu_state", "gpu_throttled", "gpu_other_processes"}
    assert set(found.values()) == {None}


def test_the_gpus_clock_of_thor_and_of_no_other_unit_is_read(tmp_path: Path) -> None:
    write(tmp_path / "proc/device-tree/compatible", "nvidia,p3834-0008\0nvidia,tegra264\0")
    for unit, hertz in (("bwmgr", 4266), ("gpu-gpc-0", 1575), ("gpu-nvd-0", 1692)):
        write(tmp_path / f"sys/class/devfreq/{unit}/cur_freq", f"{hertz}000000\n")
    write(tmp_path / "sys/class/devfreq/gpu-gpc-0/max_freq", "1575000000\n")
    gpu, _ = meters.open_gpu(nvml, root=str(tmp_path))
    assert gpu.conditions()["gpu_clock_mhz"] == gpu.clock_mhz() == 1575
    assert gpu.facts()["gpu_max_clocks"] == "1575 MHz"


@pytest.mark.parametrize(
    ("kinds", "celsius"),
    [
        ({"acpitz": 27.8, "INT3400 Thermal": 20, "B0D4": 96, "x86_pkg_temp": 97}, 97),
        ({"soc-thermal": 62, "bigcore0-thermal": 93, "littlecore-thermal": 70}, 93),
        ({"AO-therm": 47, "CPU-therm": 81, "GPU-therm": 90}, 81),
        ({"BIG": 71, "MID": 72, "LITTLE": 55, "G3D": 80}, 72),
        ({"gpu-thermal": 50, "soc-thermal": 62}, 62),  # of the chip that they are in
        ({"acpitz": 27.8, "iwlwifi_1": 45}, None),
    ],
)
def test_the_processors_zone_is_not_just_the_first(
    tmp_path: Path, kinds: dict[str, float], celsius: float | None
) -> None:
    for number, (kind, temperature_c) in enumerate(kinds.items()):
        zone = tmp_path / f"sys/class/thermal/thermal_zone{number}"
        write(zone / "type", kind)
        write(zone / "temp", str(int(temperature_c * 1000)))
    assert meters.conditions(root=str(tmp_path)) == {"cpu_temperature_c": celsius}


@pytest.mark.parametrize(
    ("name", "sensors", "celsius"),
    [
        ("coretemp", {"Package id 0": 71000, "Core 0": 70000, "Core 1": 66000}, 71),
        ("k10temp", {"Tctl": 95250, "Tdie": 68250}, 68.25),  # 27 higher, for its fans
        ("k10temp", {"Tctl": 61125, "Tccd1": 59000}, 61.125),
        ("nvme", {"Composite": 80000}, None),
    ],
)
def test_processors_without_a_zone_are_read_by_their_own_driver(
    tmp_path: Path, name: str, sensors: dict[str, int], celsius: float | None
) -> None:
    monitor = tmp_path / "sys/class/hwmon/hwmon3"
    write(monitor / "name", f"{name}\n")
    for number, (label, millidegrees) in enumerate(sensors.items(), start=1):
        write(monitor / f"temp{number}_label", f"{label}\n")
        write(monitor / f"temp{number}_input", f"{millidegrees}\n")
    assert meters.cpu_temperature_c(str(tmp_path)) == celsius


def test_a_jetsons_gpu_that_is_off_is_as_hot_as_its_chip_at_most(tmp_path: Path) -> None:
    write(tmp_path / "proc/device-tree/compatible", "nvidia,p3701-0005\0nvidia,tegra234\0")
    for number, (kind, celsius) in enumerate((("gpu-thermal", -256), ("tj-thermal", 44))):
        write(tmp_path / f"sys/class/thermal/thermal_zone{number}/type", kind)
        write(tmp_path / f"sys/class/thermal/thermal_zone{number}/temp", f"{celsius}000")
    gpu, _ = meters.open_gpu(nvml, root=str(tmp_path))
    assert gpu.conditions()["gpu_temperature_c"] == 44


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    assert meters.facts(root=str(tmp_path)) == {}
    assert meters.conditions(root=str(tmp_path)) == {"cpu_temperature_c": None}
    meter, why = meters.open_meter(True, None, str(tmp_path))
    assert meter is None
    assert "no GPU" in why


def test_the_version_of_cuda_is_that_of_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "usr/local/cuda/version.json", '{"cuda": {"version": "13.2.2"}}')
    assert meters.facts(root=str(tmp_path)) == {"cuda": "13.2.2"}


# --- NVML -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["", "-DPASCAL"], ids=["hopper", "pascal"])
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A stand-in with the functions of today's driver, or without those that Pascal lacks."""
    if shutil.which("cc") is None:
        pytest.skip("the stand-in for NVML needs a C compiler (cc)")
    folder = tmp_path_factory.mktemp("nvml")
    source = write(folder / "nvml.c", NVML)
    file = folder / "libnvidia-ml.so.1"
    flags = [flag for flag in [request.param] if flag]
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", *flags, "-o", file, source], check=True)
    return file


@pytest.fixture
def says(library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Sets what the first GPU says, until the end of the test."""
    stand_in = ctypes.CDLL(str(library))
    before: dict[str, tuple[Any, int]] = {}

    def say(**values: int) -> None:
        for name, value in values.items():
            wide = name in ("reasons", "offset_mj")
            number = (ctypes.c_ulonglong if wide else ctypes.c_int).in_dll(stand_in, name)
            before.setdefault(name, (number, number.value))
            number.value = value

    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
        monkeypatch.delenv(name, raising=False)
    yield say
    for number, value in before.values():
        number.value = value


def pascal(library: Path) -> bool:
    return not hasattr(ctypes.CDLL(str(library)), "nvmlDeviceGetTotalEnergyConsumption")


@pytest.mark.usefixtures("says")
def test_facts_and_conditions_of_a_gpu(library: Path, tmp_path: Path) -> None:
    gpu, why = nvml.open_gpu(library=str(library))
    assert why == ""
    assert meters.facts(gpu, str(tmp_path)) == {
        "gpu": "NVIDIA H100 80GB HBM3",
        "gpu_uuid": "GPU-aaaa1111",
        "driver": "535.129.03",
        "gpu_max_clocks": "1980 MHz, memory 2619 MHz",
        "gpu_power_limit": "700 W",
        "gpu_persistence": "on",
        "gpu_ecc": "on",
    }
    found = gpu.conditions()
    found.pop("gpu_other_processes")
    assert found == {
        "gpu_clock_mhz": 1755,
        "gpu_memory_clock_mhz": 2619,
        "gpu_temperature_c": 41,
        "gpu_power_w": 250,
        "gpu_state": "P0",
        "gpu_throttled": "no",
        "gpu_application_clocks": None,
        "gpu_power_limit": "700 W",
    }


def test_a_gpu_that_does_not_tell_its_memorys_clock_tells_that_of_its_cores(
    library: Path, says: Callable[..., None]
) -> None:
    says(memory_code=3)
    assert nvml.open_gpu(library=str(library))[0].facts()["gpu_max_clocks"] == "1980 MHz"


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (0x3, "no"),
        (0x4 | 0x40, "power cap, hardware thermal slowdown"),
        (0x1 | 0x20, "software thermal slowdown"),
        (0x8000, "unknown reason 0x8000"),
    ],
)
def test_reasons_of_throttling(
    library: Path, says: Callable[..., None], bits: int, text: str
) -> None:
    says(reasons=bits, state=32)
    found = nvml.open_gpu(library=str(library))[0].conditions()
    assert (found["gpu_throttled"], found["gpu_state"]) == (text, None)


def test_other_processes_on_the_gpu(library: Path, says: Callable[..., None]) -> None:
    gpu, _ = nvml.open_gpu(library=str(library))
    namespace = Path("/proc/self/ns/pid").readlink().name
    nobody = 0 if namespace == nvml.FIRST_PID_NAMESPACE else None
    assert gpu.conditions()["gpu_other_processes"] == nobody
    pids = (ctypes.c_uint * 8).in_dll(ctypes.CDLL(str(library)), "pids")
    pids[:3] = [1, os.getpid(), 2]
    says(pid_count=3)
    assert gpu.conditions()["gpu_other_processes"] == 2


@pytest.mark.parametrize(
    ("environment", "uuid"),
    [
        ({}, "GPU-aaaa1111"),
        ({"CUDA_VISIBLE_DEVICES": "1,0"}, "GPU-bbbb2222"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-bbbb"}, "GPU-bbbb2222"),
        ({"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}, "GPU-bbbb2222"),
        ({"CUDA_VISIBLE_DEVICES": ""}, "names no GPU"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-cccc"}, "names no GPU"),
        ({"CUDA_VISIBLE_DEVICES": "7"}, "has no GPU 7"),
    ],
)
@pytest.mark.usefixtures("says")
def test_the_gpu_is_the_one_of_cuda(
    library: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], uuid: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    gpu, why = nvml.open_gpu(library=str(library))
    assert uuid in (gpu.uuid if gpu else why)


def test_among_different_gpus_a_number_is_not_enough(
    library: Path, says: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    says(same=0)
    gpu, why = nvml.open_gpu(library=str(library))
    assert gpu is None
    assert "set CUDA_DEVICE_ORDER=PCI_BUS_ID" in why
    assert nvml.open_gpu("0000:65:00.0", str(library))[0].name == "NVIDIA T4"
    assert "has no GPU 0000:66:00.0" in nvml.open_gpu("0000:66:00.0", str(library))[1]
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert nvml.open_gpu(library=str(library))[0].uuid == "GPU-aaaa1111"


def test_a_driver_that_is_not_loaded(library: Path, says: Callable[..., None]) -> None:
    says(init_code=9)
    assert nvml.open_gpu(library=str(library)) == (None, "NVML does not start: Driver Not Loaded")


def test_no_driver_no_gpu(tmp_path: Path) -> None:
    gpu, why = nvml.open_gpu(library=str(tmp_path / "missing.so"))
    assert gpu is None
    assert "not installed" in why


@pytest.mark.usefixtures("says")
def test_energy_of_a_gpu(library: Path, tmp_path: Path) -> None:
    meter, why = meters.open_meter(True, nvml.open_gpu(library=str(library))[0], str(tmp_path))
    assert why == ""
    if pascal(library):
        assert (meter.name, meter.period_ms) == ("NVML power", 100)
    else:
        assert meter.name == "NVML energy"
        assert meter.period_ms == pytest.approx(20, abs=5)
    assert window(meter, 1.1)[0] == pytest.approx(250, rel=0.03)


def test_the_energy_of_a_driver_that_was_loaded_anew(
    library: Path, says: Callable[..., None], tmp_path: Path
) -> None:
    if pascal(library):
        pytest.skip("Pascal has no counter")
    says(offset_mj=10**12)
    meter, _ = meters.open_meter(True, nvml.open_gpu(library=str(library))[0], str(tmp_path))
    meter.start()
    time.sleep(0.3)
    says(offset_mj=0)
    with pytest.raises(meters.MeterError, match="went back"):
        meter.stop()
