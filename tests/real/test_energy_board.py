"""An energy table made through a real sshd, with a RAPL counter that a thread advances.

The counter knows what a made processor takes: some watts all the time, more while our agent runs.
It lies where the kernel has its own, in a mount that only this sshd sees.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.cli.terminal import Terminal
from harness.cli.words.table import describe_table
from harness.device import energy
from harness.device.device import Device
from harness.effort import QUICK
from harness.measuring.plan import Plan
from harness.pipeline.steps import Run, measure, table_state
from harness.workspace import Workspace
from tests.real.conftest import be_client, write_board
from tests.real.real_sshd import RealSshd
from tests.real.small_space import SMALL

IDLE_W, BUSY_W = 20.0, 10.0  # all the time, and more while the agent runs
RANGE_UJ = 262_143_328_850  # of a real Xeon
PLAN = Plan(min_visits=3, max_visits=3, runs=1, interval=0.1, duration_s=0.0, anchors=3)


class MadeRapl:
    """A package under /sys/class/powercap, as that folder is given."""

    def __init__(self, folder: Path) -> None:
        self._package = folder / "powercap/intel-rapl:0"
        self._package.mkdir(parents=True)
        (self._package / "name").write_text("package-0\n")
        (self._package / "max_energy_range_uj").write_text(f"{RANGE_UJ}\n")
        self._begun = time.monotonic()
        self._ended = threading.Event()
        self._write(0)
        self._thread = threading.Thread(target=self._count)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self, energy_uj: int) -> None:
        temporary = self._package / "energy_uj.new"
        temporary.write_text(f"{energy_uj}\n")
        temporary.rename(self._package / "energy_uj")

    def _count(self) -> None:
        spent_ns: dict[str, int] = {}
        agents: list[Path] = []
        looked = 0.0
        while not self._ended.wait(0.002):
            if time.monotonic() - looked > 0.5:
                agents, looked = list(_agents()), time.monotonic()
            for path in agents:
                with suppress(OSError):
                    spent_ns[str(path)] = int((path / "schedstat").read_text().split()[0])
            idle_uj = IDLE_W * (time.monotonic() - self._begun) * 1e6
            # It has counted for long: soon it wraps around.
            energy_uj = RANGE_UJ - 100_000_000 + idle_uj + BUSY_W * sum(spent_ns.values()) / 1e3
            self._write(int(energy_uj) % RANGE_UJ)


def _agents() -> Iterator[Path]:
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if b".cache/harness/" in (path / "cmdline").read_bytes():
                yield path


@pytest.fixture
def metered_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RealSshd]:
    counter = tmp_path / "class"
    mount = ("--bind", str(counter), "/sys/class")
    board = RealSshd(tmp_path / "server", tmp_path / "client", mount=mount)
    be_client(board, monkeypatch)
    rapl = MadeRapl(counter)
    board.start()
    yield board
    board.stop()
    rapl.stop()


def test_an_energy_table_is_made_and_judged_like_one_of_latencies(
    tmp_path: Path, metered_board: RealSshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "SHORTEST_WINDOW_S", 0.1)
    write_board(tmp_path, metered_board)
    effort = replace(QUICK, energy=PLAN)
    job = Run(Workspace(tmp_path), SMALL, Terminal(), effort)
    device = Device.find("loopback-board", tmp_path)
    table = measure(job, device, "energy")
    assert (tmp_path / "tables/loopback-board.small.energy.jsonl").exists()
    assert table.quantity == "energy"
    assert table.identity["meter"].startswith("RAPL")
    assert "blocks, measured" in describe_table(table_state(job, table))
    campaign = table.block_campaign()
    assert table.campaigns[campaign]["conditions_before"]["idle_power_w"] > 0.9 * IDLE_W
    net, gross = (
        {r.blocks: r.statistics.value for r in table.records if r.clock == clock}
        for clock in ("net", "gross")
    )
    assert set(table.block_values("net")) == set(SMALL.distinct_blocks())
    with device.open() as session:
        for block in SMALL.distinct_blocks()[::4]:
            wall_ns = float(np.min(session.visit((block,), 200).values["wall"]))
            # Nearly all its time is CPU time; gross is three times as much.
            assert 0.7 < net[block,] / (BUSY_W * wall_ns) < 2
            assert gross[block,] > 2 * net[block,]
