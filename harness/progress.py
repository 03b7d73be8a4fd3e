"""How long work tells how far it is."""

from collections.abc import Callable

Progress = Callable[[int, int], None]
"""Called with how much is done, of how much."""


def silent(_done: int, _total: int) -> None:
    """For those who do not want to know."""
