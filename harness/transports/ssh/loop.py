"""The event loop in which asyncssh lives, in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

CLEAN_UP_S = 10.0  # for work that is cancelled to end what it began

Result = TypeVar("Result")


class EventLoop:
    """Runs asynchronous work for callers that wait for it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="ssh", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for it; where the waiting is interrupted it is cancelled, and may clean up."""
        ended = threading.Event()

        async def whole() -> Result:
            try:
                return await work
            finally:
                ended.set()

        future = self.begin(whole())
        try:
            return future.result()
        except BaseException:
            if future.cancel():  # still under way: Ctrl-C
                ended.wait(CLEAN_UP_S)
            raise

    def begin(self, work: Coroutine[Any, Any, Result]) -> "Future[Result]":
        """Do not wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def close(self) -> None:
        """End all that is under way; harmless when it has been closed."""
        if self._loop.is_closed():
            return
        self.run(_end_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_all() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
