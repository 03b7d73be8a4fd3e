from pathlib import Path

import pytest

from harness.cli.words.check import describe_step
from harness.device.device import Device
from harness.device.profile import Profile
from harness.errors import DeviceBusy
from harness.pipeline.check import check
from harness.runtimes.options import SharedOptions
from harness.runtimes.resident import ResidentSession


def test_one_measurement_at_a_time_on_one_machine(tmp_path: Path) -> None:
    torch, onnx = (Device.find(name, tmp_path) for name in ("cpu", "cpu-onnxruntime"))
    with torch.open() as session:
        assert session.environment["torch"]
        told = r"cannot use cpu-onnxruntime: .* which measures cpu since .*; --wait waits for it"
        with pytest.raises(DeviceBusy, match=told), onnx.open():
            pass
    with onnx.open() as session:
        assert session.environment["onnxruntime"]


def test_identity_holds_every_setting_that_changes_the_numbers(tmp_path: Path) -> None:
    with Device.find("cpu", tmp_path).open() as session:
        identity = Device.find("cpu", tmp_path).identity(session)
    assert identity["runtime"] == "torch"
    settings = set(SharedOptions.model_fields) - {"converter"}  # told where it is not the usual
    assert {"processor", "clock", *settings} <= set(identity)


@pytest.mark.parametrize(("threads", "clock"), [(1, "thread"), (2, "wall")])
def test_thread_time_counts_only_where_one_thread_does_the_work(threads: int, clock: str) -> None:
    section = SharedOptions(num_threads=threads)
    profile = Profile(title="x", transport="local", runtime="torch", runtime_options=section)
    assert Device("x", profile).clock == clock


@pytest.mark.parametrize(
    ("temperature_c", "told"),
    [(41.5, "75, checked"), (None, "unknown: no sensor of the device tells its temperature_c")],
)
def test_a_check_has_a_row_for_every_sensor_and_for_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temperature_c: float | None, told: str
) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices/mine.toml").write_text(
        'title = "Mine"\ntransport = "local"\nruntime = "onnxruntime"\n'
        "[conditions]\nmax_temperature_c = 75\n"
    )
    real = ResidentSession.conditions

    def read(session: ResidentSession) -> dict[str, float | str | None]:
        return real(session) | {"temperature_c": temperature_c}

    monkeypatch.setattr(ResidentSession, "conditions", read)
    rows = {each.name: describe_step(each) for each in check(Device.find("mine", tmp_path))}
    assert rows["max_temperature_c"].startswith(told)
    assert rows["temperature_c"] == ("unknown" if temperature_c is None else "41.5")
    assert {"frequency_mhz", "other_cpus", "charging", "governor"} <= rows.keys()
