"""Measuring a device's latency table, and keeping it up to date."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.device.device import Device
from harness.errors import DeviceError, InfeasibleConstraint, TableError, UsageError
from harness.measuring.campaign import Campaign
from harness.measuring.plan import (
    FEWEST_ANCHORS,
    IN_COMMON,
    Entry,
    Plan,
    block_entries,
    calibration_entries,
    refit_entries,
    table_entries,
)
from harness.pipeline.job import Run
from harness.pipeline.notices import MeasuredAlready, NoAccuracies, OddBlocks, Remark
from harness.pipeline.side_by_side import on_each
from harness.pipeline.table_session import TableSession, add_campaigns, table_session
from harness.predictors.block_table import BlockTablePredictor
from harness.spaces.space import Space
from harness.tables.filling import Choice, choose, oddness
from harness.tables.table import Table
from harness.tables.versions import differences

ODD = 1.5  # times less alike than usual: more blocks are visited


def measure(
    job: Run, device: Device, quantity: str = "latency", deadline_s: float | None = None
) -> Table:
    """The device's table for the space, at the resolutions that `job.space` has.

    Several phones of one model share the work; all of them measure some networks and the sentinel,
    by which the table brings them to one level. Blocks that the effort leaves out are filled in.
    `deadline_s` is by time.monotonic().
    """
    if not job.space.built:
        raise UsageError(
            f"networks of {job.space.name} are not built here yet, so that nothing of them can be "
            "measured"
        )
    if quantity != "latency" and device.profile.simulated:
        raise DeviceError(f"{device.name} is simulated, and its model tells no {quantity}")
    if job.accuracy is None and not job.supernet.can_train:
        job.listener.tell(NoAccuracies(job.space.name))
    units = device.units
    check_alike(units)
    plan = job.effort.plan(quantity, device.profile.runs_on.simulated_networks)
    choice = choose(job.space, plan.fill_error)
    shares = {unit: (number, len(units)) for number, unit in enumerate(units)}
    left_out = {"left_out": [block.key for block in choice.left_out]} if choice.left_out else {}

    def measure_share(unit: Device) -> _Share:
        entries = table_entries(job.space, plan.anchors, choice.visited, shares[unit])
        with table_session(job, unit, quantity, deadline_s, anew=True) as into:
            begun = into.is_begun(entries, plan)
            anew = job.fresh or begun or unit.profile.simulated
            name = None if anew else _measured_in(into, entries, plan.min_visits)
            found = []
            if name is None:
                fresh = job.fresh and not begun
                campaign = into.campaign("measure blocks", entries, plan, fresh, choice)
                found = [replace(campaign, facts=campaign.facts | left_out)]
                _check_runs(device, job.space, campaign)
                name = campaign.id
            if choice.left_out and len(units) == 1:
                table = into.add(*found) if found else into.table  # what follows may fail
                found += _odd_ones(into, table, name, plan, choice)
            if not found:
                job.listener.tell(MeasuredAlready(str(unit), job.space.name))
            return _Share(into.table, name, found)

    measured = on_each(units, measure_share)
    campaigns = [campaign for each in measured for campaign in each.added]
    if len(units) > 1:
        campaigns = _beside_each_other(campaigns, [each.name for each in measured])
    path = job.workspace.table(device.name, job.space.name, quantity)
    table = measured[0].table
    return add_campaigns(path, table, campaigns) if campaigns else table


@dataclass(frozen=True)
class _Share:
    """What one phone (or the only device) measured."""

    table: Table  # as it was
    name: str  # of the campaign with its blocks, which may have been there
    added: list[Campaign]


def _odd_ones(
    into: TableSession, table: Table, name: str, plan: Plan, choice: Choice
) -> list[Campaign]:
    """A further campaign where blocks turned out to tell less of each other than was expected.

    The same for the same times, so that an interrupted one is gone on with.
    """
    times = {
        record.blocks[0]: float(record.statistics.value)
        for record in table.records
        if (record.role, record.clock, record.campaign) == ("block", table.clock, name)
    }
    odd = oddness([(block, times[block]) for block in choice.visited])
    if not table.campaigns[name].get("finished", True) or odd < ODD:
        return []
    job = into.job
    further = choose(job.space, plan.fill_error, odd, choice.visited)
    more = block_entries([block for block in further.visited if block not in set(choice.visited)])
    entries = [*calibration_entries(job.space, IN_COMMON), *more]
    plan = replace(plan, sustain_s=0.0)
    begun = into.is_begun(entries, plan)
    if not (job.fresh or begun) and _measured_in(into, more, plan.min_visits):
        return []
    job.listener.tell(OddBlocks(str(into.device), odd, len(more), len(further.left_out)))
    try:
        fresh = job.fresh and not begun
        return [into.campaign("measure more blocks", entries, plan, fresh, further)]
    except UsageError as error:  # the first campaign took the time
        job.listener.tell(Remark(f"{into.device}: start again to measure more blocks: {error}"))
        return []


def _beside_each_other(campaigns: Sequence[Campaign], names: Sequence[str]) -> list[Campaign]:
    """Those of several phones, each of which names the others, also those that were there."""
    return [
        replace(each, facts=each.facts | {"beside": [name for name in names if name != each.id]})
        for each in campaigns
    ]


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


def _measured_in(into: TableSession, entries: Sequence[Entry], visits: int) -> str | None:
    """The campaign that measured the blocks at least this thoroughly in this environment."""
    table = into.table
    wanted = {entry.blocks[0] for entry in entries if entry.role == "block"}
    for name, facts in table.campaigns.items():
        there = {r.blocks[0] for r in table.records if (r.role, r.campaign) == ("block", name)}
        if (
            wanted <= there
            and facts.get("finished", True)
            and facts["rounds"] >= visits
            and facts["environment"] == dict(into.session.environment)
        ):
            return name
    return None


def refit(
    job: Run, device: Device, quantity: str = "latency", deadline_s: float | None = None
) -> Table:
    """The table with new anchors and holdouts: its level, calibration and error as of today.

    Raises:
        TableError: there is no table yet.
    """
    space = to_measure_again(job, device, quantity)
    plan = job.effort.plan(quantity)
    entries = refit_entries(space, plan.anchors)
    with table_session(job, device, quantity, deadline_s) as into:
        fresh = not into.is_begun(entries, plan)
        return into.add(into.campaign("calibrate anew", entries, plan, fresh))


def to_measure_again(job: Run, device: Device, quantity: str = "latency") -> Space:
    """The space at the resolutions that the device's table holds whole.

    Raises:
        TableError: there is no table yet.
        UsageError: the device is simulated: the time of day changes nothing there.
    """
    table = Table.load(job.workspace.table(device.name, job.space.name, quantity))
    if device.profile.simulated:
        raise UsageError(
            f"{device.name} is simulated: `harness measure` makes its whole table, always the same"
        )
    return job.space.at(BlockTablePredictor.from_table(table, job.space, table.clock).resolutions)
