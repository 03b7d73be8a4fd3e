"""`harness roofline`: intensity and throughput of found networks beside the baselines'."""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median

from harness.deploy.front import Front
from harness.device.device import Device
from harness.device.profile import profile_paths
from harness.errors import Infeasible, TableError
from harness.networks.baselines import BASELINES
from harness.pipeline.baselines import NAME
from harness.pipeline.job import Run
from harness.predictors.roofline import (
    FOUND,
    MNASNET,
    V2,
    Machine,
    MeasuredMachine,
    Roofline,
    SimulatedMachine,
    Work,
)
from harness.reports.pareto import shown_ms
from harness.runtimes.dpu.architecture import Dpu
from harness.runtimes.dpu.options import DpuOptions
from harness.spaces.block import Block
from harness.tables.batch import an_image, images_per_run, of_batch
from harness.tables.table import Table, evidence
from harness.tables.versions import differences

COMPARED = tuple(each for each in BASELINES if each.name.startswith((V2, MNASNET)))
Asked = tuple[str, str, tuple[Block, ...]]  # group, name, blocks


SMALLEST_IMAGENET = 96  # pixels


def roofline(job: Run, device: str) -> Roofline:
    """The networks of the device's front with their blocks, and the baselines.

    A simulated device simulates all of them now, whole; on others they have been timed.

    Raises:
        TableError: nothing was timed on the device, or a table is broken.
        FileFormatError: the front is broken.
    """
    path = job.workspace.front(device, job.space.name)
    front = Front.load(path, job.space) if path.exists() else None
    options = _dpu(job, device)
    timed, why_none = (None, "") if options else _baselines(job, device)
    machine = SimulatedMachine(Dpu.of(options)) if options else _timed(job, device, front, timed)
    notes = [*_caveats(job, device, front, options), *([why_none] if why_none else [])]
    points = front.points if front else ()
    found = [(FOUND, f"front:{n}", job.space.blocks(p.arch)) for n, p in enumerate(points)]
    baselines = [(V2 if V2 in b.name else b.name, b.name, b.blocks) for b in COMPARED]
    if not options and timed is None:
        baselines = []
    distinct = dict.fromkeys(block for *_, blocks in found for block in blocks if block.macs)
    networks = _works(machine, [*baselines, *found], notes)
    blocks = _works(machine, [(FOUND, block.key, (block,)) for block in distinct], notes)
    return Roofline(
        device=device,
        space=job.space.name,
        evidence=options.evidence if options else evidence(device, job.workspace.root / "tables"),
        traffic=machine.traffic,
        least=options is None,
        roofs=machine.roofs,
        networks=networks,
        blocks=blocks,
        notes=tuple(notes),
        images_per_run=images_per_run(machine.identity)
        if isinstance(machine, MeasuredMachine)
        else 1,
    )


def _dpu(job: Run, device: str) -> DpuOptions | None:
    """The model of a simulated device. An imported table has no profile; it was measured."""
    if device not in profile_paths(job.workspace.root):
        return None
    found = Device.find(device, job.workspace.root)
    own = found.options.own
    return own if isinstance(own, DpuOptions) else None


def _baselines(job: Run, device: str) -> tuple[Table | None, str]:
    """The table of baselines, where it was measured as the space's was, or why there is none."""
    path = job.workspace.table(device, NAME)
    if device not in profile_paths(job.workspace.root):
        return None, f"no baselines: nobody timed them on {device}, whose table is imported"
    if not path.exists():
        return None, f"no baselines: `harness measure --baselines --device {device}` times them"
    timed, beside = Table.load(path), job.workspace.table(device, job.space.name)
    for name, pair in differences(
        timed.identity, Table.load(beside).identity if beside.exists() else timed.identity
    ).items():
        return None, (
            f"no baselines: they were timed with {name} = {pair[0]!r}, {job.space.name} with "
            f"{pair[1]!r}; `harness measure --baselines --device {device}` times them anew"
        )
    return timed, ""


def _timed(job: Run, device: str, front: Front | None, baselines: Table | None) -> MeasuredMachine:
    """What was timed on the device, blocks and baselines; of the front also what is predicted.

    Raises:
        TableError: nothing was.
    """
    path = job.workspace.table(device, job.space.name)
    tables = [baselines] if baselines else []
    tables += [Table.load(path)] if path.exists() else []
    if not tables:
        raise TableError(
            f"nothing was timed on {device}: `harness measure --baselines --device {device}` times "
            f"baselines, `harness run --device {device} --space {job.space.name}` finds networks"
        )
    times_ms: dict[tuple[Block, ...], float] = {}
    for table in tables:
        newest = max(table.campaigns, key=lambda name: str(table.campaigns[name]["started_at"]))
        for record in table.select("network", table.clock, newest):
            times_ms[record.blocks] = record.statistics.value / 1e6
        values = table.block_values(table.clock) if table.has_blocks else {}
        times_ms |= {(block,): ns / 1e6 for block, ns in values.items() if math.isfinite(ns)}
    for point in front.points if front else ():
        times_ms[job.space.blocks(point.arch)] = shown_ms(point)
    return MeasuredMachine(tables[-1].identity, times_ms)


def _caveats(
    job: Run, device: str, front: Front | None, options: DpuOptions | None
) -> Iterator[str]:
    """What is not there and how to get it, and what the front's latencies are."""
    space = job.space.name
    if max(job.space.resolutions) < SMALLEST_IMAGENET:
        yield "the baselines are networks for ImageNet at 224 pixels, far larger than those of here"
    if front is None:
        yield (
            f"baselines alone: there is no {job.workspace.front(device, space)}; "
            f"`harness search --front --device {device} --space {space}` makes it"
        )
    if options:
        if front and front.simulated != options.evidence:
            yield f"the front was found with another model ({front.simulated}); simulated anew"
        return
    if front:
        seen = sum(point.latency_ms_measured is not None for point in front.points)
        yield f"found networks: {seen} measured, {len(front.points) - seen} predicted"


def _works(machine: Machine, asked: Sequence[Asked], notes: list[str]) -> tuple[Work, ...]:
    """What each does; those that cannot be told are noted, by reason."""
    works, left_out = [], defaultdict(list)
    for group, name, blocks in asked:
        try:
            works.append(machine.work(group, name, blocks))
        except (Infeasible, TableError) as error:
            left_out[str(error)].append(name)
    for why, names in left_out.items():
        others = f" and {len(names) - 1} others" if len(names) > 1 else ""
        notes.append(f"left out: {names[0]}{others}: {why}")
    return tuple(works)


def describe(shown: Roofline) -> Iterator[str]:
    """What stands behind it, each network, and how the found ones compare."""
    yield f"{shown.device}: {shown.evidence}"
    yield f"traffic: {shown.traffic}"
    for roof in shown.roofs:
        yield f"roof: {roof.peak_gops:.4g} GOPS, {roof.gb_s:.3g} GB/s {roof.what}"
    if not shown.roofs:
        yield "no roof: nobody measured how much the machine computes and moves at most"
    yield from shown.notes
    least, most = (">=", "<=") if shown.least else ("", "")
    images = shown.images_per_run
    if images > 1:
        yield f"MACs, ms and MB are of a run{of_batch(images)}"
    yield (
        f"{'network':<20} {'MACs, M':>9} {'ms':>9} {'GOPS':>9} {least + 'MB':>9} "
        f"{most + 'OPs/byte':>11}"
    )
    for work in shown.networks:
        yield (
            f"{work.name:<20} {work.macs / 1e6:9.2f} {work.latency_ms:9.4g} {work.gops:9.4g} "
            f"{work.traffic_bytes / 1e6:9.4g} {work.ops_per_byte:11.4g}"
            f"{an_image(work.latency_ms, images)}"
        )
    found = shown.group(FOUND)
    for baseline in shown.networks:
        if found and baseline.name in (MNASNET, V2):
            yield from _compared(found, baseline)


def _compared(found: Sequence[Work], baseline: Work) -> Iterator[str]:
    intensity = [work.ops_per_byte / baseline.ops_per_byte for work in found]
    speed = [work.gops / baseline.gops for work in found]
    near = min(
        range(len(found)), key=lambda n: abs(math.log(found[n].latency_ms / baseline.latency_ms))
    )
    yield (
        f"found / {baseline.name}, median of {len(found)} (least to most): "
        f"{_spread(intensity)} in OPs/byte, {_spread(speed)} in GOPS; nearest in time, "
        f"{found[near].name}: {intensity[near]:.2f}x and {speed[near]:.2f}x"
    )


def _spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


def save(job: Run, shown: Roofline) -> list[Path]:
    """The picture and its figures, in the report's folder."""
    from harness.reports.roofline import save_roofline

    return save_roofline(shown, job.workspace.report(shown.device, shown.space))
