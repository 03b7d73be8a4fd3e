"""Worker processes that end when whoever started them is killed, or says so."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any


def end_with_the_parent(line: Connection | None = None) -> None:
    """Called in a worker: a killed parent tells nobody, and the queues never end.

    With `line`, it also ends once the parent closes the other end, whatever it is doing.
    """
    parent = multiprocessing.parent_process()
    assert parent
    watched: list[Any] = [parent.sentinel, *([line] if line else [])]

    def watch() -> None:
        wait(watched)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Workers started within never see Ctrl-C, which a terminal sends to all: it is the parent's.

    The parent gets one that comes meanwhile at the end.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # workers inherit it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
