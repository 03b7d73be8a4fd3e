"""Files that are made while a device elsewhere is measured."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import cast

import pytest

from harness.errors import ConversionFailed
from harness.measuring.preparation import READY, Ahead, Preparation, prepared
from harness.progress import Progress, silent
from harness.runtimes.session import Session, Workload
from harness.spaces.digits import DIGITS

WORKLOADS: list[Workload] = [(block,) for block in DIGITS.distinct_blocks()[:6]]


class Elsewhere:
    """A session that makes a file in 30 ms; nothing of it is real but the threads."""

    elsewhere = True
    environment: Mapping[str, str] = {}
    resident = False
    infers_on = ""
    visit_cost_ns = 0

    def __init__(self, breaks_at: int = 99) -> None:
        self.made: set[Workload] = set()
        self.events: list[tuple[str, Workload]] = []
        self._breaks_at = breaks_at
        self.by: set[threading.Thread] = set()

    def make_files(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        for done, workload in enumerate(workloads):
            if done == self._breaks_at:
                raise ConversionFailed("no file for it")
            time.sleep(0.03)
            self.made.add(workload)
            self.by.add(threading.current_thread())
            self.events.append(("made", workload))
            on_progress(done + 1, len(workloads))

    def has_file(self, workload: Workload) -> bool:
        return workload in self.made

    def send(self, workloads: Sequence[Workload], _on_progress: Progress = silent) -> None:
        for workload in workloads:
            assert workload in self.made
            self.events.append(("sent", workload))

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        self.make_files([each for each in workloads if each not in self.made], on_progress)
        self.send(workloads, on_progress)

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None  # what only visits need


@contextmanager
def step(_title: str) -> Iterator[Progress]:
    yield silent


def opened(session: Elsewhere) -> AbstractContextManager[Preparation]:
    return prepared(cast("Session", session), WORKLOADS, "phone", step)


def test_the_first_is_ready_long_before_the_last_file_is_made() -> None:
    session = Elsewhere()
    with opened(session) as preparation:
        taken = []
        for number in preparation.in_order(WORKLOADS):
            taken.append(number)
            if len(taken) == 1:
                assert len(session.made) < len(WORKLOADS)
    assert sorted(taken) == list(range(len(WORKLOADS)))
    sent = [workload for what, workload in session.events if what == "sent"]
    assert sent == [WORKLOADS[number] for number in taken]
    assert session.by != {threading.current_thread()}
    assert "the device waited 0 s" in preparation.describe()


def test_what_is_ready_comes_first_and_is_sent_once() -> None:
    session = Elsewhere()
    with opened(session) as preparation:
        backwards = WORKLOADS[::-1]
        taken = list(preparation.in_order(backwards))
        assert taken[0] == len(WORKLOADS) - 1  # whose file is made first
        assert list(preparation.in_order(backwards)) == list(range(len(WORKLOADS)))
    assert len([what for what, _ in session.events if what == "sent"]) == len(WORKLOADS)


def test_a_file_that_cannot_be_made_is_an_error_once_all_others_had_their_turn() -> None:
    with opened(Elsewhere(breaks_at=3)) as preparation:
        turns = preparation.in_order(WORKLOADS)
        assert [next(turns) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(ConversionFailed, match="no file for it"):
            next(turns)


def test_nothing_is_made_any_more_once_nobody_waits() -> None:
    session = Elsewhere()
    with opened(session) as preparation:
        assert isinstance(preparation, Ahead)
        next(preparation.in_order(WORKLOADS))
    count = len(session.made)
    time.sleep(0.1)
    assert len(session.made) == count < len(WORKLOADS)


@pytest.mark.parametrize("here", [True, False])
def test_on_this_computer_or_with_all_files_there_nothing_runs_beside(here: bool) -> None:
    session = Elsewhere()
    session.elsewhere = not here
    if not here:
        session.made = set(WORKLOADS)
    with opened(session) as preparation:
        assert preparation is READY
        assert session.made == set(WORKLOADS)
        assert session.by <= {threading.current_thread()}
        assert list(preparation.in_order(WORKLOADS)) == list(range(len(WORKLOADS)))
