"""Tables that take more than one campaign or phone, ended in the middle.

Times are told by a formula; all else is as on a device.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from harness.cli.terminal import Terminal
from harness.cli.words.table import describe_table
from harness.device.device import Device
from harness.effort import QUICK
from harness.errors import DeviceError
from harness.measuring import rounds
from harness.measuring.plan import Plan
from harness.pipeline.job import Run
from harness.pipeline.notices import MeasuredAlready, Notice, OddBlocks, Remark
from harness.pipeline.steps import measure, table_state
from harness.progress import Progress, silent
from harness.runtimes.session import Samples, Session, Workload, seed_of
from harness.spaces.demands import ASSUMED
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.tables.filling import choose
from harness.tables.table import Table
from harness.workspace import Workspace

SPACE = OFA_MBV3_W1_2.at((160, 192, 224))
PLAN = Plan(
    min_visits=4, max_visits=4, runs=2, interval=0.1, duration_s=0, anchors=10, fill_error=0.015
)
COSTS = np.array([*ASSUMED.launch, *ASSUMED.work]) * np.array([900] * 3 + [1] * 6)
BUDGET_S = 600.0


class Clock:
    """The time as campaigns see it; it can be put forward, and nobody waits."""

    ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead_s

    def sleep(self, seconds: float) -> None:
        self.ahead_s += seconds


@dataclass
class Odd:
    """A session on a device whose blocks tell little of each other; it can be unplugged."""

    environment: Mapping[str, str]
    clock: Clock
    visits_left: int | None = None
    slow: bool = False  # a visit takes as long as the budget
    resident = True
    infers_on = "nowhere"
    visit_cost_ns = 0

    def prepare(self, workloads: Sequence[Workload], on_progress: Progress = silent) -> None:
        pass

    def load(self, workload: Workload) -> int:
        assert not isinstance(workload, Path)
        alone = [float(ASSUMED.demands(block) @ COSTS) for block in workload]
        own = [np.random.default_rng(seed_of((block,))).normal(0, 0.5) for block in workload]
        return round(float(np.dot(alone, np.exp(own))))

    def visit(self, workload: Workload, runs: int) -> Samples:
        if self.visits_left is not None:
            self.visits_left -= 1
            if self.visits_left < 0:
                raise DeviceError("unplugged")
        if self.slow:
            self.clock.sleep(BUDGET_S)
        times = (self.load(workload),) * runs
        return Samples(time.time_ns(), {"wall": times, "thread": times})

    def conditions(self) -> dict[str, float | str | None]:
        return {"load_1m": 0.0}


@dataclass(frozen=True)
class Told(Device):
    """A device whose session is given; of several phones, that of each by its serial number."""

    sessions: dict[str | None, Odd] = field(default_factory=dict, hash=False)

    @contextmanager
    def open(self, quantity: str = "latency") -> Iterator[Session]:  # noqa: ARG002
        yield cast("Session", self.sessions[self.serial])

    @property
    def units(self) -> tuple[Device, ...]:
        return tuple(replace(self, serial=serial) for serial in self.sessions)


class Listener(Terminal):
    """Does something once odd blocks are told of, and keeps what it was told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Notice] = []
        self.then: Callable[[], None] = lambda: None

    def tell(self, notice: Notice) -> None:
        self.told.append(notice)
        if isinstance(notice, OddBlocks):
            self.then()

    def has(self, kind: type[Notice]) -> bool:
        return any(isinstance(each, kind) for each in self.told)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rounds, "time", clock)
    return clock


def device_of(root: Path, clock: Clock, *serials: str | None) -> Told:
    sessions = {serial: Odd({"processor": "p", "serial": str(serial)}, clock) for serial in serials}
    found = Device.find("cpu", root)
    return Told("cpu", found.profile, sessions=sessions)


def job_in(root: Path) -> tuple[Run, Listener]:
    listener = Listener()
    return Run(Workspace(root), SPACE, listener, replace(QUICK, table=PLAN)), listener


def saved(job: Run) -> Table:
    return Table.load(job.workspace.table("cpu", SPACE.name))


@pytest.fixture
def few() -> int:
    """Blocks that are visited before they turn out to be odd."""
    return len(choose(SPACE, PLAN.fill_error).visited)


def goes_on(job: Run, listener: Listener, device: Told, few: int) -> Table:
    """Another start measures what is left."""
    listener.told.clear()
    listener.then = lambda: None
    table = measure(job, device)
    assert listener.has(OddBlocks)
    assert not listener.has(MeasuredAlready)
    assert [facts["finished"] for facts in table.campaigns.values()] == [True, True]
    assert len(table.blocks(table.clock)) > few
    return table


def test_what_was_measured_before_the_odd_blocks_is_in_the_table_and_they_are_gone_on_with(
    tmp_path: Path, clock: Clock, few: int
) -> None:
    device, (job, listener) = device_of(tmp_path, clock, None), job_in(tmp_path)
    session = device.sessions[None]
    listener.then = lambda: setattr(session, "visits_left", 100)
    with pytest.raises(DeviceError, match="unplugged"):
        measure(job, device)
    assert len(saved(job).blocks("thread")) == few
    (begun,) = tmp_path.glob("runs/*/*.jsonl")
    lines = begun.read_text().splitlines()
    session.visits_left = None
    goes_on(job, listener, device, few)
    assert not begun.exists()  # but packed: it was gone on with
    assert len(lines) > 100


def test_a_budget_that_leaves_nothing_for_odd_blocks_still_makes_the_table(
    tmp_path: Path, clock: Clock, few: int
) -> None:
    device, (job, listener) = device_of(tmp_path, clock, None), job_in(tmp_path)
    listener.then = lambda: clock.sleep(BUDGET_S)
    table = measure(job, device, deadline_s=clock.monotonic() + BUDGET_S)
    assert set(table.records) == set(saved(job).records)
    assert len(table.blocks(table.clock)) == few
    remark = listener.told[-1]
    assert isinstance(remark, Remark)
    assert "start again to measure more blocks: --budget leaves 0.0 s" in remark.text
    goes_on(job, listener, device, few)


def test_odd_blocks_that_a_budget_ended_are_told_of_and_gone_on_with(
    tmp_path: Path, clock: Clock, few: int
) -> None:
    device, (job, listener) = device_of(tmp_path, clock, None), job_in(tmp_path)
    session = device.sessions[None]
    listener.then = lambda: setattr(session, "slow", True)
    table = measure(job, device, deadline_s=clock.monotonic() + BUDGET_S)
    assert sorted(facts["finished"] for facts in table.campaigns.values()) == [False, True]
    assert "unfinished: start again to go on" in describe_table(table_state(job, table))
    session.slow = False
    table = goes_on(job, listener, device, few)
    assert "unfinished" not in describe_table(table_state(job, table))
    assert set(table.block_values(table.clock)) == set(SPACE.distinct_blocks())
    listener.told.clear()
    assert measure(job, device) == saved(job)
    assert set(saved(job).records) == set(table.records)
    assert listener.has(MeasuredAlready)
    assert not listener.has(OddBlocks)


def test_phones_that_share_a_table_name_each_other_whoever_finished_first(
    tmp_path: Path, clock: Clock
) -> None:
    device, (job, listener) = device_of(tmp_path, clock, "A", "B"), job_in(tmp_path)
    device.sessions["B"].slow = True
    table = measure(job, device, deadline_s=clock.monotonic() + BUDGET_S)
    by_serial = {facts["environment"]["serial"]: name for name, facts in table.campaigns.items()}
    a, b = by_serial["A"], by_serial["B"]
    assert [table.campaigns[each]["finished"] for each in (a, b)] == [True, False]
    device.sessions["B"].slow = False
    table = measure(job, device)
    assert listener.has(MeasuredAlready)
    assert table.campaigns[b]["finished"]
    assert {name: facts["beside"] for name, facts in table.campaigns.items()} == {a: [b], b: [a]}
