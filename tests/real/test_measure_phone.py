"""A latency table made through a real adbd, and campaigns on bad days."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from harness.cli.terminal import Terminal
from harness.device.conditions import Limits
from harness.device.device import Device
from harness.effort import QUICK
from harness.errors import (
    DeviceError,
    DeviceOffline,
    FileFormatError,
    TableError,
    TargetFailed,
    TargetLost,
)
from harness.measuring.campaign import Campaign, Work, run_campaign
from harness.measuring.plan import IN_COMMON, Entry, Plan, block_entries, calibration_entries
from harness.pipeline.steps import Run, measure
from harness.progress import Progress, silent
from harness.runtimes import command_line_session
from harness.runtimes.conversion.cache import convert_all
from harness.runtimes.conversion.tflite import TfliteConverter
from harness.runtimes.session import Session, Workload
from harness.spaces.digits import DIGITS
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0
from harness.tables.journal import Journal, Visit
from harness.workspace import Workspace
from tests.real.conftest import BACKENDS, write_profile
from tests.real.real_adbd import RealAdbd
from tests.real.small_space import SMALL

PLAN = Plan(min_visits=3, max_visits=3, runs=2, interval=0.05, duration_s=0.0, anchors=3)
BLOCKS = DIGITS.distinct_blocks()[:2]


@contextmanager
def session(root: Path, phone: RealAdbd, backend: str) -> Iterator[Session]:
    write_profile(root, phone, backend)
    with Device.find("loopback-phone", root).open() as opened:
        yield opened


def entries() -> list[Entry]:
    return [*calibration_entries(DIGITS, 3), *block_entries(BLOCKS)]


def measured(
    opened: Session, folder: Path, limits: Limits | None = None, on_visit: Progress = silent
) -> Campaign:
    chosen = entries()
    opened.prepare([entry.workload for entry in chosen])
    path = lambda name: folder / f"{name}.jsonl"  # noqa: E731
    work = Work({"runtime": "x"}, "wall", limits or Limits(), chosen, PLAN, path)
    return run_campaign(opened, work, on_visit=on_visit)


def visits(folder: Path) -> list[Visit]:
    (path,) = folder.glob("*.jsonl*")
    journal = Journal(path.with_name(path.name.removesuffix(".gz")))
    journal.close()
    return journal.visits


def test_blocks_take_as_long_through_the_phone_as_directly(tmp_path: Path, phone: RealAdbd) -> None:
    """The same files in the same interpreter: what differs is the way there."""
    blocks = OFA_MBV3_W1_0.at((128, 160)).distinct_blocks()
    chosen = [(block,) for block in sorted(blocks, key=lambda block: block.macs)[::33]]
    folder = tmp_path / "devices"
    folder.mkdir()
    cpus = f"{1 << max(os.sched_getaffinity(0)):#x}"
    (folder / "here.toml").write_text(
        f'title = "x"\nextends = "cpu-litert"\n[runtime_options]\ncpus = "{cpus}"\n'
    )
    times: dict[str, list[list[int]]] = {"direct": [], "server": [], "here": []}
    with (
        session(tmp_path, phone, "direct") as direct,
        Device.find("here", tmp_path).open() as here,
    ):
        direct.prepare(chosen)
        for _ in range(4):
            for name, opened in (("direct", direct), ("here", here)):
                times[name].append([min(opened.visit(each, 20).values["wall"]) for each in chosen])
    with session(tmp_path, phone, "server") as server:
        times["server"] = [
            [min(server.visit(each, 20).values["wall"]) for each in chosen] for _ in "12"
        ]
    fastest = {name: np.min(rows, axis=0) for name, rows in times.items()}
    for name in ("direct", "server"):
        ratios = fastest[name] / fastest["here"]
        assert 0.9 < np.median(ratios) < 1.25, ratios  # what is claimed comes from a benchmark
        assert spearmanr(fastest[name], fastest["here"]).statistic > 0.95


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_phone_says_what_it_is_and_how_it_feels(
    tmp_path: Path, phone: RealAdbd, backend: str
) -> None:
    with session(tmp_path, phone, backend) as opened:
        assert opened.environment["model"] == "Loopback"
        assert opened.environment["serial"] == "LOOPBACK1"
        assert opened.environment["battery_saver"] == "off"
        felt = opened.conditions()
    assert felt["temperature_c"] == 30.5
    assert felt["cpu_temperature_c"] == 44.1
    assert felt["battery_percent"] == 83
    assert felt["screen"] == "awake"
    assert felt["load_1m"] is not None


def test_runs_and_memory_are_recorded_as_the_runner_tells_them(
    tmp_path: Path, phone: RealAdbd
) -> None:
    with session(tmp_path, phone, "direct") as opened:
        campaign = measured(opened, tmp_path / "runs")
    for record in campaign.records:
        statistics = record.statistics
        assert statistics.runs >= 10 * statistics.visits  # the profile's fewest, not the plan's
        assert statistics.memory_mb is None or statistics.memory_mb > 0
    assert any(record.statistics.memory_mb for record in campaign.records)
    assert {record.clock for record in campaign.records} == {"wall"}


def test_a_killed_measurement_goes_on_through_the_other_backend(
    tmp_path: Path, phone: RealAdbd
) -> None:
    command = [sys.executable, "-m", "tests.real.measure_small", str(tmp_path)]
    write_profile(tmp_path, phone, "direct")
    journals = tmp_path / "runs" / "loopback-phone.small"
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as killed:
        for _ in range(3000):
            if journals.exists() and sum(map(_lines, journals.glob("*.jsonl"))) > 20:
                break
            time.sleep(0.1)
        killed.send_signal(signal.SIGKILL)
    before = sum(map(_lines, journals.glob("*.jsonl")))
    assert before > 20
    write_profile(tmp_path, phone, "server")
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    header, *records = (tmp_path / "tables/loopback-phone.small.jsonl").read_text().splitlines()
    (campaign,) = json.loads(header)["campaigns"].values()
    assert campaign["finished"]
    assert len(list(journals.glob("*.jsonl.gz"))) == 1
    blocks = {json.loads(r)["blocks"][0] for r in records if json.loads(r)["role"] == "block"}
    assert blocks == {block.key for block in SMALL.distinct_blocks()}


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


@pytest.fixture
def own_phone(tmp_path: Path) -> Iterator[RealAdbd]:
    """One that a test may unplug."""
    adbd = RealAdbd(tmp_path / "phone")
    adbd.start()
    yield adbd
    adbd.stop()


def test_a_phone_that_is_unplugged_in_a_campaign_is_waited_for(
    tmp_path: Path, own_phone: RealAdbd
) -> None:
    def unplug(done: int, _total: int) -> None:
        if done in (3, 7, 12):
            own_phone.stop()
            threading.Timer(1.5, own_phone.start).start()

    with session(tmp_path, own_phone, "direct") as opened:
        campaign = measured(opened, tmp_path / "runs", on_visit=unplug)
    assert campaign.facts["finished"]
    assert campaign.facts["rounds"] == PLAN.min_visits


def test_a_phone_that_stays_away_loses_nothing(tmp_path: Path, own_phone: RealAdbd) -> None:
    folder = tmp_path / "runs"

    def unplug(done: int, _total: int) -> None:
        if done == 10:
            own_phone.stop()

    write_profile(tmp_path, own_phone, "direct", wait_s=0)
    device = Device.find("loopback-phone", tmp_path)
    with device.open() as opened, pytest.raises((TargetLost, DeviceOffline)):
        measured(opened, folder, on_visit=unplug)
    kept = visits(folder)
    assert len(kept) >= 10
    own_phone.start()
    with device.open() as opened:
        assert measured(opened, folder).facts["finished"]
    assert visits(folder)[: len(kept)] == kept


def test_two_phones_of_one_model_share_a_campaign(
    tmp_path: Path,
    phone: RealAdbd,
    own_phone: RealAdbd,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    properties = own_phone.scripts / "properties"
    properties.write_text(properties.read_text().replace("LOOPBACK1", "LOOPBACK2"))
    write_profile(tmp_path, phone, "direct", second=own_phone)
    plan = Plan(min_visits=3, max_visits=3, runs=2, interval=0.2, duration_s=0.0, anchors=10)
    job = Run(Workspace(tmp_path), SMALL, Terminal(), replace(QUICK, table=plan))
    device = Device.find("loopback-phone", tmp_path)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))  # with nothing in it yet
    table = measure(job, device)
    assert capsys.readouterr().out.count("files were made beside the visits") == 2
    shares = {
        facts["environment"]["serial"]: {
            r.blocks[0] for r in table.records if (r.role, r.campaign) == ("block", name)
        }
        for name, facts in table.campaigns.items()
    }
    assert not shares["LOOPBACK1"] & shares["LOOPBACK2"]
    assert shares["LOOPBACK1"] | shares["LOOPBACK2"] == set(SMALL.distinct_blocks())
    assert set(table.block_values("wall")) == set(SMALL.distinct_blocks())
    anchors = {e.blocks for e in calibration_entries(SMALL, plan.anchors) if e.role == "anchor"}
    for name in table.campaigns:  # either calibrates with what both measured
        assert {record.blocks for record in table.select("anchor", "wall", name)} == anchors
        own = {r.blocks for r in table.records if r.campaign == name and r.role == "anchor"}
        assert IN_COMMON <= len(own) < len(anchors)
    again = measure(job, device)  # nothing is left to do
    assert set(again.records) == set(table.records)


def test_phones_that_differ_do_not_share_a_campaign(
    tmp_path: Path, phone: RealAdbd, own_phone: RealAdbd
) -> None:
    (own_phone.scripts / "settings-low_power").write_text("1\n")
    write_profile(tmp_path, phone, "direct", second=own_phone)
    job = Run(Workspace(tmp_path), SMALL, Terminal(), QUICK)
    with pytest.raises(TableError, match=r"battery_saver = 'on'.*cannot share a campaign"):
        measure(job, Device.find("loopback-phone", tmp_path))
    assert not list((tmp_path / "tables").glob("*"))


def test_what_changes_on_the_phone_ends_a_campaign(tmp_path: Path, own_phone: RealAdbd) -> None:
    def save_battery(done: int, _total: int) -> None:
        if done == 5:
            (own_phone.scripts / "settings-low_power").write_text("1\n")

    with (
        session(tmp_path, own_phone, "direct") as opened,
        pytest.raises(DeviceError, match="battery saver is on now, and was off"),
    ):
        measured(opened, tmp_path / "runs", on_visit=save_battery)
    assert len(visits(tmp_path / "runs")) >= 5


def test_files_deleted_on_the_phone_in_a_campaign_are_sent_again(
    tmp_path: Path, own_phone: RealAdbd
) -> None:
    def clean(done: int, _total: int) -> None:
        if done == 5:
            shutil.rmtree(own_phone.files / "harness")

    with session(tmp_path, own_phone, "direct") as opened:
        assert measured(opened, tmp_path / "runs", on_visit=clean).facts["finished"]


def test_a_hot_phone_is_given_time_to_cool_down(tmp_path: Path, phone: RealAdbd) -> None:
    thermal = phone.scripts / "dumpsys-thermalservice"
    cool = thermal.read_text()
    thermal.write_text(cool.replace("mValue=30.5", "mValue=55.0"))
    threading.Timer(6, thermal.write_text, [cool]).start()
    started = time.monotonic()
    with session(tmp_path, phone, "direct") as opened:
        campaign = measured(opened, tmp_path / "runs", Limits(max_temperature_c=40))
    assert time.monotonic() - started > 5
    assert not any("too hot" in why for record in campaign.records for why in record.suspect)


def test_a_runner_that_hangs_is_killed_and_tried_once_more(
    tmp_path: Path, phone: RealAdbd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_line_session, "START_S", 2.0)
    monkeypatch.setattr(command_line_session, "LONGEST_S", 0.2)
    monkeypatch.setattr(command_line_session, "FIRST_RUN_S", 0.6)
    runner = tmp_path / "runner"
    hung = phone.files / "hung"
    runner.write_text(
        f"#!/bin/sh\n[ -e {hung} ] || {{ touch {hung}; exec sleep 4713; }}\n"
        'exec "$PHONE_PYTHON" - "$@" <<"END"\n'
        f"{Path(__file__).with_name('benchmark_model').read_text()}\nEND\n"
    )
    hung.unlink(missing_ok=True)
    write_profile(tmp_path, phone, "direct")
    device = Device.find("loopback-phone", tmp_path)
    with Device(device.name, device.profile, runner).open() as opened:
        opened.prepare([(BLOCKS[0],)])
        started = time.monotonic()
        assert opened.load((BLOCKS[0],)) > 0
    assert 2.5 < time.monotonic() - started < 20


def test_a_network_that_takes_long_a_run_is_timed(
    tmp_path: Path, phone: RealAdbd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longer than starting, warming up and timing may take without it."""
    monkeypatch.setattr(command_line_session, "START_S", 2.0)
    monkeypatch.setattr(command_line_session, "LONGEST_S", 0.2)
    text = Path(__file__).with_name("benchmark_model").read_text()
    runner = tmp_path / "runner"
    runner.write_text(
        text.replace("        invoke()\n", "        time.sleep(1.5)\n        invoke()\n")
    )
    assert runner.read_text() != text
    write_profile(tmp_path, phone, "direct")
    device = Device.find("loopback-phone", tmp_path)
    with Device(device.name, device.profile, runner).open() as opened:
        opened.prepare([(BLOCKS[0],)])
        for _ in range(2):  # when nobody knows how long a run takes, and then
            samples = opened.visit((BLOCKS[0],), runs=5)
            assert samples.runs == 1
            assert 1.5e9 < samples.values["wall"][0] < 4e9


def test_a_delegate_that_falls_back_is_a_failure(tmp_path: Path, phone: RealAdbd) -> None:
    write_profile(tmp_path, phone, "direct", delegate="gpu")
    with Device.find("loopback-phone", tmp_path).open() as opened:
        opened.prepare([(BLOCKS[0],)])
        with pytest.raises(TargetFailed, match="GPU delegate takes nothing"):
            opened.load((BLOCKS[0],))


def with_foreign_operators(converter: TfliteConverter, workload: Workload) -> bytes:
    """A file whose operators no runtime has."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    convert_all(converter, [workload])
    model = schema.ModelT.InitFromPackedBuf(converter.path(workload).read_bytes(), 0)
    for code in model.operatorCodes:
        code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
        code.customCode = b"Foreign"
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def test_a_model_that_the_phone_cannot_load_is_named(tmp_path: Path, phone: RealAdbd) -> None:
    broken, foreign = tmp_path / "broken.tflite", tmp_path / "foreign.tflite"
    broken.write_bytes(b"not a model")
    foreign.write_bytes(with_foreign_operators(TfliteConverter(1, "float32"), (BLOCKS[0],)))
    with session(tmp_path, phone, "direct") as opened:
        with pytest.raises(FileFormatError, match=r"broken\.tflite is no \.tflite file"):
            opened.load(broken)
        with pytest.raises(TargetFailed, match=r"foreign\.tflite: .*Failed to allocate"):
            opened.load(foreign)
