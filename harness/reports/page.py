"""Pages of fronts: one HTML file that needs nothing else, of one device or of several."""

import base64
import json
import math
from collections.abc import Iterable, Sequence
from functools import partial
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness import files
from harness.quantities import unit_of
from harness.reports.content import Shown, content, legend, stages
from harness.reports.cost import Line
from harness.reports.pareto import shown_accuracy, shown_ms
from harness.reports.style import PAGE
from harness.reports.trust import Coverage, Doubt, conditions
from harness.tables.batch import an_image, of_batch

LIBRARY = "plotly/plotly-basic.min.js"


def templates() -> Environment:
    """Ours; whatever is filled in stays text."""
    environment = Environment(
        loader=PackageLoader("harness.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"allow_nan": False, "separators": (",", ":")}
    environment.filters |= {"when": when, "short": short, "signed": signed, "of_batch": of_batch}
    environment.filters["unit"] = unit_of
    environment.globals |= {"an_image": an_image, "style": PAGE}
    return environment


def when(started_at: str) -> str:
    """`2026-11-21T20:02:56+00:00` as people write it."""
    return started_at.replace("T", " ").replace("+00:00", " UTC")


def short(value: object) -> object:
    """Four digits of a number, written out; else as it is."""
    if not isinstance(value, float) or not math.isfinite(value):
        return value
    return f"{value:.0f}" if abs(value) >= 1e4 else f"{value:.4g}"


def signed(value: float, digits: int = 1) -> str:
    """With its sign, but for what rounds to nothing."""
    rounded = round(value, digits)
    return f"{rounded:+.{digits}f}" if rounded else f"{0:.{digits}f}"


def save_device_page(
    shown: Shown,
    coverage: Coverage | None,
    cost: Iterable[Line],
    figures: Iterable[Path],
    folder: Path,
) -> Path:
    """`index.html` of one device; `figures` are drawn already, and become part of it."""
    environment = templates()
    environment.filters |= {"stages": partial(stages, shown.space), "ms": shown_ms}
    environment.globals |= {"legend": legend(shown.space), "unit": shown.space.unit}
    campaign = shown.front.table.get("campaign") or {}
    page = environment.get_template("device.html").render(
        front=shown.front,
        space=shown.space,
        doubts=shown.doubts,
        beside=shown.beside,
        coverage=coverage,
        conditions=conditions(campaign),
        versions=campaign.get("environment", {}),
        where=shown.where,
        cost=list(cost),
        figures=embedded(figures),
        content=content([shown]),
        plotly=plotly(),
        command=shown.front.command(shown.space_text),
        settings=json.dumps(shown.front.settings, indent=1),
    )
    return _saved(page, folder)


def save_devices_page(
    shown: Sequence[Shown], cost: Iterable[Line], figures: Iterable[Path], folder: Path
) -> Path:
    """`index.html` of several devices of one space."""
    environment = templates()
    environment.filters |= {"ms": shown_ms, "top1": shown_accuracy}
    page = environment.get_template("devices.html").render(
        shown=shown,
        space=shown[0].space,
        doubts=[
            Doubt(f"{each.front.device}, {doubt.what}", doubt.why)
            for each in shown
            for doubt in each.doubts
        ],
        cost=list(cost),
        figures=embedded(figures),
        content=content(shown),
        plotly=plotly(),
    )
    return _saved(page, folder)


def _saved(page: str, folder: Path) -> Path:
    path = folder / "index.html"
    files.write_text(path, page)
    return path


def plotly() -> Markup:
    """The plotting library."""
    return Markup(resources("harness.reports").joinpath(LIBRARY).read_text("utf-8"))  # noqa: S704


def embedded(figures: Iterable[Path]) -> dict[str, Any]:
    """Figures as addresses that hold their content, by name."""
    return {
        path.stem: f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
        for path in figures
        if path.suffix == ".svg"
    }
