"""How all figures look, and how they are written."""

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from harness import files

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

INK, GRID = "#1f2937", "#e5e7eb"
# Okabe and Ito's, which colour-blind people tell apart.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#999999")
# Of one device's front, in figures and on its page; several devices take COLOURS in turn.
CLOUD, PREDICTED, MEASURED, PUBLISHED = "#98a2b1", COLOURS[1], COLOURS[0], COLOURS[2]
BASELINES = COLOURS[4]
FIXED = "#9ca3af"  # layers that do not vary
KERNELS = {1: "#d1d5db", 3: "#56b4e9", 5: "#0072b2", 7: "#d55e00"}
# Of pages: custom properties of their style sheet, by theme; `fronts` go to the interactive plot.
PAGE = {
    "fronts": {
        "predicted": PREDICTED,
        "measured": MEASURED,
        "published": PUBLISHED,
        "baselines": BASELINES,
        "ink": INK,
        "card": "#ffffff",
        "edge": "#8a93a0",
    },
    "light": {
        "ink": INK,
        "soft": "#5b6472",
        "line": "#e2e5ea",
        "back": "#f6f7f9",
        "card": "#fff",
        "link": "#0a5c8f",
        "warn": "#7a4a00",
        "warn-back": "#fff4dc",
        "warn-line": COLOURS[1],
        "cloud": CLOUD,
        "mark": MEASURED,
        "shade": "#0003",
    },
    "dark": {
        "ink": "#e5e7eb",
        "soft": "#a1a9b5",
        "line": "#363c47",
        "back": "#14171c",
        "card": "#1d2128",
        "link": "#7cc4f0",
        "warn": "#ffd88a",
        "warn-back": "#33280f",
        "warn-line": COLOURS[1],
        "cloud": "#7d8796",
        "mark": COLOURS[5],
        "shade": "#000b",
    },
}
FORMATS = ("png", "svg", "pdf")
DPI = 150
# Which multiples of a power of ten are written out, by how many times the axis spans its start.
_TICKS = (
    (4.0, (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0)),
    (12.0, (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)),
    (1000.0, (1.0, 2.0, 5.0)),
    (float("inf"), (1.0,)),
)


@contextmanager
def drawing(name: str, font_size: float = 10) -> Iterator[ModuleType]:
    """Pyplot without a screen; the same `name` gives the same file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context(
        {
            "figure.dpi": DPI,  # text is laid out as wide as it is drawn
            "svg.hashsalt": name,
            "svg.fonttype": "path",
            "text.parse_math": False,  # names may have dollars in them
            "pdf.fonttype": 42,  # text stays text, as publishers want it
            "font.size": font_size,
        }
    ):
        yield plt


def save(figure: "Figure", folder: Path, name: str, data: str | None = None) -> list[Path]:
    """`name.png`, `.svg`, `.pdf` and, with the figure's data, `.csv`; the files written."""
    from matplotlib import pyplot as plt

    metadata = {"png": {}, "svg": {"Date": None}, "pdf": {"CreationDate": None}}
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # is laid out now, once for all formats
    contents = {}
    for suffix in FORMATS:
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=DPI, metadata=metadata[suffix])
        contents[suffix] = buffer.getvalue()
    plt.close(figure)
    if data is not None:
        contents["csv"] = data.encode()
    for suffix, content in contents.items():
        files.replace_atomically(folder / f"{name}.{suffix}", content)
    return [folder / f"{name}.{suffix}" for suffix in contents]


def as_csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """What a figure shows, one line a row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return text.getvalue()


def plain(axes: "Axes", along: Literal["x", "y", "both"] = "both") -> None:
    """A quiet grid behind the data, and no box around it."""
    axes.grid(visible=True, which="major", axis=along, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def written_out(axis: "Axis", low: float, high: float) -> None:
    """Numbers in full, about as many as fit, on a logarithmic axis from `low` to `high`."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    subs = next(subs for limit, subs in _TICKS if high < limit * low)
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())
