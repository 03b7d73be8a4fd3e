"""The Pareto plot, as PNG for documents and SVG for the page."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

from harness.deploy.front import Front, Interval
from harness.reports.style import GRID, INK, drawing, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLOUD, PREDICTED, MEASURED = "#b8bec8", "#d97706", "#1d4ed8"
# Which multiples of a power of ten are written out, by how many times the axis spans its start.
_TICKS = (
    (4.0, (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)),
    (12.0, (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)),
    (float("inf"), (1.0, 2.0, 5.0)),
)


def save_pareto(front: Front, folder: Path) -> list[Path]:
    """Accuracy against latency: random sub-networks, the predicted front, the verified points."""
    with drawing(front.device) as plt:
        figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
        _draw(axes, front)
        return save(figure, folder, "pareto")


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
        x = [point.latency_ms_measured or 0.0 for point in timed]
        y = [point.accuracy_measured or point.accuracy for point in timed]
        accuracies = "test accuracy" if evaluated else "predicted accuracy"
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
            label=_label_of_timed(front, accuracies),
        )
    axes.set_xscale("log")
    _plain_ticks(axes)
    _cut_below_front(axes, front)
    axes.set_xlabel(f"latency, ms ({_origin(front)})")
    axes.set_ylabel("top-1 accuracy, %")
    axes.set_title(f"{front.space} on {front.device}", color=INK, loc="left", fontweight="bold")
    caveat = front.accuracy_predictor.get("caveat")
    if caveat:
        axes.annotate(
            "\n".join(wrap(f"accuracies: {caveat}", 60)),
            (0.01, 0.98),
            xycoords="axes fraction",
            verticalalignment="top",
            fontsize=8,
            color=INK,
        )
    axes.grid(visible=True, which="both", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", fontsize=8, framealpha=0.95)


def _origin(front: Front) -> str:
    """Where the latencies come from, in short."""
    if front.table.get("source"):
        return "as imported"
    if front.simulated:
        return front.simulated.partition(":")[0].partition(" (")[0]
    return f"{front.table['clock']} clock, full speed"


def _label_of_timed(front: Front, accuracies: str) -> str:
    if front.simulated:
        return f"front: simulated whole, {accuracies}"
    return f"front: measured on the device, {accuracies} (95 % intervals)"


def _cloud_label(front: Front) -> str:
    predicted = front.settings.get("accuracy") is not None
    accuracies = "both predicted" if predicted else "predicted latency, validation accuracy"
    return f"random sub-networks: {accuracies}"


def _plain_ticks(axes: "Axes") -> None:
    """Milliseconds written out, about as many as fit, on the logarithmic axis."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axes.get_xlim()
    subs = next(subs for limit, subs in _TICKS if high < limit * low)
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _cut_below_front(axes: "Axes", front: Front) -> None:
    """Let the front fill the picture; say how many random sub-networks lie below it."""
    values = [point.accuracy for point in front.points]
    values += [low for p in front.points for low, _ in [p.accuracy_measured_interval or (100, 0)]]
    bottom = min(values) - 0.5 * (max(values) - min(values))
    hidden = sum(dot["accuracy"] < bottom for dot in front.cloud)
    if hidden:
        axes.set_ylim(bottom=bottom)
        text = f"{hidden} random sub-network{'s' if hidden > 1 else ''} below"
        axes.annotate(
            text, (0.01, 0.02), xycoords="axes fraction", fontsize=8, color=INK, alpha=0.7
        )


def _bars(values: Sequence[float], intervals: Sequence[Interval | None]) -> list[list[float]]:
    """Lengths below and above each value."""
    pairs = [interval or (value, value) for value, interval in zip(values, intervals, strict=True)]
    below = [max(0.0, value - low) for value, (low, _) in zip(values, pairs, strict=True)]
    above = [max(0.0, high - value) for value, (_, high) in zip(values, pairs, strict=True)]
    return [below, above]
