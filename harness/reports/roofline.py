"""Networks under a machine's roofs, as a picture and as CSV: figures 9 and 10 of the OFA paper."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from textwrap import fill
from typing import TYPE_CHECKING

from harness.predictors.roofline import FOUND, MNASNET, V2, Roofline, RooflinePoint
from harness.reports.style import COLOURS, INK, as_csv, drawing, plain, save, written_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOUR = dict(zip((V2, MNASNET, FOUND), COLOURS, strict=False))
MARK = {V2: "s-", MNASNET: "D", FOUND: "o"}
_COLUMNS = ("group", "name", "macs", "latency_ms", "gops", "traffic_bytes", "ops_per_byte")
LABEL = {V2: "MobileNetV2", MNASNET: "MnasNet A1", FOUND: "found"}


def save_roofline(shown: Roofline, folder: Path) -> list[Path]:
    """`roofline.png`, `.svg`, `.pdf` and `.csv`; the files written."""
    with drawing(shown.device) as plt:
        figure = plt.figure(figsize=(9.6, 5.4), layout="constrained")
        grid = figure.add_gridspec(2, 2, width_ratios=(1, 1.9))
        most = ", at most" if shown.least else ""
        _bars(figure.add_subplot(grid[0, 0]), shown, "ops_per_byte", f"OPs/byte{most}")
        _bars(figure.add_subplot(grid[1, 0]), shown, "gops", "GOPS")
        _roofline(figure.add_subplot(grid[:, 1]), shown)
        what = shown.space if shown.group(FOUND) else "baselines"
        figure.suptitle(f"{what} on {shown.device}", color=INK, fontweight="bold")
        whiskers = "; whiskers: least and most" if len(shown.group(FOUND)) > 1 else ""
        below = (shown.evidence, f"traffic: {shown.traffic}{whiskers}")
        figure.supxlabel("\n".join(fill(text, 140) for text in below), fontsize=8, color=INK)
        return save(
            figure, folder, "roofline", as_csv(("what", *_COLUMNS, "images_per_run"), _rows(shown))
        )


def _bars(axes: "Axes", shown: Roofline, name: str, unit: str) -> None:
    """The baselines, and the median of the found networks with their least and most."""
    values = {
        group: [getattr(work, name) for work in shown.group(group) if work.name in (group, FOUND)]
        for group in (V2, MNASNET)
    }
    values[FOUND] = [getattr(work, name) for work in shown.group(FOUND)]
    reference = values[MNASNET][0] if values[MNASNET] else None
    groups = [group for group in values if values[group]]
    for place, group in enumerate(groups):
        middle, top = median(values[group]), max(values[group])
        axes.bar(place, middle, width=0.62, color=COLOUR[group])
        if len(values[group]) > 1:
            error = ((middle - min(values[group]),), (top - middle,))
            axes.errorbar(place, middle, yerr=error, color=INK, elinewidth=1, capsize=4)
        text = f"{middle:.3g}"
        if reference is not None and group != MNASNET:
            text += f"\n{middle / reference:.2f}x MnasNet"
        axes.annotate(
            text,
            (place, top),
            (0, 3),
            textcoords="offset points",
            horizontalalignment="center",
            color=INK,
            fontsize=9,
        )
    axes.set_xticks(range(len(groups)), [_tick(shown, group) for group in groups])
    axes.set_ylabel(unit)
    axes.set_xlim(-0.6, len(values) - 0.4)
    axes.margins(y=0.3)
    plain(axes, "y")


def _tick(shown: Roofline, group: str) -> str:
    count = len(shown.group(group))
    return f"found,\nmedian of {count}" if group == FOUND else LABEL[group].replace("Net", "Net\n")


def _roofline(axes: "Axes", shown: Roofline) -> None:
    """Throughput over intensity, both logarithmic."""
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.plot(
        [work.ops_per_byte for work in shown.blocks],
        [work.gops for work in shown.blocks],
        ".",
        color=COLOUR[FOUND],
        alpha=0.25,
        markeredgewidth=0,
        label="blocks of the found ones, alone" if shown.blocks else None,
    )
    for group in MARK:
        works = shown.group(group)
        if works:
            axes.plot(
                [work.ops_per_byte for work in works],
                [work.gops for work in works],
                MARK[group],
                color=COLOUR[group],
                markerfacecolor="none" if group == FOUND else COLOUR[group],
                markersize=6,
                linewidth=1,
                label=_legend(works, group),
            )
    _draw_roofs(axes, shown)
    written_out(axes.xaxis, *axes.get_xlim())
    written_out(axes.yaxis, *axes.get_ylim())
    axes.set_xlabel(f"OPs/byte{', at most' if shown.least else ''}")
    axes.set_ylabel("GOPS")
    plain(axes)
    axes.legend(loc="lower right", fontsize=8, framealpha=0.95)


def _legend(works: Sequence[RooflinePoint], group: str) -> str:
    if group == V2 and len(works) > 1:
        return f"{LABEL[V2]}, {len(works)} widths"
    return f"{len(works)} found networks" if group == FOUND else LABEL[group]


def _draw_roofs(axes: "Axes", shown: Roofline) -> None:
    """Lines up to the peak; without any, the picture says why."""
    if not shown.roofs:
        axes.annotate(
            "no roof: nobody measured the machine's peaks",
            (0.02, 0.97),
            xycoords="axes fraction",
            verticalalignment="top",
            fontsize=8,
            color=INK,
        )
        return
    left, right = axes.get_xlim()
    right = max(right, *(2 * roof.peak_gops / roof.gb_s for roof in shown.roofs))
    for roof, style in zip(shown.roofs, ("-", "--"), strict=False):
        ridge = roof.peak_gops / roof.gb_s
        places = (left, ridge, right)
        label = f"{roof.gb_s:.3g} GB/s: {roof.what}"
        axes.plot(places, [roof.gops(x) for x in places], style, color=INK, label=label)
    peak = shown.roofs[0].peak_gops
    axes.annotate(
        f"peak {peak:.4g} GOPS",
        (right, peak),
        (-4, 6),
        textcoords="offset points",
        horizontalalignment="right",
        fontsize=8,
        color=INK,
    )
    axes.set_xlim(left, right)


def _rows(shown: Roofline) -> Iterator[list[object]]:
    for what, works in (("network", shown.networks), ("block", shown.blocks)):
        for work in works:
            yield [what, *(getattr(work, name) for name in _COLUMNS), shown.images_per_run]
