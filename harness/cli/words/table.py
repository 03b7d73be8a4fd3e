"""What a table holds and what it is worth; one table beside another."""

import json
from collections.abc import Iterator
from statistics import median

from harness.device.conditions import CHANGED, describe_changes, describe_unknown
from harness.hints import command
from harness.networks.baselines import BASELINES
from harness.pipeline.baselines import newest_times
from harness.pipeline.beside import ComparedDevices
from harness.pipeline.import_export import ComparedTables, ExportedTable
from harness.pipeline.notices import TableState
from harness.tables.batch import an_image, of_batch
from harness.tables.end_to_end import end_to_end_error
from harness.tables.filling import typical_error
from harness.tables.imported import NetworkTime
from harness.tables.record import SHOWN
from harness.tables.table import Table
from harness.tables.versions import uses, versions_apart

_FEW = 12  # blocks that are named


def describe_table(state: TableState) -> str:
    """A table's content and quality, in a line."""
    table, predictor, path = state.table, state.predictor, str(state.path)
    if table.images_per_run > 1:
        path += f", of runs{of_batch(table.images_per_run)}"
    if predictor is not None:
        if table.source is not None:
            return f"{path}: whole networks, imported from {table.source}; {predictor.describe()}"
        return (
            f"{path}: no blocks yet; {predictor.describe()}; "
            f"{command('measure', '--device', table.device)} measures the blocks"
        )
    name = table.block_campaign()
    blocks = table.select("block", table.clock, name)
    campaign = table.campaigns[name]
    if table.source is not None:
        return (
            f"{path}: {len(blocks)} blocks, imported from {table.source}; not calibrated: sums of "
            "blocks are taken as they are, and nobody compared them with whole networks here"
        )
    if table.simulated is not None:
        return f"{path}: {_simulated(table)}"
    finished = _finished(table, name)
    suspect = sum(bool(record.suspect) for record in blocks)
    what_to_do = ": repeat with --fresh" if finished else ""  # else more visits may settle them
    doubts = f"; {suspect} of them suspect{what_to_do}" if suspect else ""
    changed = describe_changes(campaign.get(CHANGED) or {})
    doubts += f"; conditions changed meanwhile: {changed}" if changed else ""
    unknown = describe_unknown(campaign)
    doubts += f"; unknown, so that no visit was doubted for it: {unknown}" if unknown else ""
    calibrating = table.calibrating_campaign()
    since = table.campaigns[calibrating]["started_at"]
    calibrated = f"; calibrated anew {since}" if calibrating != name else ""
    unfinished = "" if finished else ", unfinished: start again to go on"
    holdouts = table.select("holdout", table.clock, calibrating)
    judged = (
        end_to_end_error(table, table.clock).describe()
        if holdouts
        else "the space is too small for holdout networks: its error is not known"
    )
    apart = versions_apart(uses(table))
    versions = f"; not of one version, repeat with --fresh: {apart}" if apart else ""
    what = "" if table.quantity == "latency" else f"{table.quantity} of "
    filled = table.filled(table.clock)
    others = (
        f" and {len(filled)} that were filled in from them, the middle one within "
        f"{typical_error(filled.values()):.0%} (95 %)"
        if filled
        else ""
    )
    return (
        f"{path}: {what}{len(table.blocks(table.clock))} blocks, measured {campaign['started_at']} "
        f"in at least {campaign['rounds']} visits{unfinished}{others}; "
        f"{judged}{calibrated}{doubts}{versions}"
    )


def _finished(table: Table, name: str) -> bool:
    """Whether the campaign is, with those of devices beside it and what blocks took later."""
    since, beside = table.started(name), table.campaigns[name].get("beside", ())
    return all(
        table.campaigns[record.campaign].get("finished", True)
        for record in table.records
        if record.role == "block"
        and (record.campaign in beside or table.started(record.campaign) >= since)
    )


def _simulated(table: Table) -> str:
    parts = [f"{len(table.blocks(table.clock))} blocks, {table.simulated}"]
    if table.select("holdout", table.clock, table.calibrating_campaign()):
        parts.append(end_to_end_error(table, table.clock).describe())
    if table.infeasible:
        block, why = next(iter(table.infeasible.items()))
        parts.append(f"{len(table.infeasible)} blocks cannot run, such as {block.key}: {why}")
    return "; ".join(parts)


def describe_baselines(table: Table) -> str:
    """Each baseline's newest latency, in a line, with its published accuracy."""
    records = newest_times(table)
    how = table.simulated or f"{table.clock} clock, full speed"
    images = table.images_per_run
    runs = f", runs{of_batch(images)}" if images > 1 else ""
    lines = [f"baselines on {table.device}, {how}{runs}:"]
    for baseline in BASELINES:
        times = records.get(baseline.blocks)
        if times is None:
            why = next(table.infeasible[b] for b in baseline.blocks if b in table.infeasible)
            lines.append(f"  {baseline.name:<20} cannot run there: {why}")
            continue
        lines.append(
            f"  {baseline.name:<20} {times.value / 1e6:9.4g} ms"
            f"{an_image(times.value / 1e6, images)}   {baseline.top1:.1f} % top-1, "
            f"{baseline.macs_m:g}M MACs ({baseline.source})"
        )
    return "\n".join(lines)


def compare_devices_lines(compared: ComparedDevices) -> Iterator[str]:
    """What networks take on two devices, one of them of others."""
    yield f"old: {compared.old}"
    yield f"new: {compared.new}"
    ratios = [new.full_speed_ms / old.full_speed_ms for _, old, new in compared.times]
    yield (
        f"{len(ratios)} networks on both, at full speed: the new one takes {median(ratios):.3g} "
        f"times as long ({min(ratios):.3g} to {max(ratios):.3g})"
    )
    for (name, old, new), ratio in zip(compared.times, ratios, strict=True):
        yield f"  {name:<24} {_time(old):>28} {_time(new):>28}   {ratio:.3g} x"
    yield (
        "in brackets the fastest to the slowest run where they are told; nobody measured again "
        "there, so that no interval is known"
    )


def _time(time: NetworkTime) -> str:
    if time.fastest_ms is None or time.slowest_ms is None:
        return f"{time.full_speed_ms:.4g} ms"
    return f"{time.full_speed_ms:.4g} ms ({time.fastest_ms:.4g} to {time.slowest_ms:.4g})"


def exported_lines(made: ExportedTable) -> Iterator[str]:
    """The files, and by how much their rows cannot be our predictions."""
    if made.beyond_ms:
        yield (
            f"rows add up to as much as {made.beyond_ms:.4g} ms more than our predictions (the "
            f"smallest network takes {made.smallest_ms:.4g} ms): layers that may be left out cost "
            "less than nothing here, which no row can tell"
        )
    yield from map(str, made.paths)


def compare_lines(compared: ComparedTables) -> Iterator[str]:
    """How far everything moved, and what beyond that."""
    found, table = compared.found, compared.old
    low, high = found.shift_interval
    unit = SHOWN[table.quantity]
    yield (
        f"{found.compared} blocks compared on the {table.clock} clock"
        + (f", {found.only_old} only in the old table" if found.only_old else "")
        + (f", {found.only_new} only in the new one" if found.only_new else "")
    )
    yield f"everything takes {found.shift:.3f} times {found.as_before}: {found.why_shifted()}"
    yield f"  (its blocks agree on {low:.3f} to {high:.3f}; another campaign may give another)"
    yield f"{len(found.moved)} blocks did something else, beyond noise" + (
        ":" if found.moved else ""
    )
    for moved in found.moved[:_FEW]:
        yield (
            f"  {moved.block.key}: {moved.old / 1e6:.4f} to {moved.new / 1e6:.4f} {unit}, "
            f"{moved.ratio_beyond_shift:.2f} times the others (p = {moved.p:.1g})"
        )
    if len(found.moved) > _FEW:
        yield f"  and {len(found.moved) - _FEW} more"
    for name, (before, after) in found.environment.items():
        yield f"environment: {name} {json.dumps(before)} -> {json.dumps(after)}"
    for which, each in (("old", table), ("new", compared.new)):
        if apart := versions_apart(uses(each)):
            yield f"the {which} table is not of one version: {apart}"
