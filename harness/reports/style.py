"""How all figures look, and how they are written."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from harness import files

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, GRID = "#1f2937", "#e5e7eb"
# Okabe and Ito's, which colour-blind people tell apart.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#999999")


@contextmanager
def drawing(name: str, font_size: float = 10) -> Iterator[ModuleType]:
    """Pyplot without a screen; the same `name` gives the same file."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "path", "font.size": font_size}):
        yield plt


def save(figure: "Figure", folder: Path, name: str, data: str | None = None) -> list[Path]:
    """`name.png`, `.svg` and, with the figure's data, `.csv`; the files written."""
    from matplotlib import pyplot as plt

    png, svg = io.BytesIO(), io.BytesIO()
    figure.savefig(png, format="png", dpi=150)
    figure.savefig(svg, format="svg", metadata={"Date": None})
    plt.close(figure)
    contents = {"png": png.getvalue(), "svg": svg.getvalue()}
    if data is not None:
        contents["csv"] = data.encode()
    for suffix, content in contents.items():
        files.replace_atomically(folder / f"{name}.{suffix}", content)
    return [folder / f"{name}.{suffix}" for suffix in contents]
