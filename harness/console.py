"""What a run shows on the terminal."""

from collections.abc import Iterator
from contextlib import contextmanager

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

from harness.deploy.front import Front
from harness.progress import Progress as ProgressCallback


class Terminal:
    """Steps with a bar and the time left; lines otherwise."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    @contextmanager
    def step(self, title: str) -> Iterator[ProgressCallback]:
        columns = (
            TextColumn("{task.description:<40}"),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console) as bar:
            task = bar.add_task(escape(title), total=None)

            def progress(done: int, total: int) -> None:
                bar.update(task, completed=done, total=total)

            yield progress
            bar.update(task, completed=bar.tasks[0].total or 1, total=bar.tasks[0].total or 1)

    def say(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=True)

    def show_front(self, front: Front) -> None:
        """The front as a table, and in a sentence."""
        table = Table(title=f"{front.space} on {front.device}", title_justify="left")
        for heading in ("#", "predicted ms", "measured ms", "predicted %", "test %", "MACs, M"):
            table.add_column(heading, justify="right")
        for number, point in enumerate(front.points):
            table.add_row(
                str(number),
                f"{point.latency_ms:.4f}",
                _number(point.latency_ms_measured, ".4f"),
                f"{point.accuracy:.1f}",
                _number(point.accuracy_measured, ".1f"),
                f"{point.macs / 1e6:.2f}",
            )
        self._console.print(table)
        checked = front.verification
        if checked:
            self.say(
                f"{front.device}: {len(front.points)} networks over a factor "
                f"{checked['latency_span']:.1f} in latency; test accuracy rises by "
                f"{checked['accuracy_gain_along_front']:.1f} points; "
                f"{checked['latency_within_10']:.0%} of measured latencies within 10 % of predicted"
            )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
