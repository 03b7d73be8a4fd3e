"""What devices make of a search: depths, kernels and widths along their fronts."""

from collections.abc import Sequence
from pathlib import Path

from harness.deploy.front import Front
from harness.reports.pareto import shown_accuracy
from harness.reports.style import COLOURS, INK, as_csv, drawing, plain, save
from harness.spaces.arch import Arch
from harness.spaces.space import Space

LABELS = {
    "r": "resolution",
    "d": "layers in stages",
    "ks": "kernel, mean",
    "e": "inner over input channels, mean",
    "w": "width, mean",
}


def save_choices(fronts: Sequence[Front], space: Space, folder: Path) -> list[Path]:
    """`choices.png`, `.svg`, `.pdf` and `.csv`: against accuracy, which devices have in common."""
    parts = varied(fronts, space)
    if not parts:
        return []
    with drawing(space.name, font_size=9) as plt:
        figure, panels = plt.subplots(
            1, len(parts), figsize=(3.2 * len(parts), 3.4), squeeze=False, layout="constrained"
        )
        for axes, part in zip(panels[0], parts, strict=True):
            for number, front in enumerate(fronts):
                axes.plot(
                    [shown_accuracy(point) for point in front.points],
                    [along(point.arch, part) for point in front.points],
                    "o-",
                    color=COLOURS[number % len(COLOURS)],
                    markersize=3,
                    linewidth=1.2,
                    label=front.device,
                )
            axes.set_title(LABELS.get(part, f"{part}, mean"), loc="left", color=INK)
            plain(axes)
        figure.supxlabel(space.scored, fontsize=9)
        handles, names = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper left", ncols=len(fronts), frameon=False)
        rows = [
            (front.device, shown_accuracy(point), *(along(point.arch, part) for part in parts))
            for front in fronts
            for point in front.points
        ]
        return save(figure, folder, "choices", as_csv(("device", "accuracy", *parts), rows))


def varied(fronts: Sequence[Front], space: Space) -> list[str]:
    """Parts of archs in which networks of these fronts differ."""
    parts = dict.fromkeys(["r", *(gene.part for gene in space.genes)])
    archs = [point.arch for front in fronts for point in front.points]
    return [part for part in parts if len({along(arch, part) for arch in archs}) > 1]


def along(arch: Arch, part: str) -> float:
    """One number of all entries: of depths their sum, else the mean of what is not left out."""
    values = [value for value in arch.part(part) if value or part == "w"]
    total = float(sum(values))
    return total if part == "d" else total / max(1, len(values))
