"""Whether what is used together was measured with the same versions of system and runtime."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.tables.table import Table

Environment = Mapping[str, Any]  # what a device told of itself and its software
Uses = list[tuple[str, Environment]]  # what is used, and where that was measured
WHICH = ("serial", "gpu_uuid", "processors", "cores")  # which unit and cores, no version


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What the two have otherwise, old and new; None where one has nothing."""
    names = dict.fromkeys((*old, *new))
    return {n: (old.get(n), new.get(n)) for n in names if old.get(n) != new.get(n)}


def same_versions(old: Environment, new: Environment) -> bool:
    """Whether both are known, and differ at most in which unit was measured."""
    return bool(old and new) and not differences(old, new).keys() - set(WHICH)


def uses(table: "Table") -> Uses:
    """What a table's predictions rest on.

    Raises:
        TableError: there is too little in it.
    """
    if not table.has_blocks:
        return [("networks", environment_of(table, table.first_look()))]
    base, calibrating = table.block_campaign(), table.calibrating_campaign()
    others = {r.campaign for r in table.blocks(table.clock).values()} - {base}
    named = [("blocks", base), *(("other blocks", each) for each in sorted(others))]
    if calibrating != base:
        named.append(("calibration and error", calibrating))
    return [(what, environment_of(table, campaign)) for what, campaign in named]


def environment_of(table: "Table", campaign: str) -> Environment:
    """What the device told during a campaign; nothing where that is not kept."""
    return dict(table.campaigns[campaign].get("environment", {}))


def versions_apart(found: Iterable[tuple[str, Environment]]) -> str:
    """What was measured with which version, where that is not one; "" where it is.

    A name that a campaign does not tell is not held against it: older ones told less.
    """
    by_name: dict[str, dict[str, list[str]]] = {}
    for what, environment in found:
        for name, value in environment.items():
            if name not in WHICH:
                whats = by_name.setdefault(name, {}).setdefault(str(value), [])
                whats += [what] if what not in whats else []
    return "; ".join(
        f"{name} " + ", ".join(f"{value} ({', '.join(what)})" for value, what in values.items())
        for name, values in by_name.items()
        if len(values) > 1
    )
