"""`metrics.csv`: one line a step."""

import csv
import io
from contextlib import suppress
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from harness import files


@dataclass(frozen=True)
class Metrics:
    """What a step did."""

    step: int
    epoch: float
    stage: str
    resolution: int  # pixels
    learning_rate: float
    loss: float  # mean over sub-networks, micro-batches and ranks
    images_per_s: float  # of all ranks


class MetricsFile:
    """Appended and flushed line by line; a resumed run cuts off what it is going to do again."""

    def __init__(self, path: Path, steps_done: int) -> None:
        names = [field.name for field in fields(Metrics)]
        kept = []
        if path.exists() and steps_done:
            with path.open(newline="", errors="replace") as file:
                kept = [row for row in csv.DictReader(file) if _step(row) < steps_done]
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(kept)
        files.write_text(path, text.getvalue())
        self._path = path
        self._file = path.open("a", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")

    def append(self, metrics: Metrics) -> None:
        """Raises WorkspaceError where the disk is full."""
        try:
            self._writer.writerow(astuple(metrics))
            self._file.flush()
        except OSError as error:
            raise files.unwritable(self._path, error) from error

    def close(self) -> None:
        with suppress(OSError):  # each line was flushed, or its error told
            self._file.close()


def _step(row: dict[str, str]) -> int:
    """A line that a killed run wrote only half counts as not written."""
    complete = None not in row.values() and row.get("images_per_s")
    step = row.get("step", "")
    return int(step) if complete and step.isdecimal() else 1 << 62
