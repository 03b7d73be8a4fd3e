"""Worker processes that end when whoever started them is killed."""

import multiprocessing
import os
import threading


def end_with_the_parent() -> None:
    """Called in a worker: a killed parent tells nobody, and the queues never end."""
    parent = multiprocessing.parent_process()
    assert parent

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
