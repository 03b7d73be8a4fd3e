"""`harness roofline`: intensity and throughput of found networks beside the baselines'."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.deploy.front import Front
from harness.device.device import Device
from harness.device.profile import profile_paths
from harness.errors import Infeasible, TableError
from harness.hints import command
from harness.networks.baselines import BASELINES
from harness.pipeline.baselines import NAME, newest_times
from harness.pipeline.job import Run
from harness.predictors.roofline import (
    FOUND,
    MNASNET,
    V2,
    FarSmaller,
    LeftOut,
    Machine,
    MeasuredMachine,
    NoBaselines,
    NoFront,
    Note,
    OfFront,
    OtherModel,
    Roofline,
    RooflinePoint,
    SimulatedMachine,
)
from harness.reports.pareto import shown_ms
from harness.runtimes.dpu.architecture import Dpu
from harness.runtimes.dpu.options import DpuOptions
from harness.spaces.block import Block
from harness.tables.batch import images_per_run
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
    timed, why_none = (None, None) if options else _baselines(job, device)
    machine = SimulatedMachine(Dpu.of(options)) if options else _timed(job, device, front, timed)
    notes: list[Note] = [*_caveats(job, device, front, options), *([why_none] if why_none else [])]
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


def _baselines(job: Run, device: str) -> tuple[Table | None, NoBaselines | None]:
    """The table of baselines, where it was measured as the space's was, or why there is none."""
    path = job.workspace.table(device, NAME)
    if device not in profile_paths(job.workspace.root):
        return None, NoBaselines(imported=True)
    if not path.exists():
        return None, NoBaselines()
    timed, beside = Table.load(path), job.workspace.table(device, job.space.name)
    for name, pair in differences(
        timed.identity, Table.load(beside).identity if beside.exists() else timed.identity
    ).items():
        return None, NoBaselines(apart=(name, *pair))
    return timed, None


def _timed(job: Run, device: str, front: Front | None, baselines: Table | None) -> MeasuredMachine:
    """What was timed on the device, blocks and baselines; of the front also what is predicted.

    Raises:
        TableError: nothing was.
    """
    path = job.workspace.table(device, job.space.name)
    tables = [baselines] if baselines else []
    tables += [Table.load(path)] if path.exists() else []
    if not tables:
        measure = command("measure", "--baselines", "--device", device)
        run = command("run", "--device", device, "--space", job.space.name)
        raise TableError(
            f"nothing was timed on {device}: {measure} times baselines, {run} finds networks"
        )
    times_ms: dict[tuple[Block, ...], float] = {}
    for table in tables:
        times_ms |= {blocks: time.value / 1e6 for blocks, time in newest_times(table).items()}
        visited = table.blocks(table.clock) if table.has_blocks else {}
        times_ms |= {(block,): each.statistics.value / 1e6 for block, each in visited.items()}
    for point in front.points if front else ():
        times_ms[job.space.blocks(point.arch)] = shown_ms(point)
    return MeasuredMachine(tables[-1].identity, times_ms)


def _caveats(
    job: Run, device: str, front: Front | None, options: DpuOptions | None
) -> Iterator[Note]:
    """What is not there, and what the front's latencies are."""
    if max(job.space.resolutions) < SMALLEST_IMAGENET:
        yield FarSmaller()
    if front is None:
        yield NoFront(job.workspace.front(device, job.space.name))
    if options:
        if front and front.simulated != options.evidence:
            yield OtherModel(str(front.simulated))
        return
    if front:
        seen = sum(point.latency_ms_measured is not None for point in front.points)
        yield OfFront(seen, len(front.points) - seen)


def _works(
    machine: Machine, asked: Sequence[Asked], notes: list[Note]
) -> tuple[RooflinePoint, ...]:
    """What each does; those that cannot be told are noted, by reason."""
    works, left_out = [], defaultdict(list)
    for group, name, blocks in asked:
        try:
            works.append(machine.work(group, name, blocks))
        except (Infeasible, TableError) as error:
            left_out[str(error)].append(name)
    notes += [LeftOut(tuple(names), why) for why, names in left_out.items()]
    return tuple(works)


def save(job: Run, shown: Roofline) -> list[Path]:
    """The picture and its figures, in the report's folder."""
    from harness.reports.roofline import save_roofline

    return save_roofline(shown, job.workspace.report(shown.device, shown.space))
