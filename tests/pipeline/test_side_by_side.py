"""Devices that do not share hardware are measured at the same time."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from harness.cli.terminal import Terminal
from harness.device.device import Device
from harness.effort import QUICK
from harness.errors import DeviceError
from harness.measuring.plan import Plan
from harness.pipeline.job import Run
from harness.pipeline.steps import measure, on_each
from harness.tables.table import Table
from harness.transports.local import LocalTransport
from harness.transports.transport import Transport
from harness.workspace import Workspace
from tests.real.small_space import SMALL

SHORT = Plan(min_visits=4, max_visits=6, runs=2, interval=0.2, duration_s=4.0, anchors=4)


class Elsewhere(Device):
    """This computer under another name: what a second computer would be."""

    @property
    def hardware(self) -> str:
        return "elsewhere"

    def _transport(self) -> Transport:
        transport = LocalTransport()
        transport.hardware = self.hardware
        return transport


def span_s(table: Table) -> tuple[float, float]:
    facts = table.campaigns[table.block_campaign()]
    start = datetime.fromisoformat(facts["started_at"]).timestamp()
    return start, start + facts["took_s"]


def test_two_devices_are_measured_at_the_same_time_into_two_whole_tables(
    tmp_path: Path,
) -> None:
    here = Device.find("cpu", tmp_path)
    there = Elsewhere("cpu-elsewhere", here.profile)
    job = Run(Workspace(tmp_path), SMALL, Terminal(), replace(QUICK, table=SHORT))
    tables = on_each([here, there], lambda device: measure(job, device))
    assert [table.device for table in tables] == ["cpu", "cpu-elsewhere"]
    (start, end), (other_start, other_end) = map(span_s, tables)
    assert max(start, other_start) < min(end, other_end)
    for table in tables:
        blocks = table.select("block", table.clock, table.block_campaign())
        assert {record.blocks[0] for record in blocks} == set(SMALL.distinct_blocks())


def test_one_that_fails_does_not_stop_the_other(tmp_path: Path) -> None:
    profile = Device.find("cpu", tmp_path).profile
    devices = [Elsewhere("broken", profile), Device("fine", profile)]
    done = []

    def task(device: Device) -> None:
        if device.name == "broken":
            raise DeviceError("unplugged")
        done.append(device.name)

    with pytest.raises(DeviceError, match="unplugged"):
        on_each(devices, task)
    assert done == ["fine"]


def test_devices_on_the_same_hardware_take_turns(tmp_path: Path) -> None:
    profile = Device.find("cpu", tmp_path).profile
    order: list[str] = []

    def task(device: Device) -> None:
        order.extend([f"{device.name} begins", f"{device.name} ends"])

    on_each([Device("a", profile), Device("b", profile)], task)
    assert order == ["a begins", "a ends", "b begins", "b ends"]
