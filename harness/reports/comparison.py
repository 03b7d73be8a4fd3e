"""Two tables of a device, and what the newer one does to its front, as figures and a page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness import files
from harness.reports.page import embedded, templates, when
from harness.reports.style import CLOUD, COLOURS, INK, as_csv, drawing, plain, save, written_out
from harness.searching.objectives import Found
from harness.spaces.block import Block
from harness.tables.batch import an_image, of_batch
from harness.tables.compare import Comparison, noise
from harness.tables.repeat import NORMAL95
from harness.tables.table import Table
from harness.tables.versions import uses, versions_apart

WORTHWHILE = 0.3  # points of accuracy that a new search has to gain
UNLIKE = 0.2  # share of networks beyond their 95 % error that is no chance any more
_ALONG = 50  # accuracies at which two fronts are compared


@dataclass(frozen=True)
class Affected:
    """A network by both tables."""

    name: str
    old_ms: float
    new_ms: float
    accuracy: float | None  # predicted, percent; None where nobody predicts it
    best_now: float | None  # the most accurate network that takes no longer than this one now
    best_surely: float | None  # that, and by more than both tables' errors allow
    moved: tuple[str, ...]  # its blocks that moved
    shipped: bool = False

    @property
    def runs(self) -> bool:
        """By both tables: infeasible blocks take forever."""
        return math.isfinite(self.old_ms) and math.isfinite(self.new_ms)

    @property
    def ratio(self) -> float:
        return self.new_ms / self.old_ms

    @property
    def gain(self) -> float | None:
        """Points that a search anew would win at this network's latency; None: nobody knows."""
        return self._beyond(self.best_now)

    @property
    def sure_gain(self) -> float | None:
        """The same whatever the tables' errors hide."""
        return self._beyond(self.best_surely)

    def _beyond(self, best: float | None) -> float | None:
        return None if best is None or self.accuracy is None else best - self.accuracy


@dataclass(frozen=True)
class Fronts:
    """Found anew by each table, with the same accuracies and seed."""

    old: Found
    new: Found

    def ratio(self) -> float | None:
        """New over old latency at the same accuracy, the median; None where they share none."""
        low = max(found.accuracy.min() for found in (self.old, self.new))
        high = min(found.accuracy.max() for found in (self.old, self.new))
        if low > high:
            return None
        wanted = np.linspace(low, high, _ALONG)
        old, new = (_cheapest(found, wanted) for found in (self.old, self.new))
        return float(np.median(new / old))


def _cheapest(found: Found, wanted: np.ndarray) -> np.ndarray:
    """The lowest cost at which each accuracy is reached; both rise along a front."""
    return found.cost[np.searchsorted(np.maximum.accumulate(found.accuracy), wanted)]


def best_within(found: Found, latency_ms: float) -> float | None:
    """The highest accuracy at no more than this latency; None where all take longer, or forever.

    A network is within its own latency, however that was summed.
    """
    if not math.isfinite(latency_ms):
        return None
    within = found.accuracy[found.cost <= latency_ms * (1 + 1e-6)]
    return float(within.max()) if len(within) else None


@dataclass(frozen=True)
class ComparisonPage:
    """All that a page of two tables shows."""

    names: tuple[str, str]  # as they were asked for
    old: Table
    new: Table
    blocks: Comparison
    fronts: Fronts | None
    why_no_fronts: str
    search: str  # the command that searches anew
    networks: tuple[Affected, ...]
    # Relative, of a network's change: 95 % lie within it where nothing changed but the machine's
    # speed. None where a table does not know its error.
    error: float | None


def save_comparison(compared: ComparisonPage, folder: Path) -> list[Path]:
    """`compare.html` and its figures; the files written."""
    figures = _save_blocks(compared, folder)
    if compared.fronts is not None:
        figures += _save_fronts(compared, compared.fronts, folder)
    page = (
        templates()
        .get_template("compare.html")
        .render(
            compared=compared,
            verdict=verdict(compared),
            worthwhile=WORTHWHILE,
            stand_for=[_stands_for(table) for table in (compared.old, compared.new)],
            apart={
                "old": versions_apart(uses(compared.old)),
                "new": versions_apart(uses(compared.new)),
            },
            front_ratio=compared.fronts.ratio() if compared.fronts else None,
            figures=embedded(figures),
        )
    )
    path = folder / "compare.html"
    files.write_text(path, page)
    return [path, *figures]


def verdict(compared: ComparisonPage) -> list[str]:
    """What it means, and what to do."""
    shift = compared.blocks.shift
    moved = len(compared.blocks.moved)
    lost = [each.name for each in compared.networks if not each.runs]
    away = [abs(each.ratio / shift - 1) for each in compared.networks if each.runs]
    unlike = sum(each > compared.error for each in away) if compared.error is not None else 0
    gains = [each.gain for each in compared.networks if each.gain is not None]
    sure = [each.sure_gain for each in compared.networks if each.sure_gain is not None]
    why = compared.blocks.why_shifted()
    lines = [
        f"Everything takes {shift:.3f} times as long as before.",
        f"{why[0].upper()}{why[1:]}.",
    ]
    if moved:
        lines.append(f"{moved} block{'s' * (moved > 1)} changed by themselves, on top of that.")
    if lost:
        lines.append(f"These cannot run there any more: {', '.join(lost)}.")
    if unlike > UNLIKE * len(away) and not moved:
        lines.append(
            f"Of {len(away)} networks {unlike} changed more than the tables' errors allow, though "
            "none of their blocks did: the machine was not steady in one of the campaigns. Measure "
            "again, when it is quiet, before acting on this."
        )
    elif sure and max(sure) >= WORTHWHILE:
        lines.append(
            f"A search anew gains up to {max(sure):.1f} points of predicted accuracy at the same "
            f"latency, beyond what the tables' errors allow: {compared.search}"
        )
    elif gains and max(gains) >= WORTHWHILE:
        lines.append(
            "What a search anew might gain is within what the tables' errors allow: the old "
            "front's networks still serve."
        )
    elif gains:
        lines.append("The old front's networks are still about the best: no search is needed.")
    return lines + [
        f"{each.name}, which you ship, is now predicted at {each.new_ms:.4g} ms"
        f"{an_image(each.new_ms, compared.new.images_per_run)}, before at "
        f"{each.old_ms:.4g} ms{an_image(each.old_ms, compared.old.images_per_run)}: "
        "see whether your budget still holds."
        for each in compared.networks
        if each.shipped and each.runs
    ]


def _stands_for(table: Table) -> str:
    """Where its numbers come from, and since when."""
    if table.source is not None:
        return f"imported from {table.source}"
    started = when(str(table.campaigns[table.block_campaign()]["started_at"]))
    return f"{'simulated' if table.simulated else 'measured'} {started}"


def _save_blocks(compared: ComparisonPage, folder: Path) -> list[Path]:
    """Each block's change over its time, and the shift of all."""
    clock = compared.old.clock
    old, new = compared.old.blocks(clock), compared.new.blocks(clock)
    moved = {each.block for each in compared.blocks.moved}
    blocks = sorted(old.keys() & new.keys())
    sides = [[table[block].statistics for block in blocks] for table in (old, new)]
    spread = NORMAL95 * np.hypot(*(noise(statistics) for statistics in sides))
    rows = [
        (block, before.value / 1e6, after.value / 1e6, float(log_ratio))
        for block, before, after, log_ratio in zip(blocks, *sides, spread, strict=True)
    ]
    with drawing(compared.new.device, font_size=9) as plt:
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        for chosen, colour, label in (
            (False, CLOUD, "no other change beyond noise"),
            (True, COLOURS[3], "moved, beyond noise and shift"),
        ):
            of_kind = [row for row in rows if (row[0] in moved) == chosen]
            axes.errorbar(
                [before for _, before, _, _ in of_kind],
                [after / before for _, before, after, _ in of_kind],
                yerr=[
                    [after / before * (1 - math.exp(-log)) for _, before, after, log in of_kind],
                    [after / before * (math.exp(log) - 1) for _, before, after, log in of_kind],
                ],
                fmt="o",
                color=colour,
                markersize=3.5,
                elinewidth=0.6,
                label=f"{len(of_kind)} blocks: {label}",
            )
        shift = compared.blocks.shift
        axes.axhline(shift, color=INK, linewidth=1, label=f"everything: {shift:.3f} times")
        axes.set_xscale("log")
        written_out(axes.xaxis, *axes.get_xlim())
        axes.set_xlabel(f"ms{of_batch(compared.old.images_per_run)} in the old table")
        axes.set_ylabel("new over old")
        plain(axes)
        axes.legend(fontsize=7, framealpha=0.95)
        names = ("block", "old_ms", "new_ms", "log_noise_95", "moved")
        data = as_csv(names, ((block.key, *more, block in moved) for block, *more in rows))
        return save(figure, folder, "compare-blocks", data)


def _save_fronts(compared: ComparisonPage, fronts: Fronts, folder: Path) -> list[Path]:
    """Predicted accuracy against latency by each table, and where networks went."""
    both = (("old", fronts.old, "--", COLOURS[1]), ("new", fronts.new, "-", COLOURS[0]))
    with drawing(compared.new.device, font_size=9) as plt:
        figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
        for name, found, style, colour in both:
            axes.plot(found.cost, found.accuracy, style, color=colour, label=f"by the {name} table")
        for each in compared.networks:
            if each.accuracy is not None and each.runs:
                axes.annotate(
                    "",
                    (each.new_ms, each.accuracy),
                    (each.old_ms, each.accuracy),
                    arrowprops={"arrowstyle": "->", "color": INK if each.shipped else CLOUD},
                )
        axes.set_xscale("log")
        written_out(axes.xaxis, *axes.get_xlim())
        axes.set_xlabel(f"latency{of_batch(compared.new.images_per_run)}, ms, predicted")
        axes.set_ylabel("top-1 accuracy, %, predicted")
        plain(axes)
        axes.legend(fontsize=8, loc="lower right", framealpha=0.95)
        rows = [
            (name, ms, top1)
            for name, found, _, _ in both
            for ms, top1 in zip(found.cost, found.accuracy, strict=True)
        ]
        data = as_csv(("table", "latency_ms", "accuracy"), rows)
        return save(figure, folder, "compare-fronts", data)


def moved_in(blocks: Sequence[Block], comparison: Comparison) -> tuple[str, ...]:
    """Which of these blocks moved, each once, with how far beyond the shift."""
    ratios = {each.block: each.ratio_beyond_shift for each in comparison.moved}
    return tuple(f"{b.key} ({ratios[b]:.2f} x)" for b in dict.fromkeys(blocks) if b in ratios)
