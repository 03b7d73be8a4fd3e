"""`harness carbon`: Table 2 recomputed, our own runs, and what inferences of a network add."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files
from harness.carbon.account import Account, Recorded, account, inferences_kg
from harness.carbon.factors import GRID_SOURCE, HardwareHours
from harness.carbon.place import GRID_LB_PER_KWH, KG_PER_LB, OFFICE, Place
from harness.carbon.table_2 import DEPLOYMENTS, table_2
from harness.device.profile import load_profile, profile_paths
from harness.errors import FileFormatError, UsageError
from harness.pipeline.breakdown import networks
from harness.pipeline.job import Run
from harness.predictors.breakdown import break_down
from harness.reports.carbon import save_deployments
from harness.reports.cost import energy
from harness.schema import checked
from harness.tables.batch import of_batch
from harness.tables.table import Table


@dataclass(frozen=True)
class Deployed:
    """A network that is used so often."""

    device: str
    arch: str  # as of `breakdown`: front:7, or a file
    inferences: float = 1e6


def describe_table(place: Place) -> Iterator[str]:
    """Computed beside printed, with the reason where they differ."""
    rows = table_2(place)
    yield (
        f"Table 2 of the OFA paper, {DEPLOYMENTS} deployments; {place.gpu_w:.1f} W a GPU x "
        f"{place.pue} x {place.grid_lb_per_kwh:g} lb/kWh, ${place.gpu_usd_per_h:.2f} a GPU hour"
    )
    heading = ("CO2e, 1000 lb", "printed", "cost, $1000", "printed")
    yield f"{'method':<20}{'GPU hours':>11}" + "".join(f"{each:>15}" for each in heading)
    usual = place == Place()
    for row in rows:
        printed = row.method.printed_co2e_klb, row.method.printed_cost_kusd
        marks = [
            text if same or not usual else f"{text} *"
            for text, same in zip(printed, (row.co2e_as_printed, row.cost_as_printed), strict=True)
        ]
        cells = (row.co2e_klb, marks[0], row.cost_kusd, marks[1])
        line = "".join(f"{each:>15}" for each in cells)
        yield f"{row.method.name:<20}{row.gpu_h:>11,.0f}{line}"
    if usual:
        same = sum(row.co2e_as_printed for row in rows), sum(row.cost_as_printed for row in rows)
        yield f"as printed: {same[0]} of {len(rows)} CO2e and {same[1]} of {len(rows)} costs; *:"
        for row in rows:
            if row.method.misprint:
                yield f"  {row.method.name}: {row.method.misprint}"


def describe_work(work: HardwareHours, place: Place, region: str | None) -> str:
    """Hours on hardware in a place, with where each input comes from."""
    usual = place.grid_lb_per_kwh == GRID_LB_PER_KWH
    grid = "the US mean of the paper's source" if usual else "as stated"
    if region is not None:
        grid = f"{region.upper()}, {GRID_SOURCE}"
    return (
        f"{work.hours:g} h x {work.count} x {work.watts:g} W ({work.power_from}): "
        f"{work.kwh():.4g} kWh; x {place.pue} x "
        f"{place.grid_lb_per_kwh * KG_PER_LB * 1000:.4g} g CO2e a kWh ({grid}): "
        f"{work.kg(place):.4g} kg CO2e"
    )


def own_run(root: Path, name: str | None) -> Account | None:
    """The account of one run in an office; None where it has no record, or one that is broken."""
    try:
        return _accounts(root, str(name), None, Place(pue=OFFICE)).get(str(name))
    except FileFormatError:
        return None


def own_runs(root: Path, assumed_w: float | None, place: Place) -> dict[str, Account]:
    """The account of each run that recorded what it used, by its folder.

    Raises:
        FileFormatError: a record is broken.
    """
    return _accounts(root, "*", assumed_w, place)


def _accounts(root: Path, runs: str, assumed_w: float | None, place: Place) -> dict[str, Account]:
    sessions: dict[str, list[Mapping[str, Any]]] = {}
    for path in sorted((root / "runs").glob(f"{runs}/emissions.rank-*.json")):
        try:
            found = checked(list[Recorded], files.read_json(path))
        except ValueError as error:
            raise FileFormatError(
                f"{path} is no record of emissions: {error}; move it away"
            ) from error
        sessions.setdefault(path.parent.name, []).extend(found)
    return {name: account(found, assumed_w, place) for name, found in sessions.items()}


def describe_runs(found: dict[str, Account]) -> Iterator[str]:
    yield f"own runs: {len(found)} that recorded what they used; --place says where they ran"
    for name, used in found.items():
        yield f"  {name}: {used.hours:.3g} h; {energy(used)}"


def is_edge(job: Run, device: str) -> bool:
    """Whether nothing around it is run for it, by its profile where that is still there."""
    root = job.workspace.root
    return device in profile_paths(root) and load_profile(device, root).is_edge


def describe_inferences(job: Run, deployed: Deployed, place: Place) -> str:
    """What inferences of a network add, by the device's table of energies.

    Raises:
        UsageError: the device has no energies.
    """
    path = job.workspace.table(deployed.device, job.space.name, "energy")
    if not path.exists():
        raise UsageError(
            f"there are no energies of {deployed.device} (no {path}): "
            f"`harness measure --energy --device {deployed.device}` measures them"
        )
    latency = Table.load(job.workspace.table(deployed.device, job.space.name))
    parts = break_down(networks(job, deployed.device, [deployed.arch]), latency, Table.load(path))
    images = latency.images_per_run
    run_mj = sum(part.energy_mj or 0.0 for part in parts)
    kg = inferences_kg(run_mj / images, deployed.inferences, place)
    batch = "" if images == 1 else f", {run_mj:.4g} mJ a run{of_batch(images)}"
    return (
        f"{deployed.arch} on {deployed.device}: {run_mj / images:.4g} mJ an inference (predicted "
        f"from measured blocks{batch}), {deployed.inferences:,.0f} of them {kg:.3g} kg CO2e; "
        f"{place.pue}"
    )


def save(job: Run, place: Place) -> list[Path]:
    """The figure of cost against deployments, with its data."""
    return save_deployments(job.workspace.root / "reports" / "carbon", place)
