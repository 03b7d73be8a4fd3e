"""`harness breakdown`: where the time and energy of a network, or a pipeline of networks, go."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.device.device import Device
from harness.errors import TableError, UsageError
from harness.pipeline.benchmark import profile_ops
from harness.pipeline.current import check_current
from harness.pipeline.job import Run
from harness.pipeline.networks import network_named
from harness.pipeline.notices import WithoutEnergies
from harness.predictors.breakdown import Network, Part, break_down
from harness.runtimes.session import OpTime
from harness.tables.table import Table


@dataclass(frozen=True)
class Breakdown:
    """Parts of networks in one request, and the table that tells them."""

    parts: Sequence[Part]
    latencies: Table


def breakdown(job: Run, device: str, asked: Sequence[str]) -> Breakdown:
    """Parts of the networks in one request, by the device's tables.

    Raises:
        UsageError: what was asked for is no network.
        TableError: there is no table, or it lacks a block.
    """
    latency = Table.load(job.workspace.table(device, job.space.name))
    check_current(job, latency)
    asked_for = networks(job, device, asked)
    path = job.workspace.table(device, job.space.name, "energy")
    if path.exists():
        try:
            return Breakdown(break_down(asked_for, latency, Table.load(path)), latency)
        except TableError as error:
            job.listener.tell(WithoutEnergies(str(error)))
    return Breakdown(break_down(asked_for, latency), latency)


def networks(job: Run, device: str, asked: Sequence[str]) -> list[Network]:
    """Networks by what users write: `front:7`, an arch file or a network file, with `@3` calls.

    Raises:
        UsageError: there is no such file, or the number of calls is none.
        FileFormatError: the file is broken.
    """
    found: dict[str, Network] = {}
    for text in asked:
        match = re.fullmatch(r"(.+?)(?:@(\d{1,6}))?", text)
        name, calls = (match[1], int(match[2] or 1)) if match else (text, 1)
        if not calls:
            raise UsageError(f"--arch {text!r}: 0 is no number of calls; write {name}@3")
        if name in found:
            raise UsageError(f"--arch names {name} twice; say how often it is called: {name}@2")
        found[name] = Network(text, network_named(job, device, name).blocks, calls)
    return list(found.values())


@dataclass(frozen=True)
class ProfiledNetwork:
    """What a network's types of operators take in one run of it, the longest first."""

    network: Network
    ops: Sequence[OpTime]
    images: int  # of the run


def profile_networks(job: Run, device: Device, asked: Sequence[str]) -> Iterator[ProfiledNetwork]:
    """The networks, profiled on the device now.

    Raises:
        UsageError: one is no network.
        DeviceError: the device cannot be used.
    """
    for network in networks(job, device.name, asked):
        ops = profile_ops(device, network.blocks)
        yield ProfiledNetwork(network, ops, device.options.batch)


def save(job: Run, found: Breakdown) -> list[Path]:
    """The picture and its figures, in the report's folder."""
    from harness.reports.breakdown import save_breakdown

    table = found.latencies
    label = table.device if table.simulated is None else f"{table.device} (simulated)"
    return save_breakdown(found.parts, label, job.workspace.report(table.device, table.space))
