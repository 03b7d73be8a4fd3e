"""`harness breakdown`: where the time and energy of a network, or a pipeline of networks, go."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.device.device import Device
from harness.errors import TableError, UsageError
from harness.pipeline.benchmark import profile_ops
from harness.pipeline.current import check_current
from harness.pipeline.job import Run
from harness.pipeline.networks import network_named
from harness.predictors.breakdown import Network, Part, break_down
from harness.tables.batch import an_image, of_batch
from harness.tables.table import Table

LISTED = 12  # blocks and types of operators that are written out


def breakdown(job: Run, device: str, asked: Sequence[str]) -> list[Part]:
    """Parts of the networks in one request, by the device's tables.

    Raises:
        UsageError: what was asked for is no network.
        TableError: there is no table, or it lacks a block.
    """
    latency = Table.load(job.workspace.table(device, job.space.name))
    check_current(job, latency)
    asked_for = networks(job, device, asked)
    job.console.say(_about(latency))
    path = job.workspace.table(device, job.space.name, "energy")
    if path.exists():
        try:
            return break_down(asked_for, latency, Table.load(path))
        except TableError as error:
            job.console.say(f"without energies: {error}")
    return break_down(asked_for, latency)


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


def _about(table: Table) -> str:
    """What the numbers are."""
    if table.simulated is not None:
        return f"{table.device}, {table.simulated}; a map that stays on the chip saves time"
    since = table.campaigns[table.calibrating_campaign()]["started_at"]
    return (
        f"{table.device}, predicted from its table, {table.clock} clock at full speed, as of "
        f"{since}; what verifying measured is in the report"
    )


def describe(parts: Sequence[Part]) -> Iterator[str]:
    """The networks, then the most expensive blocks of all."""
    latency_ms = sum(part.latency_ms for part in parts)
    energies = [part.energy_mj for part in parts if part.energy_mj is not None]
    energy_mj = sum(energies) if energies else None
    names = list(dict.fromkeys(part.network for part in parts))
    images = parts[0].images_per_run
    used = "" if energy_mj is None else f", {energy_mj:.4g} mJ{an_image(energy_mj, images, 'mJ')}"
    yield (
        f"one request{of_batch(images)}: {len(names)} network(s), "
        f"{latency_ms:.4g} ms{an_image(latency_ms, images)}{used}"
    )
    yield f"{'network':<42} {_heading(energy_mj)}"
    for name in names:
        own = [part for part in parts if part.network == name]
        yield f"{name:<42.42} {_figures(own, latency_ms, energy_mj)}"
    ordered = sorted(parts, key=lambda part: -part.latency_ms)
    yield f"{'block':<72} {_heading(energy_mj)}"
    for part in ordered[:LISTED]:
        where = part.what if len(names) == 1 else f"{part.network} {part.what}"
        yield f"{part.place:>3} {where:<68.68} {_figures([part], latency_ms, energy_mj)}"
    rest = ordered[LISTED:]
    if rest:
        yield f"    {f'{len(rest)} others':<68} {_figures(rest, latency_ms, energy_mj)}"


def _heading(energy_mj: float | None) -> str:
    return f"{'ms':>9} {'share':>6}" + ("" if energy_mj is None else f" {'mJ':>9} {'share':>6}")


def _figures(parts: Sequence[Part], latency_ms: float, energy_mj: float | None) -> str:
    own_ms = sum(part.latency_ms for part in parts)
    text = f"{own_ms:9.4f} {own_ms / latency_ms:6.1%}"
    if energy_mj is not None:
        own_mj = sum(part.energy_mj or 0.0 for part in parts)
        text += f" {own_mj:9.4f} {own_mj / energy_mj:6.1%}"
    return text


def describe_ops(job: Run, device: Device, asked: Sequence[str]) -> Iterator[str]:
    """Types of operators in one request, profiled on the device now.

    Raises:
        UsageError: the device's runtime does not tell.
        DeviceError: the device cannot be used.
    """
    for network in networks(job, device.name, asked):
        ops = profile_ops(device, network.blocks)
        total_ms = sum(each.mean_ms for each in ops)
        request_ms, images = total_ms * network.calls, device.options.batch
        yield (
            f"{network.name}: operators, profiled now: {request_ms:.4g} ms a request"
            f"{of_batch(images)}{an_image(request_ms, images)} "
            "(profiling takes time itself: only the shares tell)"
        )
        yield f"  {'operator':<40} {'runs':>5} {'ms':>9}    {'share':>6}"
        for each in ops[:LISTED]:
            own_ms = network.calls * each.mean_ms
            share = each.mean_ms / total_ms if total_ms else 0.0
            count = network.calls * each.count
            yield f"  {each.op:<40.40} {count:>5} {own_ms:9.4f} ms {share:6.1%}"


def save(job: Run, device: str, parts: Sequence[Part]) -> list[Path]:
    """The picture and its figures, in the report's folder."""
    from harness.reports.breakdown import save_breakdown

    table = Table.load(job.workspace.table(device, job.space.name))
    label = device if table.simulated is None else f"{device} (simulated)"
    return save_breakdown(parts, label, job.workspace.report(device, job.space.name))
