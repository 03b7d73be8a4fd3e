"""A listener for whoever only wants to know how far a run is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from harness.pipeline.notices import Notice
from harness.progress import Progress

OnProgress = Callable[[str, int, int], None]
"""Called with a step, how much of it is done, and of how much."""


def nobody(_step: str, _done: int, _total: int) -> None:
    """Of those who do not want to know."""


@dataclass(frozen=True)
class Callback:
    """Tells a function how far it is, and no more."""

    on_progress: OnProgress

    @contextmanager
    def step(self, title: str) -> Iterator[Progress]:
        yield lambda done, total: self.on_progress(title, done, total)

    def tell(self, notice: Notice) -> None:
        """Values are returned instead."""
