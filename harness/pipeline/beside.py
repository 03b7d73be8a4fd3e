"""Devices of others beside one's own, in reports and comparisons, by published networks."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import HarnessError, TableError, UsageError
from harness.hints import command
from harness.networks.baselines import BASELINES, CLASSES
from harness.pipeline.baselines import NAME as BASELINES_TABLE
from harness.pipeline.baselines import newest_times
from harness.pipeline.elsewhere import from_own_device
from harness.pipeline.job import Run
from harness.reports.beside import Beside, Other, Timed, by_our_names
from harness.tables.compare import load_revision
from harness.tables.imported import PREFIX, ImportedDevice, NetworkTime, find_imported, load_all
from harness.tables.repeat import Repeat
from harness.tables.table import Table


def beside(job: Run, here: str, points: int, names: Sequence[str]) -> Beside:
    """The imported devices `names`, and what the `points` networks of the front of `here` take
    there.

    Raises:
        UsageError: there is no such device.
    """
    path = job.workspace.table(here, BASELINES_TABLE)
    table = Table.load(path) if path.exists() else None
    own = {} if table is None or table.images_per_run > 1 else own_times(table)
    return Beside(own, tuple(_other(job, here, points, name) for name in dict.fromkeys(names)))


def own_times(table: Table) -> dict[str, Timed]:
    """Published networks that were timed on a device of one's own, ms, by name."""
    repeat, times = Repeat.of(table), newest_times(table)
    found: dict[str, Timed] = {}
    for each in BASELINES:
        if (time := times.get(each.blocks)) is not None:
            ends = None if table.simulated else repeat.interval(time)
            interval = None if ends is None else (ends[0] / 1e6, ends[1] / 1e6)
            found[each.name] = time.value / 1e6, interval
    return found


def _found(job: Run, name: str) -> tuple[ImportedDevice, str]:
    """An imported device and its source; raises UsageError where there is none."""
    sources = load_all(job.workspace.imported)
    device = find_imported(name, sources)
    (source,) = (each.source for each in sources if device in each.devices)
    return device, source


def _other(job: Run, here: str, points: int, name: str) -> Other:
    device, source = _found(job, name)
    if job.space.classes != CLASSES:
        why = "networks of ImageNet alone tell how devices compare, and these are none"
        return Other(device, source, (), why)
    asked = [f"front:{number}" for number in range(points)]
    try:
        found = from_own_device(job, asked, device.name, here)
    except HarnessError as error:  # the page is for what there is
        return Other(device, source, (), str(error))
    timed = tuple((each.latency_ms, each.latency_ms_interval) for each in found)
    return Other(device, source, timed, found[0].rests_on)


@dataclass(frozen=True)
class ComparedDevices:
    """Networks that were timed on two devices, one of them of others."""

    old: str  # what it is
    new: str
    times: tuple[tuple[str, NetworkTime, NetworkTime], ...]  # by network: old, new


def compare_imported(job: Run, old: str, new: str) -> ComparedDevices:
    """A device of others against another, or against baselines that were timed here.

    Raises:
        UsageError: there is no such device, or a table has no baselines.
        TableError: they have no network in common, or a table is broken.
    """
    (what_old, before), (what_new, after) = (_whole_networks(job, name) for name in (old, new))
    times = tuple((name, before[name], after[name]) for name in before if name in after)
    if not times:
        raise TableError(f"{old} and {new} have no network in common")
    return ComparedDevices(what_old, what_new, times)


def _whole_networks(job: Run, name: str) -> tuple[str, dict[str, NetworkTime]]:
    """What it is, and its published networks by our names where we have them."""
    if name.startswith(PREFIX):
        device, source = _found(job, name)
        return f"{device.describe()}, imported from {source}", by_our_names(device)
    table = load_revision(name, job.workspace.root)
    if table.images_per_run > 1:
        raise UsageError(
            f"{name} has times of {table.images_per_run} images a run, and what others publish is "
            "of one"
        )
    own = own_times(table) if table.space == BASELINES_TABLE else {}
    if not own:
        raise UsageError(
            f"{name} has no whole networks to compare with an imported device: "
            f"{command('measure', '--baselines', '--device', table.device)} makes "
            f"tables/{table.device}.baselines.jsonl"
        )
    how = table.simulated or "measured here"
    return f"{table.device}, {how}", {n: NetworkTime(ms) for n, (ms, _) in own.items()}
