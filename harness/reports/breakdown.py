"""Where time and energy go, as a picture and as CSV."""

from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from harness.predictors.breakdown import Part
from harness.reports.style import COLOURS, INK, as_csv, drawing, plain, save
from harness.tables.batch import an_image, of_batch

MOST_BARS = 60
BAR_HEIGHT_IN = 0.21


def save_breakdown(parts: Sequence[Part], device: str, folder: Path) -> list[Path]:
    """`breakdown.png`, `.svg`, `.pdf` and `.csv`; the files written."""
    from matplotlib.patches import Patch

    shown = _shown(parts)
    total_ms = sum(part.latency_ms for part in parts)
    images = parts[0].images_per_run
    request = f"a request{of_batch(images)}"
    panels = [("latency_ms", f"ms {request}, of {total_ms:.4g}{an_image(total_ms, images)}")]
    if all(part.energy_mj is not None for part in parts):
        total_mj = sum(part.energy_mj or 0.0 for part in parts)
        each = an_image(total_mj, images, "mJ")
        panels.append(("energy_mj", f"mJ {request}, of {total_mj:.4g}{each}"))
    networks = list(dict.fromkeys(part.network for part in parts))
    colours = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(networks)}
    size = (4.5 + 3.5 * len(panels), 1.3 + BAR_HEIGHT_IN * len(shown))
    with drawing(device, font_size=8) as plt:
        figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
        for panel, (name, unit) in zip(axes[0], panels, strict=True):
            values = [getattr(part, name) for part in shown]
            panel.barh(range(len(shown)), values, color=[colours[part.network] for part in shown])
            panel.set_xlabel(unit)
            panel.margins(y=0.01)
            plain(panel, "x")
        axes[0][0].set_yticks(range(len(shown)), [part.what for part in shown])
        axes[0][0].invert_yaxis()
        if len(networks) > 1:
            handles = [Patch(color=colours[name]) for name in networks]
            axes[0][-1].legend(handles, networks, loc="lower right", framealpha=0.95)
        left_out = f", the {len(shown)} longest of {len(parts)} parts" * (len(shown) < len(parts))
        what = f"{', '.join(networks)} on {device}{left_out}"
        figure.suptitle(what, color=INK, fontweight="bold", wrap=True)
        figure.set_layout_engine("constrained")
        data = as_csv(tuple(Part.__dataclass_fields__), (astuple(part) for part in parts))
        return save(figure, folder, "breakdown", data)


def _shown(parts: Sequence[Part]) -> list[Part]:
    """In their order; only the longest where there are too many."""
    longest = sorted(parts, key=lambda part: -part.latency_ms)[:MOST_BARS]
    return [part for part in parts if part in longest]
