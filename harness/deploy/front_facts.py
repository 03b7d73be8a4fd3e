"""What a front tells beside its points: how it was found, what it rests on, how it was verified.

Newer versions tell more than older ones, so most of it may be missing, and more may be there.
"""

from typing import Annotated, Any, Required

from pydantic import AfterValidator, Field
from typing_extensions import TypedDict

from harness.schema import Count, FileName, Ms, Number, Percent, Positive, Predicted, Share
from harness.tables.facts import Environment, Facts, Identity
from harness.tables.record import Clock

_Name = Annotated[str, Field(max_length=1000)]


class _Effort(TypedDict, total=False):
    name: _Name
    evaluations: Count


class _Accuracies(TypedDict, total=False):
    source: Required[_Name]
    sha256: str | None


class _Device(TypedDict, total=False):
    title: _Name
    identity: Identity


class Settings(TypedDict, total=False):
    """All that is needed to repeat it."""

    command: Required[_Name]
    effort: Required[_Effort]
    seed: Required[Count]
    distill: Required[Share]
    supernet: Required[FileName | None]
    accuracy: _Accuracies | None
    data: _Name  # a folder of the user's own images
    device: _Device
    harness: _Name
    latencies: dict[str, str]
    limits: list[
        tuple[_Name, Positive] | tuple[_Name, Positive, _Name]
    ]  # a device or cost, at most how much, at which time
    resolutions: list[Annotated[int, Field(strict=True, gt=0, le=10_000)]]
    rounds: Count
    search_s: Positive
    second: _Name | None
    table_campaign: _Name


class _Statement(TypedDict):
    at: str
    ratio: Ms
    log_error: Positive | None


class _Told(TypedDict, total=False):
    anchors: Count
    campaign: Facts | None
    clock: Clock
    environments: list[tuple[str, Environment]]
    floor_mape: Positive
    floor_within_5: Share
    floor_within_10: Share
    mape: Positive
    networks: Count
    offset_ns: Number
    p95: Positive | None
    per_block_ns: Number
    per_parameter_ns: Number
    rests_on: str
    scale: Number
    scales: dict[str, Number]
    source: str | None
    spearman: Annotated[float, Field(ge=-1, le=1)]
    statements: dict[str, _Statement]
    within_5: Share
    within_10: Share


_CALIBRATED = ("per_block_ns", "per_parameter_ns", "offset_ns", "anchors")
_JUDGED = (
    *("within_5", "within_10", "mape", "spearman"),
    *("floor_within_5", "floor_within_10", "floor_mape"),
)


def _whole(facts: dict[str, Any]) -> dict[str, Any]:
    """With all that belongs together."""
    needed = [*_CALIBRATED, *(_JUDGED if "networks" in facts else ())] if "scale" in facts else []
    if lacking := [name for name in needed if name not in facts]:
        raise ValueError(f"lacks {', '.join(lacking)}")
    return facts


TableFacts = Annotated[_Told, AfterValidator(_whole)]
"""The latencies' error, and where they come from."""


class AccuracyFacts(TypedDict, total=False):
    """The accuracies' error, and where they come from."""

    rmse: Required[Positive | None]
    scored: str
    describe: str
    caveat: str | None
    held_out: Count
    int8: str | None
    interval: str
    median_error: Positive
    spearman: Annotated[float, Field(ge=-1, le=1)]
    trained_on: Count


class Dot(TypedDict):
    """A random sub-network."""

    latency_ms: Ms
    accuracy: Predicted


class Verification(TypedDict, total=False):
    """What measuring the front found; shares are of its networks."""

    campaign: Required[Facts]
    latency_within_5: Required[Share]
    latency_within_10: Required[Share]
    latency_mape: Required[Positive]
    latency_within_interval: Required[Share | None]
    latency_span: Required[Positive]
    latency_shift: Positive
    latency_within_10_unrefitted: Share
    accuracy_gain_along_front: Annotated[float, Field(ge=-100, le=100)]
    accuracy_mean_difference: Number
    accuracy_mean_absolute_difference: Percent
    evaluated_on: str
    networks: list[str]
    statements: dict[str, _Statement]
    test_images: Count
    test_originals: Count
