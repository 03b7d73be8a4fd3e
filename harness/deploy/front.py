"""`front.json`: a device's Pareto front, predicted, then verified on the device."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field

from harness import files
from harness.deploy.front_command import command_of
from harness.deploy.front_facts import AccuracyFacts, Dot, Settings, TableFacts, Verification
from harness.errors import FileFormatError, UsageError
from harness.measuring.plan import Entry, calibration_entries
from harness.runtimes.session import Workload
from harness.schema import (
    Count,
    Ends,
    FileName,
    Ms,
    Percent,
    Positive,
    Predicted,
    PredictedEnds,
    checked,
    like,
)
from harness.spaces.arch import Arch
from harness.spaces.space import Space
from harness.tables.batch import images_per_run
from harness.tables.record import SEEN
from harness.tables.statements import AT, SHIPPED, Statements

SCHEMA = 1
_Name = Annotated[str, Field(max_length=1000)]
_At = Annotated[str, Field(pattern=f"^({'|'.join(SEEN)})$")]
Seen = Mapping[_At, tuple[Positive, Positive, Positive]]
"""Times that users see, by p50, p90, p99, sustained: the time and its 95 % interval, ms."""


def _arch(value: Any) -> Arch:
    return value if isinstance(value, Arch) else Arch.from_json(value)


@dataclass(frozen=True)
class Point:
    """One network of a front. What was not measured yet is None."""

    arch: Annotated[Arch, BeforeValidator(_arch)]
    macs: Count
    params: Count
    latency_ms_searched: Ms  # as the search saw it, calibrated by the table's own anchors
    latency_ms: Ms  # predicted for the campaign that verified it, through that one's anchors
    latency_ms_interval: Ends | None  # 95 %, from the predictor's error where it is known
    accuracy: Predicted  # predicted top-1, percent
    accuracy_interval: PredictedEnds | None  # 95 %, told by the predictor's judges
    latency_ms_measured: Ms | None = None  # at full speed, as the two above
    latency_ms_measured_interval: Ends | None = None  # 95 %, of what another campaign finds
    latency_ms_wall_median: Ms | None = None  # what a clock on the wall showed, in the middle
    seen_ms: Seen = field(default_factory=dict)  # predicted, as users see it; on the wall clock
    seen_ms_measured: Seen = field(default_factory=dict)
    accuracy_measured: Percent | None = None  # top-1 on test images through the device's runtime
    accuracy_measured_interval: PredictedEnds | None = None  # 95 %, resampled over originals
    memory_mb_measured: Positive | None = None  # growth of the runtime's memory, where it tells
    costs: Mapping[_Name, Positive] = field(default_factory=dict)
    """What limits and a third objective are about, by their names, in the units of limits."""

    def upper_ms(self, at: str) -> float | None:
        """The upper end of the best interval that is known of this time, as it is shown.

        None where nobody knows that time, or how well it was measured.
        """
        if at != "full":
            seen = self.seen_ms_measured.get(at) or self.seen_ms.get(at)
            return None if seen is None else four_digits(seen[2])
        if self.latency_ms_measured is not None:
            measured = self.latency_ms_measured_interval
            return None if measured is None else four_digits(measured[1])
        return four_digits((self.latency_ms_interval or (0.0, self.latency_ms))[1])


def seen_ms(full_ms: float, statements: Statements) -> Seen:
    """What users are expected to see of a network that takes `full_ms` at full speed."""
    found = {}
    for at, statement in statements.items():
        ends = statement.interval(full_ms)
        if at != "full" and ends is not None:
            found[at] = (full_ms * statement.ratio, *ends)
    return found


def four_digits(value: float) -> float:
    """Four digits: who asks for a printed end of an interval gets the network that it is of."""
    return float(f"{value:.4g}")


def float_accuracies(identity: Mapping[str, Any]) -> str | None:
    """What predicted accuracies leave out on the device; None where they leave out nothing."""
    if identity.get("precision") != "int8":
        return None
    return (
        "accuracies are predicted of networks in float32, and this device computes in int8: what "
        "that costs is not in them"
    )


@dataclass(frozen=True)
class Front:
    """A front with all that is needed to judge and to repeat it."""

    device: FileName
    space: FileName
    settings: Annotated[dict[str, Any], like(Settings)]
    table: Annotated[dict[str, Any], like(TableFacts)]  # its end-to-end error and its floor
    accuracy_predictor: Annotated[dict[str, Any], like(AccuracyFacts)]
    points: Annotated[tuple[Point, ...], Field(min_length=1)]
    cloud: tuple[
        Annotated[dict[str, float], like(Dot)], ...
    ]  # random sub-networks: predicted ms, validation accuracy
    verification: Annotated[dict[str, Any], like(Verification)] | None = None

    def save(self, path: Path) -> None:
        value = {"schema": SCHEMA} | asdict(self)
        for point, record in zip(self.points, value["points"], strict=True):
            record["arch"] = point.arch.to_json()
        files.write_json(path, value)

    @classmethod
    def load(cls, path: Path, space: Space | None = None) -> "Front":
        """Read a front, of the space where one is given.

        Raises:
            FileFormatError: the file is missing, broken, of another schema or space.
        """
        if not path.exists():
            raise FileFormatError(f"there is no front {path}; make it with `harness run`")
        value = files.read_json(path)
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            raise FileFormatError(f"{path} is not a front of schema {SCHEMA}")
        try:
            front = checked(cls, value)
            if len({tuple(point.costs) for point in front.points}) > 1:
                raise ValueError("its points do not tell the same costs")
            if front.verification and any(p.latency_ms_measured is None for p in front.points):
                raise ValueError("verified, and not all of its points are measured")
            if space is not None:
                if front.space != space.name:
                    raise ValueError(f"it is of {front.space}, not of {space.name}")
                for point in front.points:
                    space.blocks(point.arch)
        except (ValueError, FileFormatError, UsageError) as error:
            raise FileFormatError(
                f"{path} is not a whole front: {error}; restore it, or make it again with "
                "`harness run`"
            ) from error
        return front

    @property
    def times(self) -> tuple[str, ...]:
        """Which times of its networks are known: "full", "p50", ..."""
        return tuple(at for at in AT if all(point.upper_ms(at) for point in self.points))

    def time(self, asked: str | None) -> str:
        """The time that budgets are about: the one asked for, else p90, else that at full speed.

        Raises:
            UsageError: this front does not tell it.
        """
        times = self.times
        if asked is None:
            return next((at for at in (SHIPPED, "full") if at in times), "full")
        if asked not in times:
            raise UsageError(
                f"the front of {self.device} does not tell {asked}: it has {', '.join(times)}; "
                "`harness verify --fresh` measures what the device's runtime tells"
            )
        return asked

    def command(self, space: str | None = None) -> str:
        """What finds it again; `space`: as it is asked for, where that is not its name."""
        words = self.settings["command"]
        return command_of(
            self.device,
            space or self.space,
            self.settings,
            alone=words.startswith("harness search"),
            part=" --resolutions " in words,
        )

    @property
    def older(self) -> bool:
        """Whether its intervals are of the older kind, which left out what campaigns differ by."""
        return "statements" not in {**self.table, **(self.verification or {})}

    @property
    def asked(self) -> dict[str, float | None]:
        """What its points tell the costs of besides, with limits; None where one has none."""
        limits = {name: at_most for name, at_most, *_ in self.settings.get("limits", ())}
        return {name: limits.get(name) for name in self.points[0].costs}

    @property
    def simulated(self) -> str | None:
        """What stands behind simulated latencies; None where they were measured or imported."""
        return (self.table.get("campaign") or {}).get("simulated")

    @property
    def identity(self) -> dict[str, Any]:
        """What its device was; empty in a front of an older version, which does not tell."""
        return (self.settings.get("device") or {}).get("identity") or {}

    @property
    def images_per_run(self) -> int:
        """All its latencies are of runs of so many images."""
        return images_per_run(self.identity)

    @property
    def scored(self) -> str:
        """What its accuracies are; fronts of older versions have top-1 alone."""
        return str(self.accuracy_predictor.get("scored", Space.scored))

    @property
    def mark(self) -> str:
        """What stands behind accuracies."""
        return "%" if self.scored.endswith("%") else self.scored

    @property
    def float_accuracies(self) -> str | None:
        """What is to be known of accuracies of an int8 device that were not evaluated yet."""
        if all(point.accuracy_measured is not None for point in self.points):
            return None
        return float_accuracies(self.identity)

    def unverified(self) -> "Front":
        """The front as the search left it."""
        points = tuple(
            replace(
                point,
                latency_ms=point.latency_ms_searched,
                latency_ms_measured=None,
                latency_ms_measured_interval=None,
                latency_ms_wall_median=None,
                seen_ms_measured={},
                accuracy_measured=None,
                accuracy_measured_interval=None,
                memory_mb_measured=None,
            )
            for point in self.points
        )
        return replace(self, points=points, verification=None)

    def point(self, number: int) -> Point:
        """The point that `front:number` means; the first is 0.

        Raises:
            UsageError: there are fewer points.
        """
        if not 0 <= number < len(self.points):
            raise UsageError(f"front:{number} is not there; it has 0 to {len(self.points) - 1}")
        return self.points[number]


def verification_entries(
    front: Front, space: Space, networks: Sequence[Workload], anchors: int
) -> list[Entry]:
    """What the verifying campaign visits: sentinel, anchors, and the front's networks.

    An anchor that is on the front itself is left out: no point may calibrate its own prediction.
    """
    archs = {point.arch for point in front.points}
    calibrating = [
        entry
        for entry in calibration_entries(space, anchors)
        if entry.role == "sentinel" or entry.arch not in archs
    ]
    found = [
        Entry("network", network, space.blocks(point.arch), point.arch)
        for network, point in zip(networks, front.points, strict=True)
    ]
    return [*calibrating, *found]


def _as_expected(point: Point) -> bool:
    """Whether the measured latency lies in the interval that was predicted."""
    if point.latency_ms_interval is None or point.latency_ms_measured is None:
        return False
    low, high = point.latency_ms_interval
    return low <= point.latency_ms_measured <= high


def _within_intervals(points: tuple[Point, ...]) -> float | None:
    """The share of points in their interval; None where there are no intervals."""
    if all(point.latency_ms_interval is None for point in points):
        return None
    return float(np.mean([_as_expected(point) for point in points]))


def gaps(points: tuple[Point, ...]) -> dict[str, float | None]:
    """How far verified points are from predicted ones, on the axes that were measured."""
    latency = np.array([p.latency_ms_measured for p in points], dtype=float)
    predicted = np.array([p.latency_ms for p in points])
    searched = np.array([p.latency_ms_searched for p in points])
    errors = np.abs(predicted / latency - 1)
    return {
        "latency_within_5": float(np.mean(errors <= 0.05)),
        "latency_within_10": float(np.mean(errors <= 0.10)),
        "latency_mape": float(errors.mean()),
        "latency_within_interval": _within_intervals(points),
        "latency_within_10_unrefitted": float(np.mean(np.abs(searched / latency - 1) <= 0.10)),
        "latency_shift": float(np.median(predicted / searched)),
        "latency_span": float(latency[-1] / latency[0]),
    } | _accuracy_gaps(points)


def _accuracy_gaps(points: tuple[Point, ...]) -> dict[str, float]:
    if any(point.accuracy_measured is None for point in points):
        return {}
    accuracy = np.array([p.accuracy_measured for p in points], dtype=float)
    difference = accuracy - np.array([p.accuracy for p in points])
    return {
        "accuracy_mean_difference": float(difference.mean()),
        "accuracy_mean_absolute_difference": float(np.abs(difference).mean()),
        "accuracy_gain_along_front": float(accuracy[-1] - accuracy[0]),
    }
