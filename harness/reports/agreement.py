"""Predicted against measured: of latencies and of accuracies."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from harness.deploy.front import Front
from harness.predictors.accuracy import AccuracyPredictor, held_out
from harness.reports.style import (
    CLOUD,
    GRID,
    INK,
    MEASURED,
    PREDICTED,
    as_csv,
    drawing,
    plain,
    save,
    written_out,
)
from harness.spaces.genome import Genomes
from harness.tables.batch import of_batch
from harness.tables.calibration import Floats, calibrate, measured_networks
from harness.tables.table import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BANDS = (0.05, 0.10)


@dataclass(frozen=True)
class Agreement:
    """A network with what was predicted of it and what came out."""

    group: str
    measured: float  # ms, or percent
    predicted: float
    low: float  # 95 % interval of measured
    high: float


def judged_latencies(front: Front, table: Table | None) -> list[Agreement]:
    """The table's holdout networks, and the front's own."""
    found = []
    if table is not None and table.has_blocks and table.source is None:
        campaign = table.calibrating_campaign()
        sums, measured = measured_networks(table, "holdout", table.clock, campaign)
        if len(measured):
            predicted = calibrate(table, table.clock, campaign).network(sums)
            records = table.select("holdout", table.clock, campaign)
            found += [
                Agreement("holdout", *(ns / 1e6 for ns in (was, predicted_ns, s.low, s.high)))
                for was, predicted_ns, s in zip(
                    measured, predicted, [r.statistics for r in records], strict=True
                )
            ]
    for point in front.points:
        if point.latency_ms_measured is not None:
            ms = point.latency_ms_measured
            low, high = point.latency_ms_measured_interval or (ms, ms)
            found.append(Agreement("front", ms, point.latency_ms, low, high))
    return found


def save_latency_agreement(found: Sequence[Agreement], front: Front, folder: Path) -> list[Path]:
    """Each network's error against its latency, with bands and the noise floor."""
    floor = front.table.get("floor_mape")
    how = "simulated whole" if front.simulated else "measured"
    with drawing(front.device, font_size=9) as plt:
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        for band in _BANDS:
            axes.axhspan(-100 * band, 100 * band, color=GRID, alpha=0.5, linewidth=0, zorder=0)
        for side in (-1, 1):
            if floor is not None and not front.simulated:
                label = "noise floor: halves of the visits, mean" if side > 0 else None
                axes.axhline(side * 100 * floor, color=INK, lw=0.8, ls=":", label=label)
        for group, colour, mark, label in (
            ("holdout", PREDICTED, "o", f"holdout networks of the table, {how}"),
            ("front", MEASURED, "s", f"networks of the front, {how}"),
        ):
            of_group = [each for each in found if each.group == group]
            if of_group:
                _errors(axes, of_group, colour, mark, label)
        axes.set_xscale("log")
        written_out(axes.xaxis, *axes.get_xlim())
        axes.set_xlabel(f"latency{of_batch(front.images_per_run)}, ms, {how}")
        axes.set_ylabel("error of the prediction, %")
        title = f"{front.space} on {front.device}: bands of 5 and 10 %"
        axes.set_title(title, loc="left", color=INK, weight="bold", fontsize=9)
        plain(axes)
        axes.legend(fontsize=7, framealpha=0.95)
        return save(figure, folder, "latency-agreement", _csv(found))


def _errors(axes: "Axes", found: Sequence[Agreement], colour: str, mark: str, label: str) -> None:
    errors = [100 * (each.predicted / each.measured - 1) for each in found]
    low = [e - 100 * (j.predicted / j.high - 1) for e, j in zip(errors, found, strict=True)]
    high = [100 * (j.predicted / j.low - 1) - e for e, j in zip(errors, found, strict=True)]
    axes.errorbar(
        [each.measured for each in found],
        errors,
        yerr=[[max(0.0, v) for v in low], [max(0.0, v) for v in high]],
        fmt=mark,
        color=colour,
        markersize=4,
        elinewidth=0.8,
        label=label,
    )


def judged_accuracies(
    predictor: AccuracyPredictor, genomes: Genomes, accuracies: Floats, seed: int
) -> list[Agreement]:
    """Evaluated sub-networks; those that the predictor was not fitted to are `held out`."""
    rows = zip(
        held_out(genomes, seed), accuracies.tolist(), predictor.accuracy(genomes), strict=True
    )
    return [
        Agreement("held out" if judges else "fitted", top1, float(predicted), top1, top1)
        for judges, top1, predicted in rows
    ]


def save_accuracy_agreement(found: Sequence[Agreement], front: Front, folder: Path) -> list[Path]:
    """Predicted against evaluated accuracy, and against test accuracy of the front's networks."""
    tested = [
        (point.accuracy_measured, point.accuracy)
        for point in front.points
        if point.accuracy_measured is not None
    ]
    with drawing(front.space, font_size=9) as plt:
        figure, axes = plt.subplots(figsize=(5.2, 4.6), layout="constrained")
        ends = [value for each in found for value in (each.measured, each.predicted)]
        axes.plot((min(ends), max(ends)), (min(ends), max(ends)), color=INK, linewidth=0.8)
        for group, colour, label in (
            ("fitted", CLOUD, "fitted to"),
            ("held out", PREDICTED, "held out"),
        ):
            of_group = [each for each in found if each.group == group]
            axes.plot(
                [each.measured for each in of_group],
                [each.predicted for each in of_group],
                "o",
                color=colour,
                markersize=3.5,
                label=f"{len(of_group)} sub-networks {label}, validation accuracy",
            )
        if tested:
            axes.plot(
                [evaluated for evaluated, _ in tested],
                [predicted for _, predicted in tested],
                "s",
                color=MEASURED,
                markersize=4,
                label=f"{len(tested)} networks of the front, test accuracy",
            )
        axes.set_xlabel(f"evaluated {front.scored}")
        axes.set_ylabel(f"predicted {front.scored}")
        title = f"accuracy predictor of {front.space}"
        axes.set_title(title, loc="left", color=INK, weight="bold", fontsize=9)
        plain(axes)
        axes.legend(fontsize=7, framealpha=0.95)
        return save(figure, folder, "accuracy-agreement", _csv(found))


def _csv(found: Sequence[Agreement]) -> str:
    return as_csv([field.name for field in fields(Agreement)], (astuple(each) for each in found))
