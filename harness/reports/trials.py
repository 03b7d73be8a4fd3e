"""A front as a table of trials, with the columns of Optuna's `Study.trials_dataframe`."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from harness import files
from harness.deploy.front import Front, Point
from harness.reports.style import as_csv

_TOLD = tuple(
    each.name
    for each in fields(Point)
    if each.name not in ("arch", "seen_ms", "seen_ms_measured") and "interval" not in each.name
)


def save_trials(front: Front, folder: Path) -> Path:
    """`trials.csv`: a row for each point of the front; the file written.

    `values_*` are what was measured, else predicted; `params_*` the arch by OFA's names.
    """
    rows = [_row(number, point) for number, point in enumerate(front.points)]
    names = list(dict.fromkeys(name for row in rows for name in row))
    path = folder / "trials.csv"
    files.write_text(path, as_csv(names, ([row.get(name) for name in names] for row in rows)))
    return path


def _row(number: int, point: Point) -> dict[str, object]:
    latency_ms = point.latency_ms_measured or point.latency_ms
    accuracy = point.accuracy if point.accuracy_measured is None else point.accuracy_measured
    values = {"number": number, "values_latency_ms": latency_ms, "values_accuracy": accuracy}
    attributes = {f"user_attrs_{name}": getattr(point, name) for name in _TOLD}
    return values | dict(_params(point)) | attributes | {"state": "COMPLETE"}


def _params(point: Point) -> Iterator[tuple[str, object]]:
    for part, value in point.arch.to_json().items():
        if not isinstance(value, list | tuple):
            yield f"params_{part}", value
            continue
        yield from ((f"params_{part}_{place}", each) for place, each in enumerate(value))
