"""Files that are made while a device elsewhere is measured."""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import cast

import pytest

from harness.errors import ConversionFailed, UsageError
from harness.measuring import preparation
from harness.measuring.preparation import READY, Ahead, Preparation, prepared
from harness.progress import Progress, silent
from harness.runtimes.session import Session, Workload
from harness.spaces.digits import DIGITS

WORKLOADS: list[Workload] = [(block,) for block in DIGITS.distinct_blocks()[:6]]


class Elsewhere:
    """A session that makes files; nothing of it is real but the threads."""

    elsewhere = True
    environment: Mapping[str, str] = {}
    resident = False
    infers_on = ""
    visit_cost_ns = 0

    def __init__(self, breaks_at: int = 99, a_file_takes_s: float = 0.03) -> None:
        self.made: set[Workload] = set()
        self.events: list[tuple[str, Workload]] = []
        self._breaks_at = breaks_at
        self._a_file_takes_s = a_file_takes_s
        self.by: set[threading.Thread] = set()

    def make_files(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        missing = [each for each in workloads if each not in self.made]
        for done, workload in enumerate(missing):
            if done == self._breaks_at:
                raise ConversionFailed("no file for it")
            time.sleep(self._a_file_takes_s)
            self.made.add(workload)
            self.by.add(threading.current_thread())
            self.events.append(("made", workload))
            on_progress(done + 1, len(missing))

    def has_file(self, workload: Workload) -> bool:
        return workload in self.made

    def send(self, workloads: Sequence[Workload], _on_progress: Progress = silent) -> None:
        for workload in workloads:
            assert workload in self.made
            self.events.append(("sent", workload))

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        self.make_files(workloads, on_progress)
        self.send(workloads, on_progress)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None  # what only visits need


@contextmanager
def step(_title: str) -> Iterator[Progress]:
    yield silent


def opened(
    session: Elsewhere, deadline_s: float | None = None
) -> AbstractContextManager[Preparation]:
    return prepared(cast("Session", session), WORKLOADS, "phone", step, deadline_s)


def test_the_first_is_ready_long_before_the_last_file_is_made() -> None:
    session = Elsewhere()
    with opened(session) as files:
        taken = []
        for number in files.in_order(WORKLOADS):
            taken.append(number)
            if len(taken) == 1:
                assert len(session.made) < len(WORKLOADS)
    assert sorted(taken) == list(range(len(WORKLOADS)))
    sent = [workload for what, workload in session.events if what == "sent"]
    assert sent == [WORKLOADS[number] for number in taken]
    assert session.by != {threading.current_thread()}
    assert "the device waited 0 s" in files.describe()


def test_what_is_ready_comes_first_and_is_sent_once() -> None:
    session = Elsewhere()
    with opened(session) as files:
        backwards = WORKLOADS[::-1]
        taken = list(files.in_order(backwards))
        assert taken[0] == len(WORKLOADS) - 1  # whose file is made first
        assert list(files.in_order(backwards)) == list(range(len(WORKLOADS)))
    assert len([what for what, _ in session.events if what == "sent"]) == len(WORKLOADS)


def test_a_file_that_cannot_be_made_is_an_error_once_all_others_had_their_turn() -> None:
    with opened(Elsewhere(breaks_at=3)) as files:
        turns = files.in_order(WORKLOADS)
        assert [next(turns) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ConversionFailed, match="no file for it"):
            next(turns)


def test_nothing_is_made_any_more_once_nobody_waits() -> None:
    session = Elsewhere()
    with opened(session) as files:
        assert isinstance(files, Ahead)
        next(files.in_order(WORKLOADS))
    count = len(session.made)
    time.sleep(0.1)
    assert len(session.made) == count < len(WORKLOADS)


def test_nobody_waits_for_files_beyond_the_deadline() -> None:
    session = Elsewhere()
    with (
        pytest.raises(UsageError, match="--budget is over while files are made"),
        opened(session, time.monotonic()) as files,
    ):
        list(files.in_order(WORKLOADS[-1:]))
    assert len(session.made) < len(WORKLOADS)


def test_how_far_the_files_are_is_told_of_those_that_were_missing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(preparation, "TOLD_AFTER_S", 0.45)
    session = Elsewhere(a_file_takes_s=0.2)
    session.made = set(WORKLOADS[:2])
    with opened(session) as files:
        list(files.in_order(WORKLOADS[-1:]))
    assert re.search(r"the device waits for files: \d of 4 are made", caplog.text)


def test_whoever_stops_does_not_wait_for_the_files_of_another_device() -> None:
    with preparation._MAKING:
        began = time.monotonic()
        with pytest.raises(KeyboardInterrupt), opened(Elsewhere()):
            raise KeyboardInterrupt
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("here", [True, False])
def test_on_this_computer_or_with_all_files_there_nothing_runs_beside(here: bool) -> None:
    session = Elsewhere()
    session.elsewhere = not here
    if not here:
        session.made = set(WORKLOADS)
    with opened(session) as files:
        assert files is READY
        assert session.made == set(WORKLOADS)
        assert session.by <= {threading.current_thread()}
        assert list(files.in_order(WORKLOADS)) == list(range(len(WORKLOADS)))
