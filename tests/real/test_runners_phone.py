"""Command line runners besides benchmark_model, through a real adbd."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness.device.device import Device
from harness.errors import MissingExtra, TargetFailed, UsageError
from harness.pipeline.benchmark import check_model
from harness.runtimes.session import Session
from tests.real.real_adbd import RealAdbd

RUNNER = Path(__file__).with_name("other_runner")
RUNNERS = {"executor_runner": ".pte", "mnn_benchmark": ".mnn"}


def write(root: Path, phone: RealAdbd, runtime: str, runner: Path = RUNNER) -> Device:
    folder = root / "devices"
    folder.mkdir(exist_ok=True)
    (folder / "mine.toml").write_text(
        f"""
title = "This computer behind a real adbd"
transport = "adb"
runtime = "{runtime}"

[match]
model = "Loopback"

[adb]
serial = ["{phone.serial}"]
backend = "direct"

[{runtime}]
path = "{runner}"
seconds = 0.01

[runtime_options]
cpus = "{1 << max(os.sched_getaffinity(0)):#x}"
"""
    )
    return Device.find("mine", root)


@contextmanager
def opened(root: Path, phone: RealAdbd, runtime: str) -> Iterator[Session]:
    with write(root, phone, runtime).open() as session:
        yield session


@pytest.mark.parametrize("runtime", RUNNERS)
def test_a_users_file_is_visited_and_the_runner_is_part_of_what_is_told(
    runtime: str, tmp_path: Path, phone: RealAdbd
) -> None:
    model = tmp_path / f"mine{RUNNERS[runtime]}"
    model.write_bytes(bytes(1 << 20))
    with opened(tmp_path, phone, runtime) as session:
        session.prepare([model])
        assert session.load(model) > 10_000  # a megabyte is not digested in 10 us
        samples = session.visit(model, 5)
        assert (len(samples.values["wall"]), samples.runs) == (1, samples.runs)
        assert samples.runs is not None
        assert samples.runs >= 10
        longer = session.sustain(model, 0.1)
        assert longer.runs is not None
        assert longer.runs * longer.values["wall"][0] > 0.02 * 1e9
        assert len(session.environment[runtime]) == 16


@pytest.mark.parametrize("runtime", RUNNERS)
def test_a_file_that_the_runner_cannot_run_is_one_line(
    runtime: str, tmp_path: Path, phone: RealAdbd
) -> None:
    model = tmp_path / f"mine{RUNNERS[runtime]}"
    model.write_bytes(b"broken")
    with opened(tmp_path, phone, runtime) as session, pytest.raises(TargetFailed) as caught:
        session.load(model)
    assert "mine" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("runtime", RUNNERS)
def test_a_runner_that_is_not_there_is_told_with_how_to_get_it(
    runtime: str, tmp_path: Path, phone: RealAdbd
) -> None:
    device = write(tmp_path, phone, runtime, tmp_path / "nowhere")
    with pytest.raises(MissingExtra, match="build it for the phone"), device.open():
        pass
    with pytest.raises(UsageError, match="network files"):
        check_model(device, tmp_path / "mine.onnx")
