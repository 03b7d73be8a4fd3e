"""`harness carbon`: the paper's Table 2, our own runs, hours of work, and what inferences add."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.group import Commands
from harness.cli.options import HERE, DeviceName, Root, SpaceThere, found_there, job_for, terminal
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.carbon.account import Account
    from harness.carbon.place import Site

carbon_app = typer.Typer(cls=Commands, invoke_without_command=True)

GpuWatts = Annotated[float | None, typer.Option(min=0, help="Of a GPU (188).")]
Price = Annotated[float | None, typer.Option(min=0, help="Dollars a GPU hour (3.06).")]
Region = Annotated[str | None, typer.Option(help="Whose grid feeds it: USA, FRA, ... (or --grid).")]
Grid = Annotated[float | None, typer.Option(min=0, help="lb CO2e a kWh (0.954).")]
PlaceKind = Annotated[
    str | None,
    typer.Option(
        "--place",
        help="data-centre (PUE 1.58), office (1, also where nobody says) or edge (1, as phones and "
        "boards always).",
    ),
]
StatedPue = Annotated[float | None, typer.Option("--pue", min=1, help="Whatever the place.")]


@carbon_app.callback()
def carbon(context: typer.Context, root: Root = HERE) -> None:
    """What finding networks costs; without a command, the paper's table and our own runs."""
    if context.invoked_subcommand is None:
        table(root=root)
        runs(root=root)


@carbon_app.command()
def table(
    gpu_watts: GpuWatts = None,
    pue: StatedPue = None,
    region: Region = None,
    grid: Grid = None,
    price: Price = None,
    root: Root = HERE,
) -> None:
    """Table 2 of the OFA paper from its GPU hours, beside what is printed; and its figure."""
    from harness.carbon.place import DATA_CENTRE, pue_of
    from harness.reports.carbon import save_deployments

    place = replace(_place(region, grid), pue=pue_of(None, pue, DATA_CENTRE))
    place = place if gpu_watts is None else replace(place, gpu_w=gpu_watts)
    place = place if price is None else replace(place, gpu_usd_per_h=price)
    terminal().say(*_table_in_words(place))
    terminal().say(*map(str, save_deployments(root / "reports" / "carbon", place)))


@carbon_app.command()
def runs(
    watts: Annotated[
        float | None, typer.Option(min=0, help="Assumed of each rank without a counter.")
    ] = None,
    place: PlaceKind = None,
    pue: StatedPue = None,
    region: Region = None,
    grid: Grid = None,
    root: Root = HERE,
) -> None:
    """What the runs below the root recorded of what they used."""
    from harness.carbon.place import OFFICE, pue_of
    from harness.pipeline.carbon import own_runs

    where = replace(_place(region, grid), pue=pue_of(place, pue, OFFICE))
    terminal().say(*_runs_in_words(own_runs(root, watts, where)))


@carbon_app.command()
def work(
    hours: Annotated[float, typer.Argument(min=0, help="That it took.")],
    hardware: Annotated[
        str | None, typer.Option(help="That did it: v100-sxm2, t4, ... (or --watts).")
    ] = None,
    watts: Annotated[float | None, typer.Option(min=0, help="Of one of any other.")] = None,
    count: Annotated[int, typer.Option(min=1, help="How many of it at once.")] = 1,
    place: PlaceKind = None,
    pue: StatedPue = None,
    region: Region = None,
    grid: Grid = None,
) -> None:
    """Hours on hardware, with the source of each input beside the result."""
    from harness.carbon.factors import (
        GRID_SOURCE,
        POWER_SOURCE,
        HardwareHours,
        hardware_pue,
        hardware_w,
    )
    from harness.carbon.place import GRID_LB_PER_KWH, KG_PER_LB, pue_of

    if (hardware is None) == (watts is None):
        raise UsageError("it takes either --hardware or --watts: what draws the power")
    if watts is not None:
        done = HardwareHours(hours, count, watts, "as stated")
    else:
        source = f"{hardware}, {POWER_SOURCE}"
        done = HardwareHours(hours, count, hardware_w(str(hardware)), source)
    where = replace(_place(region, grid), pue=pue_of(place, pue, hardware_pue(hardware)))
    usual = where.grid_lb_per_kwh == GRID_LB_PER_KWH
    fed_by = "the US mean of the paper's source" if usual else "as stated"
    if region is not None:
        fed_by = f"{region.upper()}, {GRID_SOURCE}"
    terminal().say(
        f"{done.hours:g} h x {done.count} x {done.watts:g} W ({done.power_from}): "
        f"{done.kwh():.4g} kWh; x {where.pue} x "
        f"{where.grid_lb_per_kwh * KG_PER_LB * 1000:.4g} g CO2e a kWh ({fed_by}): "
        f"{done.kg(where):.4g} kg CO2e"
    )


@carbon_app.command()
def inferences(
    device: DeviceName,
    arch: Annotated[str, typer.Option(help="The network: `front:7`, or a file.")],
    count: Annotated[float, typer.Option(min=1, help="How often it is used.")] = 1e6,
    space: SpaceThere = None,
    place: PlaceKind = None,
    pue: StatedPue = None,
    region: Region = None,
    grid: Grid = None,
    root: Root = HERE,
) -> None:
    """What inferences of a network add, by the device's table of energies."""
    from harness.carbon.account import inferences_kg
    from harness.carbon.place import EDGE, OFFICE, pue_of
    from harness.pipeline.carbon import inference_energy, is_edge
    from harness.tables.batch import of_batch

    device, space = found_there(device, space, root)
    job = job_for(space, root)
    usual = pue_of(None, pue, EDGE) if is_edge(root, device) else pue_of(place, pue, OFFICE)
    where = replace(_place(region, grid), pue=usual)
    used = inference_energy(job, device, arch)
    kg = inferences_kg(used.image_mj, count, where)
    one = used.images == 1
    batch = "" if one else f", {used.run_mj:.4g} mJ a run{of_batch(used.images)}"
    terminal().say(
        f"{arch} on {device}: {used.image_mj:.4g} mJ an inference (predicted from measured "
        f"blocks{batch}), {count:,.0f} of them {kg:.3g} kg CO2e; {where.pue}"
    )


def _place(region: str | None, grid: float | None) -> "Site":
    """Table 2's, but for what is said of the grid.

    Raises:
        UsageError: it is said twice, or the region is not in the list.
    """
    from harness.carbon.factors import grid_lb_per_kwh
    from harness.carbon.place import Site

    if region is not None and grid is not None:
        raise UsageError("--region and --grid both say how clean the grid is: give one")
    lb_per_kwh = grid_lb_per_kwh(region) if region else grid
    return Site() if lb_per_kwh is None else Site(grid_lb_per_kwh=lb_per_kwh)


def _table_in_words(place: "Site") -> Iterator[str]:
    """Computed beside printed, with the reason where they differ."""
    from harness.carbon.place import Site
    from harness.carbon.table_2 import DEPLOYMENTS, table_2

    rows = table_2(place)
    yield (
        f"Table 2 of the OFA paper, {DEPLOYMENTS} deployments; {place.gpu_w:.1f} W a GPU x "
        f"{place.pue} x {place.grid_lb_per_kwh:g} lb/kWh, ${place.gpu_usd_per_h:.2f} a GPU hour"
    )
    heading = ("CO2e, 1000 lb", "printed", "cost, $1000", "printed")
    yield f"{'method':<20}{'GPU hours':>11}" + "".join(f"{each:>15}" for each in heading)
    usual = place == Site()
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


def _runs_in_words(found: "Mapping[str, Account]") -> Iterator[str]:
    from harness.reports.cost import energy

    yield f"own runs: {len(found)} that recorded what they used; --place says where they ran"
    for name, used in found.items():
        yield f"  {name}: {used.hours:.3g} h; {energy(used)}"
