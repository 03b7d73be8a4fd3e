"""What workloads need before their first visit: files, made here and sent to the device.

Where the device is another computer, files are made while it is measured. On this computer nothing
is made beside a timed visit, and nothing is ever sent beside one: the device itself would have to
work for it.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from threading import Event, Lock, Thread

from harness.errors import UsageError
from harness.progress import Progress
from harness.runtimes.session import ElsewhereSession, Session, Workload

Step = Callable[[str], AbstractContextManager[Progress]]
POLL_S, TOLD_AFTER_S = 0.05, 5.0
_MAKING = Lock()  # devices side by side have files in common, and one computer to make them


class _Stopped(Exception):
    """Nobody waits for the files any more."""


class Preparation:
    """Nothing that is left to do: all is there."""

    def in_order(self, workloads: Sequence[Workload]) -> Iterator[int]:
        """Which of the workloads to take next, each by its number."""
        return iter(range(len(workloads)))

    def describe(self) -> str:
        """What the device waited for; "": for nothing."""
        return ""


READY = Preparation()


class Ahead(Preparation):
    """Files are made by a thread, in the order of the workloads; each is sent once it is there."""

    def __init__(
        self,
        session: ElsewhereSession,
        workloads: Sequence[Workload],
        step: Callable[[], AbstractContextManager[Progress]],
        deadline_s: float | None,
    ) -> None:
        self._session, self._workloads, self._step = session, workloads, step
        self._deadline_s = deadline_s
        self._there: set[Workload] = set()
        self._sent: set[Workload] = set()
        self._ended, self._stopped = Event(), Event()
        self._error: BaseException | None = None
        self._done = self._of = 0  # files; none before the first look at which are missing
        self._waited_s = self._sending_s = 0.0
        self._thread = Thread(target=self._make, daemon=True)
        self._thread.start()

    def in_order(self, workloads: Sequence[Workload]) -> Iterator[int]:
        """Those first whose files are there; each is sent before its turn.

        Raises:
            ConversionFailed: a file cannot be made, and all others had their turn.
            UsageError: the deadline passed while none was there.
        """
        waiting = list(range(len(workloads)))
        while waiting:
            number = self._next(workloads, waiting)
            waiting.remove(number)
            self._send(workloads[number])
            yield number

    def describe(self) -> str:
        return (
            f"files were made beside the visits; the device waited {self._waited_s:.0f} s for "
            f"them, and {self._sending_s:.0f} s while they were sent"
        )

    def stop(self) -> None:
        """Make no more of them, nor end those that are begun."""
        self._stopped.set()
        self._thread.join()

    def _next(self, workloads: Sequence[Workload], waiting: Sequence[int]) -> int:
        began = time.monotonic()
        warned = False
        while True:
            ended = self._ended.is_set()  # before looking: all is there by then
            for number in waiting:
                if self._is_there(workloads[number]):
                    self._waited_s += time.monotonic() - began
                    return number
            if ended:
                raise self._error or AssertionError("a file that nobody made")
            if self._deadline_s is not None and time.monotonic() > self._deadline_s:
                raise UsageError(
                    f"--budget is over while files are made{self._how_far()}; they are kept, so "
                    "that another start goes on with them"
                )
            if not warned and time.monotonic() - began > TOLD_AFTER_S:
                warned = True
                logger = logging.getLogger(__name__)
                logger.warning("harness: the device waits for files%s", self._how_far())
            time.sleep(POLL_S)

    def _how_far(self) -> str:
        return f": {self._done} of {self._of} are made" if self._of else ""

    def _is_there(self, workload: Workload) -> bool:
        if workload not in self._there and self._session.has_file(workload):
            self._there.add(workload)
        return workload in self._there

    def _send(self, workload: Workload) -> None:
        if workload not in self._sent:
            began = time.monotonic()
            self._session.send([workload])
            self._sent.add(workload)
            self._sending_s += time.monotonic() - began

    def _make(self) -> None:
        try:
            with self._step() as tell:

                def progress(done: int, total: int) -> None:
                    self._done, self._of = done, total
                    tell(done, total)
                    if self._stopped.is_set():
                        raise _Stopped

                while not _MAKING.acquire(timeout=POLL_S):
                    if self._stopped.is_set():
                        raise _Stopped
                try:
                    self._session.make_files(self._workloads, progress)
                finally:
                    _MAKING.release()
        except _Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - raised where somebody waits for the file
            self._error = error
        finally:
            self._ended.set()


@contextmanager
def prepared(
    session: Session,
    workloads: Sequence[Workload],
    device: str,
    step: Step,
    deadline_s: float | None = None,
) -> Iterator[Preparation]:
    """The session with all files of the workloads, or with those that come while it measures.

    `deadline_s`, by time.monotonic(): nobody waits longer for one of those.
    """
    if not (isinstance(session, ElsewhereSession) and session.elsewhere) or all(
        session.has_file(each) for each in workloads
    ):
        with step(f"prepare {device}") as progress:
            session.prepare(workloads, progress)
        yield READY
        return
    ahead = Ahead(session, workloads, lambda: step(f"make files for {device}"), deadline_s)
    try:
        yield ahead
    finally:
        ahead.stop()
