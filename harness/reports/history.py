"""Tables and benchmarks over time: what `harness history` says, in Markdown and on its page."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import files
from harness.reports.markdown import cell
from harness.reports.page import templates
from harness.tables.history import History, Step, Update
from harness.tables.record import Statistics

WIDTH, HEIGHT, EDGE = 640, 150, 8  # of a chart, in its own units
MOST_CHARTS = 12
_MOST_LINES = 20  # of steps that text and Markdown list


def summary(history: History) -> str:
    """In a line."""
    points, slower = history.points, len(history.regressions)
    faster = len(history.steps) - slower
    found = f"{slower} regression{'s' * (slower != 1)}, {faster} improvement{'s' * (faster != 1)}"
    doubts = "; suspect: " + ", ".join(points[-1].suspect) if points[-1].suspect else ""
    return (
        f"{history.series.what} on {history.series.device}: {found} in {len(points)} campaigns "
        f"from {points[0].where} to {points[-1].where}{doubts}"
    )


def amount(history: History, value: float) -> str:
    """A value of a record in the unit that is shown."""
    return f"{value / 1e6:.4g} {history.series.unit}"


def _step(history: History, step: Step) -> str:
    return (
        f"{step.workload}: {step.ratio:.3f} times beside the machine, "
        f"{amount(history, step.before)} to {amount(history, step.after)}, "
        f"since {history.points[step.at].where}; {why(step)}"
    )


def _update(history: History, update: Update) -> str:
    return f"{history.points[update.at].where}: {changes(update.changed)}; {effect(update)}"


def why(step: Step) -> str:
    """What came with it."""
    once = ", seen once: measure again to be sure" if step.newest else ""
    with_it = changes(step.changed) if step.changed else "no version that the device tells changed"
    return f"{with_it}{once}"


def changes(changed: Mapping[str, tuple[Any, Any]]) -> str:
    return ", ".join(f"{name} {old} -> {new}" for name, (old, new) in changed.items())


def effect(update: Update) -> str:
    """What an update did to everything."""
    low, high = update.interval
    text = f"everything takes {update.ratio:.3f} times ({low:.3f} to {high:.3f}, 95 %)"
    return text if update.counts else f"{text}, which is no more than the machine differs by"


def regressions_first(histories: Sequence[History]) -> list[History]:
    return sorted(histories, key=lambda each: -len(each.regressions))


def lines(histories: Sequence[History], notes: Sequence[str]) -> Iterator[str]:
    """For terminals: regressions first."""
    for each in regressions_first(histories):
        yield summary(each)
        yield from (f"  {_step(each, step)}" for step in each.steps[:_MOST_LINES])
        if len(each.steps) > _MOST_LINES:
            yield f"  and {len(each.steps) - _MOST_LINES} more, on the page"
        yield from (f"  {_update(each, update)}" for update in each.updates)
    yield from notes


def markdown(histories: Sequence[History], notes: Sequence[str]) -> str:
    """For the comment of a pull request."""
    text = []
    for each in regressions_first(histories):
        text.append(f"**{cell(summary(each))}**\n")
        steps = each.steps[:_MOST_LINES]
        if steps:
            text.append("| | beside the machine | before | after | since | with |")
            text.append("|---|---:|---:|---:|---|---|")
        for step in steps:
            mark = "slower" if step.ratio > 1 else "faster"
            text.append(
                f"| {mark}: {cell(step.workload)} | {step.ratio:.3f} x "
                f"| {amount(each, step.before)} | {amount(each, step.after)} "
                f"| {cell(each.points[step.at].where)} | {cell(why(step))} |"
            )
        text += ["", *(f"- {cell(_update(each, update))}" for update in each.updates), ""]
    text += [f"- {cell(note)}" for note in notes]
    return "\n".join(text).strip() + "\n"


@dataclass(frozen=True)
class Dot:
    """A value of a chart, in its units."""

    x: float
    y: float
    low: float
    high: float
    title: str


@dataclass(frozen=True)
class Chart:
    """A line with intervals; all is drawn by the template."""

    title: str
    dots: tuple[Dot, ...]
    steps: tuple[float, ...]  # where a step is, x
    updates: tuple[float, ...]
    ends: tuple[str, str]  # what the lower and the upper edge are


def chart(history: History, workload: str | None) -> Chart:
    """Of a workload's times at the machine's first level, or (None) of its level at each point."""
    points, levels = history.points, history.levels
    if workload is None:
        rows = [(n, level, level, level, f"{level:.3f} times") for n, level in enumerate(levels)]
    else:
        rows = [
            (
                n,
                each.value / levels[n],
                each.low / levels[n],
                each.high / levels[n],
                amount(history, each.value),
            )
            for n, each in _seen(history, workload)
        ]
    low, high = min(row[2] for row in rows), max(row[3] for row in rows)
    room = max(high - low, 0.02 * high)
    low, high = max(0.0, low - 0.1 * room), high + 0.1 * room

    def y(value: float) -> float:
        return round(EDGE + (HEIGHT - 2 * EDGE) * (high - value) / (high - low), 2)

    dots = tuple(
        Dot(_x(n, points), y(value), y(least), y(most), f"{points[n].where}: {text}")
        for n, value, least, most, text in rows
    )
    steps = [step.at for step in history.steps if step.workload == workload]
    ends = [f"{end:.3g} x" if workload is None else amount(history, end) for end in (low, high)]
    return Chart(
        workload or "the machine's level, to the first campaign",
        dots,
        tuple(_x(at - 0.5, points) for at in steps),
        tuple(_x(update.at - 0.5, points) for update in history.updates),
        (ends[0], ends[1]),
    )


def _seen(history: History, workload: str) -> list[tuple[int, Statistics]]:
    points = history.points
    return [(n, p.seen[workload]) for n, p in enumerate(points) if workload in p.seen]


def _x(at: float, points: Sequence[object]) -> float:
    return round(EDGE + (WIDTH - 2 * EDGE) * at / max(1, len(points) - 1), 2)


@dataclass(frozen=True)
class Row:
    """The newest state of a workload."""

    workload: str
    newest: str
    interval: str
    ratio: float  # to its first, beside the machine's level
    campaigns: int
    chart: Chart


def rows(history: History) -> list[Row]:
    """Of all workloads: the model first, then what takes longest."""
    names = {name for point in history.points for name in point.seen}
    found = []
    for name in names:
        seen = _seen(history, name)
        (first, old), (last, new) = seen[0], seen[-1]
        level = history.levels[last] / history.levels[first]
        ends = f"{new.low / 1e6:.4g} to {new.high / 1e6:.4g}"
        ratio = new.value / old.value / level
        row = Row(name, f"{new.value / 1e6:.4g}", ends, ratio, len(seen), chart(history, name))
        modelled = history.series.of_model and name == history.series.what
        found.append((not modelled, -new.value, row))
    return [row for *_, row in sorted(found, key=lambda each: each[:2])]


def charts(history: History) -> list[Chart]:
    """Of the model, of what has steps, and of the machine's level."""
    names = [step.workload for step in history.steps]
    names += [history.series.what] if history.series.of_model else []
    chosen = list(dict.fromkeys(names))[:MOST_CHARTS]
    return [*(chart(history, name) for name in chosen), chart(history, None)]


def save_history(histories: Sequence[History], notes: Sequence[str], folder: Path) -> Path:
    """`index.html`, regressions first; the file written."""
    page = (
        templates()
        .get_template("history.html")
        .render(
            histories=[(each, charts(each), rows(each)) for each in regressions_first(histories)],
            notes=notes,
            summary=summary,
            why=why,
            changes=changes,
            effect=effect,
            width=WIDTH,
            height=HEIGHT,
        )
    )
    path = folder / "index.html"
    files.write_text(path, page)
    return path
