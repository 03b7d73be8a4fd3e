"""Accuracy against latency: one device's front, or those of several."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from harness.deploy.front import Front, Point
from harness.reports.references import BASELINE, RELEASED, Reference
from harness.reports.style import (
    BASELINES,
    CLOUD,
    COLOURS,
    INK,
    MEASURED,
    PREDICTED,
    PUBLISHED,
    as_csv,
    drawing,
    plain,
    save,
    written_out,
)
from harness.tables.batch import of_batch
from harness.tables.repeat import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKS = {RELEASED: ("D", PUBLISHED), BASELINE: ("s", BASELINES)}
_COLUMNS = (
    *("latency_ms", "latency_ms_measured", "latency_ms_wall_median"),
    *("accuracy", "accuracy_measured", "macs", "params"),
)
_INTERVALS = (
    *("latency_ms_interval", "latency_ms_measured_interval"),
    *("accuracy_interval", "accuracy_measured_interval"),
)


def save_pareto(front: Front, others: Sequence[Reference], folder: Path) -> list[Path]:
    """Random sub-networks, the predicted front, the verified points, and networks of others."""
    with drawing(front.device) as plt:
        figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
        _draw(axes, front)
        _draw_others(axes, others)
        _finish(axes, [front], f"latency{of_batch(front.images_per_run)}, ms ({origin(front)})")
        axes.set_title(f"{front.space} on {front.device}", color=INK, loc="left", weight="bold")
        return save(figure, folder, "pareto", _csv([front], others))


def save_fronts(fronts: Sequence[Front], folder: Path) -> list[Path]:
    """The fronts of several devices, verified where they are, else predicted."""
    with drawing("fronts") as plt:
        figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
        for number, front in enumerate(fronts):
            verified = front.verification is not None
            axes.plot(
                [shown_ms(point) for point in front.points],
                [shown_accuracy(point) for point in front.points],
                "o-" if verified else "o--",
                color=COLOURS[number % len(COLOURS)],
                markerfacecolor=None if verified else "white",
                markersize=4,
                linewidth=1.2,
                label=f"{front.device}{of_batch(front.images_per_run)}"
                f"{'' if verified else ' (predicted)'}",
            )
        _finish(axes, fronts, "latency, ms")
        axes.set_title(f"{fronts[0].space} by device", color=INK, loc="left", weight="bold")
        return save(figure, folder, "fronts", _csv(fronts, ()))


def shown_ms(point: Point) -> float:
    """Measured where it was."""
    return point.latency_ms if point.latency_ms_measured is None else point.latency_ms_measured


def shown_accuracy(point: Point) -> float:
    """On test images where it was evaluated."""
    return point.accuracy if point.accuracy_measured is None else point.accuracy_measured


def origin(front: Front) -> str:
    """Where the latencies come from, in short."""
    if front.table.get("source"):
        return "as imported"
    if front.simulated:
        return front.simulated.partition(":")[0].partition(" (")[0]
    return f"{front.table['clock']} clock, full speed"


def _draw(axes: "Axes", front: Front) -> None:
    axes.scatter(
        [dot["latency_ms"] for dot in front.cloud],
        [dot["accuracy"] for dot in front.cloud],
        s=14,
        color=CLOUD,
        linewidths=0,
        label=_cloud_label(front),
    )
    axes.plot(
        [point.latency_ms for point in front.points],
        [point.accuracy for point in front.points],
        "o--",
        color=PREDICTED,
        markersize=4,
        linewidth=1.2,
        label="front: predicted",
    )
    timed = [point for point in front.points if point.latency_ms_measured is not None]
    if timed:
        evaluated = timed[0].accuracy_measured is not None
        x = [shown_ms(point) for point in timed]
        y = [shown_accuracy(point) for point in timed]
        axes.errorbar(
            x,
            y,
            xerr=_bars(x, [point.latency_ms_measured_interval for point in timed]),
            yerr=_bars(y, [point.accuracy_measured_interval for point in timed]),
            fmt="o",
            color=MEASURED,
            markersize=5,
            elinewidth=1,
            capsize=2,
            label=_label_of_timed(front, "test" if evaluated else "predicted"),
        )
    _cut_below_front(axes, front)


def _draw_others(axes: "Axes", others: Sequence[Reference]) -> None:
    for group in dict.fromkeys(each.group for each in others):
        mark, colour = _MARKS[RELEASED if group == RELEASED else BASELINE]
        shown = [each for each in others if each.group == group]
        if shown:
            axes.plot(
                [each.latency_ms for each in shown],
                [each.accuracy for each in shown],
                mark,
                color=colour,
                markersize=5,
                label=f"{group} (ImageNet top-1)",
            )
        if group != RELEASED:
            for each in shown:
                axes.annotate(
                    each.name,
                    (each.latency_ms, each.accuracy),
                    (4, -3),
                    textcoords="offset points",
                    fontsize=6,
                    color=INK,
                )


def _finish(axes: "Axes", fronts: Sequence[Front], label: str) -> None:
    axes.set_xscale("log")
    written_out(axes.xaxis, *axes.get_xlim())
    axes.set_xlabel(label)
    axes.set_ylabel(fronts[0].scored)
    caveat = fronts[0].accuracy_predictor.get("caveat")
    if caveat:
        axes.annotate(
            "\n".join(wrap(f"accuracies: {caveat}", 60)),
            (0.01, 0.98),
            xycoords="axes fraction",
            verticalalignment="top",
            fontsize=8,
            color=INK,
        )
    plain(axes)
    axes.legend(loc="lower right", fontsize=8, framealpha=0.95)


def _label_of_timed(front: Front, accuracies: str) -> str:
    if front.simulated:
        return f"front: simulated whole, {accuracies} accuracy"
    return f"front: measured on the device, {accuracies} accuracy (95 % intervals)"


def _cloud_label(front: Front) -> str:
    predicted = front.settings.get("accuracy") is not None
    accuracies = "both predicted" if predicted else "predicted latency, validation accuracy"
    return f"random sub-networks: {accuracies}"


def _cut_below_front(axes: "Axes", front: Front) -> None:
    """Let the front fill the picture; say how many networks lie below it."""
    values = sorted(shown_accuracy(point) for point in front.points)
    quarter = len(values) // 4
    # A single network far below the rest would press them to the edge, too.
    fence = values[quarter] - 3 * max(0.5, values[-1 - quarter] - values[quarter])
    values += [low for p in front.points for low, _ in [p.accuracy_measured_interval or (100, 0)]]
    least = min(value for value in values if value >= fence)
    bottom = least - 0.5 * (max(values) - least)
    hidden = sum(dot["accuracy"] < bottom for dot in front.cloud)
    own = sum(shown_accuracy(point) < bottom for point in front.points)
    if hidden or own:
        axes.set_ylim(bottom=bottom)
        text = f"{hidden} random sub-network{'' if hidden == 1 else 's'} below"
        if own:
            text = f"{own} of the front and {text}"
        axes.annotate(
            text, (0.01, 0.02), xycoords="axes fraction", fontsize=8, color=INK, alpha=0.7
        )


def _bars(values: Sequence[float], intervals: Sequence[Interval | None]) -> list[list[float]]:
    """Lengths below and above each value."""
    pairs = [interval or (value, value) for value, interval in zip(values, intervals, strict=True)]
    below = [max(0.0, value - low) for value, (low, _) in zip(values, pairs, strict=True)]
    above = [max(0.0, high - value) for value, (_, high) in zip(values, pairs, strict=True)]
    return [below, above]


def _csv(fronts: Sequence[Front], others: Sequence[Reference]) -> str:
    ends = [f"{name}_{end}" for name in _INTERVALS for end in ("low", "high")]
    names = ("device", "what", "name", "images_per_run", *_COLUMNS, *ends)
    return as_csv(names, _rows(fronts, others))


def _rows(fronts: Sequence[Front], others: Sequence[Reference]) -> Iterator[list[object]]:
    for front in fronts:
        images = front.images_per_run
        for number, point in enumerate(front.points):
            values = [getattr(point, name) for name in _COLUMNS]
            for name in _INTERVALS:
                values += getattr(point, name) or (None, None)
            yield [front.device, "front", f"front:{number}", images, *values]
        for dot in front.cloud:
            predicted = dot["latency_ms"], None, None, dot["accuracy"]
            yield [front.device, "random", "", images, *predicted]
    for each in others:
        cells = each.latency_ms, None, each.accuracy
        yield [fronts[0].device, each.group, each.name, fronts[0].images_per_run, None, *cells]
