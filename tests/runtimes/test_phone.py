"""What a phone's answers mean. They are written by the form of AOSP's ThermalManagerService and
BatteryService, not recorded; that of Samsung's sensors as quoted by others."""

import subprocess
from pathlib import Path

import pytest

from harness.device.conditions import Fastest, Limits, doubts_between
from harness.errors import DeviceError
from harness.runtimes.phone import (
    CONDITIONS,
    WORK,
    choose_cores,
    describe_conditions,
    read_conditions,
)
from harness.runtimes.sensors import Conditions
from harness.transports.local import LocalTransport

# A Snapdragon 821's cores (Pixel 1): two clusters of two; the fast one held back.
FREQUENCIES = """
0 1593600 1593600 307200 sched
1 1593600 1593600 307200 sched
2 2150400 1075200 1075200 sched
3 2150400 2150400 1996800 sched
"""
BATTERY = """
Current Battery Service state:
  AC powered: false
  USB powered: true
  status: 2
  level: 83
  temperature: 281
"""
THERMAL = """
Thermal Status: 1
Cached temperatures:
	Temperature{mValue=61.0, mType=3, mName=skin, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
	Temperature{mValue=44.1, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=47.9, mType=0, mName=CPU1, mStatus=0}
	Temperature{mValue=31.5, mType=3, mName=skin, mStatus=0}
Current cooling devices from HAL:
	CoolingDevice{mValue=0, mType=2, mName=TYPE_CPU}
"""
SAMSUNG = """
Thermal Status: 0
Current temperatures from HAL:
	Temperature{mValue=24.0, mType=1, mName=TYPE_CPU, mStatus=0}
	Temperature{mValue=24.4, mType=3, mName=TYPE_BATTERY, mStatus=0}
	Temperature{mValue=25.3, mType=4, mName=TYPE_SKIN, mStatus=0}
	Temperature{mValue=-99.9, mType=6, mName=TYPE_POWER_AMPLIFIER, mStatus=0}
"""


def conditions(mask: str | None = None, **answers: str) -> Conditions:
    return describe_conditions(dict.fromkeys(CONDITIONS, "") | answers, mask)


def test_a_silent_phone_tells_nothing_and_raises_no_doubt() -> None:
    silent = conditions()
    assert set(silent.values()) == {None}
    assert not Limits(max_temperature_c=40).too_hot(silent)
    assert doubts_between([silent], Fastest(), Limits()) == ()


def test_battery_screen_load_and_memory_are_read() -> None:
    seen = conditions(
        battery=BATTERY,
        screen="  mWakefulness=Dozing",
        load="1.52 1.20 0.99 2/1034 7",
        memory="MemAvailable:    2048000 kB",
    )
    assert seen["battery_percent"] == 83
    assert seen["temperature_c"] == pytest.approx(28.1)
    assert seen["charging"] == "USB"
    assert seen["screen"] == "dozing"
    assert seen["load_1m"] == 1.52
    assert seen["memory_available_mb"] == 2000


def test_what_makers_say_behind_the_battery_does_not_take_its_place() -> None:
    seen = conditions(battery=f"{BATTERY}\nBackup battery:\n  level: 7\n  temperature: 999\n")
    assert seen["battery_percent"] == 83
    assert seen["temperature_c"] == pytest.approx(28.1)


def test_current_temperatures_count_not_cached_ones() -> None:
    seen = conditions(battery=BATTERY, thermal=THERMAL)
    assert seen["temperature_c"] == 31.5
    assert seen["cpu_temperature_c"] == 47.9
    assert seen["thermal_status"] == 1


def test_a_sensors_name_counts_before_its_type() -> None:
    seen = conditions(thermal=SAMSUNG)
    assert seen["temperature_c"] == 25.3
    assert seen["cpu_temperature_c"] == 24.0


def test_a_phone_that_throttles_is_too_hot_whatever_its_temperature() -> None:
    hot = conditions(thermal=THERMAL.replace("Status: 1", "Status: 2"))
    assert Limits().too_hot(hot)
    assert doubts_between([hot], Fastest(), Limits()) == ("too hot",)


def test_cores_that_are_held_back_make_visits_doubtful() -> None:
    held = conditions(mask="c", frequencies=FREQUENCIES)
    free = conditions(mask="c", frequencies=FREQUENCIES.replace(" 1075200 1075200", " 2150400 9"))
    assert (held["frequency_share"], free["frequency_share"]) == (0.5, 1)
    assert held["frequency_mhz"] == 1996.8
    assert held["governor"] == "sched"
    fastest = Fastest.of([free, held])
    (doubt,) = doubts_between([free, held], fastest, Limits())
    assert "below 90%" in doubt
    assert doubts_between([free, free], fastest, Limits()) == ()


def test_a_phone_that_tells_only_how_fast_its_cores_can_be_tells_enough() -> None:
    answer = "0 1593600 - - -\n1 2150400 - - sched\n"
    assert choose_cores(answer, "0-1", "big") == "2"
    seen = conditions(frequencies=answer)
    assert seen["frequency_share"] is None
    assert seen["frequency_mhz"] is None


def test_among_several_kinds_of_cores_nobody_knows_which_clock_is_that_of_the_work() -> None:
    assert conditions(frequencies=FREQUENCIES)["frequency_mhz"] is None
    assert conditions(mask="3", frequencies=FREQUENCIES)["frequency_mhz"] == 307.2


def test_cores_that_are_read_have_worked_just_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On this computer, whose `taskset` is one that writes down what it is asked."""
    asked = tmp_path / "asked"
    taskset = tmp_path / "taskset"
    taskset.write_text(f'#!/bin/sh\necho "$@" >>{asked}; shift; exec "$@"\n')
    taskset.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    read_conditions(LocalTransport(), "c")
    told = asked.read_text()
    assert told.startswith(f"c sh -c {WORK}; ")
    assert "scaling_cur_freq" in told
    counted = subprocess.run(["sh", "-c", f"{WORK}; echo $i"], check=True, capture_output=True)
    assert int(counted.stdout) == 100_000, "some tenths of a second, on a phone"


CURRENTS = """
Thermal Status: 0
Current temperatures from HAL:
	Temperature{mValue=8900.0, mType=7, mName=soft_ocp_cpu2, mStatus=0}
	Temperature{mValue=26.000002, mType=0, mName=BIG, mStatus=0}
	Temperature{mValue=27.000002, mType=0, mName=LITTLE, mStatus=0}
	Temperature{mValue=24.83324, mType=3, mName=VIRTUAL-SKIN, mStatus=0}
	Temperature{mValue=11900.0, mType=7, mName=ocp_cpu2, mStatus=0}
Current cooling devices from HAL:
"""  # a Pixel 6's, from the tests of Skia's buildbot


def test_currents_of_processors_are_no_temperatures() -> None:
    seen = conditions(thermal=CURRENTS)
    assert (seen["cpu_temperature_c"], seen["temperature_c"]) == (27.000002, 24.83324)


def test_a_skin_at_zero_degrees_is_not_its_battery_and_other_units_are_no_degrees() -> None:
    frosty = THERMAL.replace("mValue=31.5", "mValue=0.0").replace(
        "mType=0, mName=CPU1", "mType=9, mName=cpu1_ma"
    )
    seen = conditions(battery=BATTERY, thermal=frosty.replace("mValue=47.9", "mValue=11900.0"))
    assert (seen["temperature_c"], seen["cpu_temperature_c"]) == (0, 44.1)


def test_cores_that_are_always_held_back_are_no_reason_for_doubt() -> None:
    saving = conditions(mask="c", frequencies=FREQUENCIES)
    assert doubts_between([saving, saving], Fastest.of([saving]), Limits()) == ()


@pytest.mark.parametrize(("cpus", "mask"), [("big", "c"), ("little", "3"), ("one", "8")])
def test_cores_are_chosen_by_their_top_frequency(cpus: str, mask: str) -> None:
    assert choose_cores(FREQUENCIES, "0-3", cpus) == mask


@pytest.mark.parametrize(
    ("frequencies", "present"),
    [
        ("", "0-3"),
        ("0     \n1   ", "0-1"),
        ("cpu0 x y z", ""),
        ("0 1 2", "0"),
        (FREQUENCIES, "0-7"),  # the big ones are switched off
        (FREQUENCIES, "0,1,2,3,5"),
    ],
)
def test_cores_without_frequencies_have_to_be_named(frequencies: str, present: str) -> None:
    with pytest.raises(DeviceError, match="by a mask"):
        choose_cores(frequencies, present, "big")
