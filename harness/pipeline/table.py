"""Measuring a device's latency table, and keeping it up to date."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import files
from harness.device.device import Device
from harness.errors import DeviceError, InfeasibleConstraint, TableError, UsageError
from harness.measuring.campaign import Campaign, Work, latest_campaign, run_campaign
from harness.measuring.forecast import forecast
from harness.measuring.plan import FEWEST_ANCHORS, Entry, Plan, refit_entries, table_entries
from harness.measuring.simulation import simulate
from harness.pipeline.current import simulated_otherwise
from harness.pipeline.job import Run
from harness.pipeline.side_by_side import on_each
from harness.predictors.block_table import BlockTablePredictor
from harness.runtimes.session import Session, SimulatedSession
from harness.spaces.space import Space
from harness.tables.table import Table
from harness.tables.versions import differences

_FORGOTTEN = "window_s"  # older tables of energies told it; it does not change them


def measure(job: Run, device: Device) -> Table:
    """The device's latency table for the space, at the resolutions that `job.space` has.

    Several phones of one model share its blocks; all of them measure the networks and the sentinel,
    by which the table brings them to one level.
    """
    if not job.space.built:
        raise UsageError(
            f"networks of {job.space.name} are not built here yet, so that nothing of them can be "
            "measured: `harness tables import --format hat` reads latencies of others"
        )
    if job.quantity == "energy" and device.profile.simulated:
        raise DeviceError(f"{device.name} is simulated, and its model tells no energies")
    if job.accuracy is None and not job.can_train:
        job.console.say(
            f"no accuracies for {job.space.name} come from here: a search in this table will need "
            "--accuracy (a released predictor, a CSV of evaluated networks, a function)"
        )
    units = device.units
    check_alike(units)
    shares = {unit: (number, len(units)) for number, unit in enumerate(units)}
    measured = on_each(units, lambda unit: _measure_share(job, unit, shares[unit]))
    table, _ = measured[0]
    campaigns = [campaign for _, campaign in measured if campaign is not None]
    for campaign in campaigns:
        _check_runs(device, job.space, campaign)
    return add_campaigns(table_path(job, device), table, campaigns) if campaigns else table


def _check_runs(device: Device, space: Space, campaign: Campaign) -> None:
    """Raises InfeasibleConstraint where a device can run next to no network of the space."""
    infeasible: dict[str, str] = campaign.facts.get("infeasible", {})
    anchors = [record for record in campaign.records if record.role == "anchor"]
    if infeasible and len(anchors) < FEWEST_ANCHORS:
        block, why = next(iter(infeasible.items()))
        raise InfeasibleConstraint(
            f"{device.name} can run hardly any network of {space.name}: {len(infeasible)} blocks "
            f"cannot run, such as {block}: {why}"
        )


def check_alike(units: Sequence[Device]) -> None:
    """Whether several phones may stand in one table, before anything is measured.

    Raises:
        TableError: they differ in what a table's numbers depend on.
    """
    if len(units) < 2:
        return

    def identity(unit: Device) -> dict[str, Any]:
        with unit.open() as session:
            return unit.identity(session)

    first, *others = on_each(units, identity)
    for unit, other in zip(units[1:], others, strict=True):
        for name, (mine, theirs) in differences(first, other).items():
            raise TableError(
                f"{unit} has {name} = {theirs!r}, and {units[0]} has {mine!r}: they cannot share a "
                "campaign; give each a device of its own"
            )


def _measure_share(job: Run, unit: Device, share: tuple[int, int]) -> tuple[Table, Campaign | None]:
    """The table as it was, and what one phone (or the only device) has to add to it."""
    plan = job.effort.plan(job.quantity, unit.profile.runs_on.simulated_networks)
    entries = table_entries(job.space, plan.anchors, share)
    with unit.open(job.quantity) as session:
        identity = unit.identity(session)
        table = load_or_start(
            table_path(job, unit), unit, job.space.name, identity, job.quantity, anew=True
        )
        todo = work(job, unit, session, entries, plan)
        begun = is_begun(table, session, todo)
        done = not unit.profile.simulated and _is_measured(table, session, job, entries)
        if not job.fresh and not begun and done:
            job.console.say(
                f"{unit} is measured for {job.space.name} already; --fresh measures anew, "
                "--refit only calibrates anew, --refresh looks for what has changed"
            )
            return table, None
        fresh = job.fresh and not begun
        return table, run_on_terminal(job, unit, session, todo, "measure blocks", fresh)


def refit(job: Run, device: Device) -> Table:
    """The table with new anchors and holdouts: its level, calibration and error as of today.

    Raises:
        TableError: there is no table yet.
    """
    path = table_path(job, device)
    space = covered(Table.load(path), job.space)
    check_measured(device)
    plan = job.effort.plan(job.quantity)
    with device.open(job.quantity) as session:
        identity = device.identity(session)
        table = load_or_start(path, device, space.name, identity, job.quantity)
        todo = work(job, device, session, refit_entries(space, plan.anchors), plan)
        fresh = not is_begun(table, session, todo)
        campaign = run_on_terminal(job, device, session, todo, "calibrate anew", fresh)
        return add_campaigns(path, table, [campaign])


def check_measured(device: Device) -> None:
    """Raises UsageError where a device is simulated: the time of day changes nothing there."""
    if device.profile.simulated:
        raise UsageError(
            f"{device.name} is simulated: `harness measure` makes its whole table, always the same"
        )


def covered(table: Table, space: Space) -> Space:
    """The space at the resolutions that the table holds whole."""
    return space.at(BlockTablePredictor.from_table(table, space, table.clock).resolutions)


def run_on_terminal(
    job: Run, device: Device, session: Session, todo: Work, title: str, fresh: bool
) -> Campaign:
    """A campaign on the terminal: files first, then the plan, then the visits."""
    if not isinstance(session, SimulatedSession) or session.makes_files:
        with job.console.step(f"prepare {device}") as progress:
            session.prepare([entry.workload for entry in todo.entries], progress)
    if isinstance(session, SimulatedSession):
        return simulate(session, todo)
    with job.console.step(f"{title} on {device}") as progress:
        return run_campaign(
            session,
            todo,
            fresh,
            progress,
            lambda visits: job.console.say(f"{device}: {forecast(visits, job.deadline_s)}"),
        )


def load_or_start(
    path: Path,
    device: Device,
    space: str,
    identity: dict[str, Any],
    quantity: str = "latency",
    *,
    anew: bool = False,
) -> Table:
    """The table in the file, or an empty one; `anew`: also where it was simulated otherwise.

    Raises:
        TableError: the file is broken, or was measured on something else.
    """
    if not path.exists():
        return Table(device.name, space, identity, {}, (), quantity=quantity)
    table = Table.load(path)
    if anew and table.simulated and device.profile.simulated and _apart(table, identity):
        return Table(device.name, space, identity, {}, ())
    _check_alike(path, table, identity)
    return table


def add_campaigns(path: Path, table: Table, campaigns: Sequence[Campaign]) -> Table:
    """The only way that campaigns get into a file: on top of what is in it by then.

    `table`: as `load_or_start` found it, before measuring. Others may have added theirs since.

    Raises:
        TableError: the file is broken, or is meanwhile of something else.
    """
    with files.changing(path):
        there = Table.load(path) if path.exists() else table
        if there.simulated and not table.campaigns and _apart(there, table.identity):
            there = table  # begun anew
        _check_alike(path, there, table.identity)
        for campaign in campaigns:
            there = there.with_campaign(campaign.id, campaign.facts, campaign.records)
        there.save(path)
    return there


def _apart(table: Table, identity: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What a table and a device are not alike in."""
    known, wanted = (
        {name: value for name, value in each.items() if name != _FORGOTTEN}
        for each in (table.identity, identity)
    )
    return differences(known, wanted)


def _check_alike(path: Path, table: Table, identity: dict[str, Any]) -> None:
    """Raises TableError where the table was measured on something else."""
    for name, (theirs, ours) in _apart(table, identity).items():
        if table.simulated and "dpu" in identity:
            raise TableError(simulated_otherwise(table))
        raise TableError(
            f"{path} was measured with {name} = {theirs!r}, this is {ours!r}: another device. Move "
            "the file away, or give this device its own name"
        )


def table_path(job: Run, device: Device) -> Path:
    return job.workspace.table(device.name, job.space.name, job.quantity)


def is_begun(table: Table, session: Session, todo: Work) -> bool:
    """Whether a run that was killed, or out of time, has left this work to be gone on with."""
    latest = latest_campaign(session, todo)
    return latest is not None and not table.campaigns.get(latest, {}).get("finished")


def _is_measured(table: Table, session: Session, job: Run, entries: Sequence[Entry]) -> bool:
    """Whether its blocks were measured at least this thoroughly in this environment."""
    wanted = {entry.blocks[0] for entry in entries if entry.role == "block"}
    return any(
        wanted <= {r.blocks[0] for r in table.records if (r.role, r.campaign) == ("block", name)}
        and facts.get("finished", True)
        and facts["rounds"] >= job.effort.plan(job.quantity).min_visits
        and facts["environment"] == dict(session.environment)
        for name, facts in table.campaigns.items()
    )


def work(
    job: Run,
    device: Device,
    session: Session,
    entries: list[Entry],
    plan: Plan,
    name: str | None = None,
) -> Work:
    """A campaign of the device with its journals in the workspace; `name` replaces the space's."""
    kept_as = name or job.space.name
    identity = device.identity(session)
    return Work(
        identity,
        identity["clock"],
        device.limits,
        entries,
        plan,
        lambda campaign: job.workspace.journal(device.name, kept_as, campaign),
        job.deadline_s,
    )
