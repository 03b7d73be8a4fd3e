"""How far a front can be trusted: what a reader must know before anything else, and the facts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from harness.deploy.front import Front
from harness.device.conditions import CHANGED, UNKNOWN, describe_changes
from harness.errors import TableError
from harness.spaces.space import Space
from harness.tables.filling import typical_error
from harness.tables.table import Table
from harness.tables.versions import Environment, Uses, uses, versions_apart

LARGE_ERROR = 0.10  # mean end-to-end error above which a banner is shown


@dataclass(frozen=True)
class Doubt:
    """A reason not to take the figures for what they look like."""

    what: str  # in a few words
    why: str


def doubts(front: Front, table: Table | None) -> tuple[Doubt, ...]:
    """What stands in the banner; none where a front was measured, judged well and evaluated."""
    return (*_of_latency(front, table), *_of_accuracy(front))


def is_of(front: Front, table: Table) -> bool:
    """Whether the front was found by what is the table's newest campaign of blocks, still."""
    try:
        newest = table.block_campaign() if table.has_blocks else table.first_look()
    except TableError:
        return False
    return bool(front.settings.get("table_campaign", newest) == newest)


def _of_latency(front: Front, table: Table | None) -> Iterator[Doubt]:
    facts, checked = front.table, front.verification
    if facts.get("source"):
        sums = "; sums of blocks were never compared with whole networks"
        what = f"they come from {facts['source']}; nothing was run here"
        yield Doubt("imported latencies", what + ("" if "networks" in facts else sums))
        return
    if front.simulated:
        yield Doubt("never run on hardware", front.simulated)
        return
    if front.older:
        yield Doubt(
            "intervals of the older kind",
            "they are of the visits of one campaign and leave out what campaigns differ by: far "
            "less than 95 % of them hold; `harness search` and `harness verify` make new ones",
        )
    if facts.get("scale") is None:
        yield Doubt(
            "a first look",
            "latencies come from few whole networks, not from a table of blocks: "
            f"{facts.get('rests_on', 'nobody judged them')}",
        )
    elif not facts.get("anchors"):
        yield Doubt("not calibrated", "sums of blocks were never fitted to whole networks")
    error = checked["latency_mape"] if checked else facts.get("mape")
    if error is not None and error > LARGE_ERROR:
        of = "the front's networks" if checked else "the table's holdout networks"
        yield Doubt("large error", f"predicted latencies of {of} are off by {error:.0%} on average")
    if checked is None:
        yield Doubt("not verified", "none of these networks was run yet: all figures are predicted")
    if apart := versions_apart(_measured_with(front, table)):
        yield Doubt("several versions", f"not all was measured with the same ones: {apart}")
    found = suspects(table) if table is not None and table.has_blocks else 0
    if found:
        yield Doubt("suspect blocks", f"{found} blocks of the table were measured in doubt")
    if table is not None and table.has_blocks:
        campaign = table.campaigns[table.block_campaign()]
        if changed := describe_changes(campaign.get(CHANGED) or {}):
            yield Doubt("conditions changed", f"while the table was measured: {changed}")
        if (campaign.get("conditions_after") or {}).get("max_temperature_c") == UNKNOWN:
            yield Doubt("temperature unknown", "the device's limit could not be checked")


def _measured_with(front: Front, table: Table | None) -> Uses:
    """What the front rests on; an older one tells only of the blocks, its table of the rest."""
    environments: Uses = [
        (what, environment) for what, environment in front.table.get("environments", ())
    ]
    if not environments and table is not None:
        environments = uses(table)
    elif not environments:
        environments = [("blocks", _environment(front.table))]
    if front.verification is not None:
        environments.append(("verification", _environment(front.verification)))
    return environments


def _environment(part: Mapping[str, Any]) -> Environment:
    """Of the campaign behind a part of a front; empty where none is known."""
    return (part.get("campaign") or {}).get("environment") or {}


def _of_accuracy(front: Front) -> Iterator[Doubt]:
    if all(point.accuracy_measured is not None for point in front.points):
        where = (front.verification or {}).get("evaluated_on", "the device")
        if where != "the device":
            yield Doubt("accuracies are not the device's own", f"evaluated on {where}")
        return
    if front.float_accuracies:
        yield Doubt("searched for float32, runs in int8", front.float_accuracies)
    caveat = front.accuracy_predictor.get("caveat")
    why = f"; {caveat}" if caveat else ""
    yield Doubt(
        "accuracies are not measured",
        f"they are predictions, and no network of this front was run on images{why}",
    )


def suspects(table: Table) -> int:
    """Blocks whose measurement deserves doubt."""
    return sum(bool(record.suspect) for record in table.blocks(table.clock).values())


@dataclass(frozen=True)
class Coverage:
    """What a table holds of its space."""

    blocks: int
    of: int  # distinct blocks of the space, at the table's resolutions and all others
    resolutions: tuple[int, ...]  # that it covers whole
    infeasible: int  # that the device cannot run
    filled: int  # that nobody visited
    filled_error: float  # 95 % of these are expected to be off by less, relative; the middle one
    fewest_visits: int
    interval: float  # how far the middle block's 95 % interval goes up, relative
    suspect: int


def coverage(table: Table, space: Space) -> Coverage | None:
    """None where there are no blocks yet."""
    if not table.has_blocks:
        return None
    records = table.blocks(table.clock)
    filled = table.filled(table.clock)
    known = records.keys() | filled.keys() | table.infeasible.keys()
    wanted = set(space.distinct_blocks())
    widths = [
        record.statistics.high / record.statistics.value - 1  # older ones have no lower side
        for record in records.values()
    ]
    return Coverage(
        blocks=len(known & wanted),
        of=len(wanted),
        resolutions=tuple(
            r for r in space.resolutions if set(space.distinct_blocks((r,))) <= known
        ),
        infeasible=len(table.infeasible),
        filled=len(filled),
        filled_error=typical_error(filled.values()),
        fewest_visits=min(record.statistics.visits for record in records.values()),
        interval=median(widths),
        suspect=suspects(table),
    )


def conditions(campaign: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What the device told of itself before and after measuring; what neither tells is left out."""
    before = campaign.get("conditions_before") or {}
    after = campaign.get("conditions_after") or {}
    names = dict.fromkeys((*before, *after))
    found = {name: (before.get(name), after.get(name)) for name in names}
    return {name: pair for name, pair in found.items() if pair != (None, None)}
