"""What a run shows on the terminal."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from harness.progress import Progress as ProgressCallback
from harness.quantities import unit_of
from harness.tables.batch import of_batch

if TYPE_CHECKING:
    from harness.deploy.front import Front
    from harness.pipeline.notices import Notice
    from harness.pipeline.predict import Prediction

TOLD_EVERY_S = 30.0


class Terminal:
    """Steps with a bar and the time left; lines otherwise."""

    def __init__(self, quiet: bool = False) -> None:
        self._console = Console(highlight=False, quiet=quiet)
        self._lock = Lock()
        self._bars: Progress | None = None  # a terminal shows one at a time; it has many lines
        self._steps = 0

    @contextmanager
    def step(self, title: str) -> Iterator[ProgressCallback]:
        """A line with a bar; devices that are measured side by side have a line each.

        Where nobody sees a bar move, as in a pipe, it is told every half a minute how far it is.
        """
        if not self._console.is_terminal:
            with self._told(title) as told:
                yield told
            return
        bars = self._begin()
        task = bars.add_task(escape(title), total=None)
        total = 1

        def progress(done: int, of: int) -> None:
            nonlocal total
            total = of
            bars.update(task, completed=done, total=of)

        try:
            yield progress
            bars.update(task, completed=total, total=total)
        finally:
            self._end(bars)

    @contextmanager
    def _told(self, title: str) -> Iterator[ProgressCallback]:
        started = last = time.monotonic()

        def progress(done: int, of: int) -> None:
            nonlocal last
            now = time.monotonic()
            if now - last >= TOLD_EVERY_S and of:
                last = now
                self.say(f"{title}: {done / of:.0%} after {now - started:.0f} s")

        yield progress
        self.say(f"{title}: done in {time.monotonic() - started:.0f} s")

    def _begin(self) -> Progress:
        with self._lock:
            if self._bars is None:
                self._bars = Progress(
                    TextColumn("{task.description:<40}"),
                    BarColumn(bar_width=24),
                    TaskProgressColumn(),
                    TimeElapsedColumn(),
                    TextColumn("left"),
                    TimeRemainingColumn(),
                    console=self._console,
                )
                self._bars.start()
            self._steps += 1
            return self._bars

    def _end(self, bars: Progress) -> None:
        with self._lock:
            self._steps -= 1
            if not self._steps:
                bars.stop()
                self._bars = None

    def tell(self, notice: "Notice") -> None:
        from harness.cli.words.notices import words

        self.say(words(notice))

    def say(self, *lines: str) -> None:
        for line in lines:
            self._console.print(escape(line), soft_wrap=True)

    def show_benchmarks(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Models on devices as a table, and below it why numbers deserve doubt."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("model\non device", overflow="fold")
        table.add_column("full speed, ms\n(95 %)", justify="right", min_width=16)
        costs = {"p90_ms": "p90,\nms", "load_ms": "load,\nms"}
        costs |= {"first_ms": "first\nrun, ms", "memory_mb": "memory,\nMB"}
        if any(row["runs_per_s"] is not None for row in rows):
            costs |= {"runs_per_s": "runs/s of\nall streams"}
        for heading in costs.values():
            table.add_column(heading, justify="right")
        for row in rows:
            table.add_row(
                f"{escape(row['model'])}\n{escape(row['device'])}",
                _told(row["full_ms"], _ends(row["full_ms_low"], row["full_ms_high"])),
                *(_number(row[name], ".4g") for name in costs),
            )
        self._console.print(table)
        for device in dict.fromkeys(row["device"] for row in rows):
            row = next(row for row in rows if row["device"] == device)
            if row["evidence"] != "measured":
                self.say(f"{device}: {row['evidence']}")
            if row["images_per_run"] > 1:
                self.say(f"{device}: runs{of_batch(row['images_per_run'])}")
        for row in rows:
            if row["suspect"]:
                self.say(f"suspect, {row['model']} on {row['device']}: {row['suspect']}")

    def show_front(self, front: "Front") -> None:
        """The front as a table, and in a sentence."""
        from harness.tables.statements import WORDS

        images = front.images_per_run
        runs = f": runs{of_batch(images)}" if images > 1 else ""
        shown = front.time(None)
        table = Table(title=f"{front.space} on {front.device}{runs}", title_justify="left")
        for heading in (
            "#",
            "predicted ms\n(95 %)",
            "simulated\nms" if front.simulated else "measured\nms",
            *([] if shown == "full" else [f"{shown} ms,\nat most"]),
            *(["ms an image"] if images > 1 else []),
            f"predicted {front.mark}\n(95 %)",
            f"test\n{front.mark}",
            "MACs,\nM",
        ):
            # In 80 columns an interval has a line of its own, and is whole.
            least = {"predicted ms\n(95 %)": 16, f"predicted {front.mark}\n(95 %)": 12}.get(heading)
            table.add_column(heading, justify="right", min_width=least)
        for number, point in enumerate(front.points):
            measured_ms = point.latency_ms_measured
            run_ms = point.latency_ms if measured_ms is None else measured_ms
            table.add_row(
                str(number),
                f"{point.latency_ms:.4g}{_within(point.latency_ms_interval)}",
                _number(measured_ms, ".4g"),
                *([] if shown == "full" else [_number(point.upper_ms(shown), ".4g")]),
                *([f"{run_ms / images:.4g}"] if images > 1 else []),
                f"{point.accuracy:.1f}{_within(point.accuracy_interval)}",
                _number(point.accuracy_measured, ".1f"),
                f"{point.macs / 1e6:.2f}",
            )
        self._console.print(table)
        if shown != "full":
            self.say(
                f"predicted and measured: at full speed; {shown}: {WORDS[shown]}, the upper end of "
                "its 95 % interval, which limits are held against"
            )
        for name, at_most in front.asked.items():
            costs = [point.costs[name] for point in front.points]
            limit = "" if at_most is None else f" (at most {at_most:.4g})"
            self.say(f"{name}: {min(costs):.4g} to {max(costs):.4g} {unit_of(name)}{limit}")
        if front.simulated:
            self.say(f"latencies: {front.simulated}")
        if front.accuracy_predictor.get("rmse") is None:
            self.say(front.accuracy_predictor["describe"])
        if front.float_accuracies:
            self.say(front.float_accuracies)
        checked = front.verification
        if checked:
            rises, seen = "", "simulated" if front.simulated else "measured"
            if "accuracy_gain_along_front" in checked:
                gain = checked["accuracy_gain_along_front"]
                rises = f"test accuracy rises by {gain:.1f} points; "
            self.say(
                f"{front.device}: {len(front.points)} networks over a factor "
                f"{checked['latency_span']:.1f} in latency; {rises}"
                f"{checked['latency_within_10']:.0%} of {seen} latencies within 10 % "
                f"of predicted{_in_intervals(checked)}"
            )

    def show_predictions(self, predictions: "Sequence[Prediction]") -> None:
        """Networks on devices as a table; what the numbers rest on below it."""
        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        with_energy = any(each.energy_mj is not None for each in predictions)
        with_accuracy = any(each.accuracy is not None for each in predictions)
        table.add_column("network\non device", overflow="fold")
        for heading in (
            "full speed, ms\n(95 %)",
            "p90, ms\n(95 %)",
            *(["mJ\n(95 %)"] if with_energy else []),
            *([f"{predictions[0].scored}\n(95 %)"] if with_accuracy else []),
        ):
            table.add_column(heading, justify="right", min_width=16)
        for heading in ("maps,\nMB", "MACs,\nM", "params,\nM"):
            table.add_column(heading, justify="right")
        for each in predictions:
            p90 = each.seen_ms.get("p90")
            costs = [_told(each.latency_ms, each.latency_ms_interval)]
            costs.append("-" if p90 is None else _told(p90[0], p90[1:]))
            if with_energy:
                costs.append(_told(each.energy_mj, each.energy_mj_interval))
            if with_accuracy:
                costs.append(_told(each.accuracy, each.accuracy_interval))
            table.add_row(
                f"{escape(each.network)}\n{escape(each.device)}",
                *costs,
                f"{each.activations_mb:.3g}",
                f"{each.macs / 1e6:.4g}",
                f"{each.params / 1e6:.3g}",
            )
        self._console.print(table)
        self.say(
            "full speed: where another campaign finds it; p90: as users see it, on the wall clock; "
            "maps: the peak of activations, in the device's precision and without padding"
        )
        for device in dict.fromkeys(each.device for each in predictions):
            own = [each for each in predictions if each.device == device]
            images = own[0].images_per_run
            runs = f"runs{of_batch(images)}; " if images > 1 else ""
            for text in dict.fromkeys(each.latency_from for each in own):
                self.say(f"{device}: {runs}{text}")
        for text in dict.fromkeys(each.accuracy_from for each in predictions if each.accuracy_from):
            self.say(text)


def _in_intervals(checked: dict[str, Any]) -> str:
    share = checked["latency_within_interval"]
    return "" if share is None else f", {share:.0%} in their 95 % interval"


def _told(value: float | None, interval: tuple[float, float] | None) -> str:
    """A value, and its interval below it."""
    return "-" if value is None else f"{value:.4g}\n{_within(interval).strip()}".strip()


def _ends(low: float | None, high: float | None) -> tuple[float, float] | None:
    return None if low is None or high is None else (low, high)


def _within(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.3g}..{interval[1]:.3g})"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
