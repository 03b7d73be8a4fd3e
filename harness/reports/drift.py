"""How steady the device was while its table was measured: the sentinel, visited all along."""

from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from harness.device.conditions import sensor_of
from harness.reports.style import COLOURS, GRID, INK, MEASURED, as_csv, drawing, plain, save
from harness.tables.journal import Journal

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def save_drift(journal: Journal, device: str, clock: str, folder: Path) -> list[Path]:
    """Each visit's fastest run over that of the middle visit, and the temperature where known.

    Nothing is written where the sentinel has no visits on this clock.
    """
    visits = [v for v in journal.visits if v.entry == 0 and v.values.get(clock)]
    if not visits:
        return []
    start_ns = visits[0].at_ns
    minutes = [(visit.at_ns - start_ns) / 6e10 for visit in visits]
    fastest = [min(visit.values[clock]) for visit in visits]
    slower = [value / median(fastest) for value in fastest]
    temperatures = [_temperature(journal, visit.readings_before) for visit in visits]
    with drawing(device, font_size=9) as plt:
        figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
        axes.axhspan(0.95, 1.05, color=GRID, alpha=0.5, linewidth=0, zorder=0)
        axes.plot(minutes, slower, ".", color=MEASURED, markersize=3, markeredgewidth=0)
        axes.set_xlabel("minutes")
        axes.set_ylabel("sentinel, over its median")
        axes.set_yscale("log")
        _ticks(axes, max(slower))
        title = f"{device} while its table was measured ({clock} clock; band: 5 %)"
        axes.set_title(title, loc="left", color=INK, weight="bold", fontsize=9)
        plain(axes)
        if any(value is not None for value in temperatures):
            other = axes.twinx()
            other.plot(
                minutes,
                [float("nan") if t is None else t for t in temperatures],
                color=COLOURS[3],
                linewidth=1,
            )
            other.set_ylabel("degrees Celsius", color=COLOURS[3])
            other.spines["top"].set_visible(False)
        names = ("minutes", "fastest_ns", "over_median", "temperature_c")
        rows = zip(minutes, fastest, slower, temperatures, strict=True)
        return save(figure, folder, "drift", as_csv(names, rows))


def _ticks(axes: "Axes", largest: float) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter

    steps = (0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.5, 2, 3, 5, 10, 20, 50, 100)
    axes.yaxis.set_major_locator(FixedLocator([s for s in steps if s <= 1.3 * largest]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _temperature(journal: Journal, readings: int) -> float | None:
    """Of the newest reading before a visit."""
    if not readings:
        return None
    conditions = journal.readings[readings - 1].conditions
    value = conditions.get(sensor_of(conditions))
    return value if isinstance(value, int | float) else None
