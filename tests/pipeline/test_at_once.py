"""Two commands that change one table at the same time: what both measured is there afterwards."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from harness.cli.terminal import Terminal
from harness.device.device import Device
from harness.effort import QUICK
from harness.measuring.plan import Plan
from harness.pipeline.job import Run
from harness.pipeline.steps import measure, refit, refresh
from harness.tables.table import Table
from harness.workspace import Workspace
from tests.real.small_space import SMALL

DEVICE = "cpu-onnxruntime"
SHORT = Plan(min_visits=3, max_visits=3, runs=1, interval=0.5, duration_s=0.0, anchors=4)
EFFORT = replace(QUICK, table=SHORT)
STEPS: dict[str, Callable[[Run, Device], Table]] = {
    "measure": measure,
    "refit": refit,
    "refresh": refresh,
}
PAIRS = [("measure", "refit"), ("refit", "refresh"), ("refresh", "measure")]
"""Each step loads the table first once, and once second: they save through one function."""
PAUSED = """
import sys, time
from pathlib import Path
from harness.tables.table import Table
from tests.pipeline.test_at_once import run_step
step, root = sys.argv[1], Path(sys.argv[2])
save = Table.save
def slowly(table, path):
    (root / "loaded").touch()
    while not (root / "go").exists():
        time.sleep(0.01)
    save(table, path)
Table.save = slowly
run_step(step, root)
"""


def job(root: Path, fresh: bool = False) -> Run:
    return Run(Workspace(root), SMALL, Terminal(), EFFORT, fresh=fresh)


def run_step(step: str, root: Path) -> None:
    """As one of two processes whose device is not the same: only the table is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules["harness.pipeline.refresh"], "SAMPLE", 4)  # not all
        STEPS[step](job(root, fresh=True), Device.find(DEVICE, root))


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a table."""
    root = tmp_path_factory.mktemp("once")
    measure(job(root), Device.find(DEVICE, root))
    return root


def paused(step: str, root: Path, said: Path) -> "subprocess.Popen[bytes]":
    """A process that has loaded the table and will save it as soon as there is a file `go`."""
    own = {"HARNESS_LOCKS": str(root / "locks")}
    with said.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-c", PAUSED, step, str(root)],
            env=os.environ | own,
            stdout=file,
            stderr=file,
        )


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_a_campaign_that_is_saved_between_anothers_load_and_save_stays(
    first: str, second: str, measured: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shutil.copytree(measured, tmp_path, dirs_exist_ok=True)
    path = Workspace(tmp_path).table(DEVICE, SMALL.name)
    before = Table.load(path)
    one = paused(first, tmp_path, tmp_path / "one")
    while one.poll() is None and not (tmp_path / "loaded").exists():
        time.sleep(0.05)
    with ThreadPoolExecutor(1) as pool:
        two = pool.submit(run_step, second, tmp_path)
        while not two.done() and "waiting for" not in caplog.text:
            time.sleep(0.05)  # it has saved, or waits for the first to have
        (tmp_path / "go").touch()
        assert one.wait() == 0, (tmp_path / "one").read_text()
        two.result()
    after = Table.load(path)
    added = set(after.campaigns) - set(before.campaigns)
    packed = {journal.name.partition(".")[0] for journal in tmp_path.glob("runs/*/*.jsonl.gz")}
    assert added == packed - set(before.campaigns)
    assert len(added) >= 2
    assert set(before.records) < set(after.records)
    assert all(any(record.campaign == name for record in after.records) for name in added)
    assert [each.name for each in path.parent.iterdir()] == [path.name]
