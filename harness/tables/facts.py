"""What a campaign tells of itself, and a table of its device: kept in tables, fronts, results.

Newer versions tell more than older ones, so most of it may be missing, and more may be there.
"""

import re
from typing import Annotated, Any, Literal, Required

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from harness.schema import Count, FileName, Flag, Number, Positive, like
from harness.tables.record import Clock, Quantity

_NUMBERS = re.compile(r".*_(c|mhz|mb|share|here|w|cpus|1m|status|processes)")
"""Conditions that are read as numbers, by the unit in their name."""
_DECIDED = "max_temperature_c"  # a word: whether the limit could be checked


def _as_read(conditions: dict[str, Any]) -> dict[str, Any]:
    for name, value in conditions.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not (value is None or number or isinstance(value, str | bool)):
            raise ValueError(f"{name} is {value!r}")
        if value is not None and not number and _NUMBERS.fullmatch(name) and name != _DECIDED:
            raise ValueError(f"{name} should be a number, not {value!r}")
    return conditions


Conditions = Annotated[dict[str, Any], AfterValidator(_as_read)]
Environment = dict[str, str | Number | None]


class CampaignFacts(TypedDict, total=False):
    """How a campaign was done."""

    started_at: Required[Annotated[str, Field(pattern=r"^(unknown|\d{4}-\d\d-\d\d.*)$")]]
    rounds: Required[Count]
    environment: Required[Environment]
    took_s: Positive
    finished: Flag
    simulated: str
    infeasible: dict[str, str]  # keys of blocks, each with the reason
    moved: list[str]
    left_out: list[str]  # keys of blocks
    beside: list[str]  # campaigns of devices of the same model, which measured the rest
    missed: Annotated[float, Field(ge=0, le=10)]
    slowdown: Positive | None
    wall_over_cpu: Positive | None
    conditions_before: Conditions | None
    conditions_after: Conditions | None
    conditions_changed: dict[str, list[str]] | None
    conditions_unknown: list[str]


Facts = Annotated[dict[str, Any], like(CampaignFacts)]


class _Identity(TypedDict, total=False):
    batch: Annotated[int, Field(strict=True, ge=1, le=10**6)]
    clock: Clock
    runtime: str
    precision: str
    processor: str | None
    num_threads: Count | None


Identity = Annotated[dict[str, Any], like(_Identity)]


class Header(TypedDict, total=False):
    """The first line of a table."""

    kind: Required[Literal["table"]]
    schema: Required[int]
    device: Required[FileName]
    space: Required[FileName]
    identity: Required[Identity]
    campaigns: Required[dict[str, Facts]]
    records: Count  # older tables do not tell
    source: str | None
    quantity: Quantity
