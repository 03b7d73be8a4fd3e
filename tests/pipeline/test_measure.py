"""Tables kept up to date on this machine, with a real agent."""

import gzip
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.cli.terminal import Terminal
from harness.cli.words.table import describe_table
from harness.device.device import Device
from harness.effort import QUICK, Effort
from harness.errors import TableError, UsageError
from harness.measuring.plan import Plan
from harness.pipeline.job import Run
from harness.pipeline.refresh import _alike
from harness.pipeline.steps import measure, refit, refresh, table_state
from harness.pipeline.table_session import load_or_start
from harness.spaces.block import Block
from harness.spaces.catalogue import part_of
from harness.spaces.convolution import convolutions
from harness.spaces.digits import DIGITS
from harness.tables.calibration import stage_of
from harness.tables.compare import Comparison, Moved
from harness.tables.table import Table
from harness.workspace import Workspace

SHORT = Plan(min_visits=4, max_visits=8, runs=3, interval=0.1, duration_s=0.0, anchors=10)
EFFORT: Effort = replace(QUICK, table=SHORT)
DEVICE = "cpu-onnxruntime"


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A measured table."""
    root = tmp_path_factory.mktemp("root")
    made = Run(Workspace(root), DIGITS, Terminal(), EFFORT)
    measure(made, Device.find(DEVICE, root))
    return made


def saved(job: Run) -> tuple[Path, Table]:
    path = job.workspace.table(DEVICE, "digits")
    return path, Table.load(path)


def test_a_finished_table_says_so_and_is_left_alone(
    job: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    before = saved(job)[1]
    assert measure(job, Device.find(DEVICE, job.workspace.root)) == before
    assert "measured for digits already" in " ".join(capsys.readouterr().out.split())
    assert saved(job)[1] == before


def test_a_refit_only_adds_anchors_and_holdouts(job: Run) -> None:
    path, before = saved(job)
    content = path.read_text()
    after = refit(job, Device.find(DEVICE, job.workspace.root))
    added = [record for record in after.records if record.campaign not in before.campaigns]
    assert {record.role for record in added} == {"sentinel", "anchor", "holdout"}
    assert set(before.records) <= set(after.records)
    assert after.calibrating_campaign() not in before.campaigns
    assert after.block_campaign() == before.block_campaign()
    path.write_text(content)


def test_a_table_that_was_calibrated_with_another_version_says_so(job: Run, tmp_path: Path) -> None:
    table = saved(job)[1]
    name = table.block_campaign()
    facts = table.campaigns[name]
    older = facts | {"environment": facts["environment"] | {"onnxruntime": "1.0"}}
    records = tuple(record for record in table.records if record.campaign == name)
    elsewhere = replace(job, workspace=Workspace(tmp_path))
    before = replace(table, campaigns={name: older}, records=records)
    before.save(elsewhere.workspace.table(DEVICE, "digits"))
    assert "not of one version" not in describe_table(table_state(elsewhere, before))
    after = refit(elsewhere, Device.find(DEVICE, tmp_path))
    version = facts["environment"]["onnxruntime"]
    told = f"onnxruntime 1.0 (blocks), {version} (calibration and error)"
    assert describe_table(table_state(elsewhere, after)).endswith(told)


def test_a_setting_that_a_table_has_and_its_device_no_longer_makes_it_another_device(
    job: Run, tmp_path: Path
) -> None:
    table = saved(job)[1]
    elsewhere = replace(job, workspace=Workspace(tmp_path))
    channels_last = {"torch": {"device": "cpu", "memory_format": "channels_last"}}
    path = elsewhere.workspace.table(DEVICE, "digits")
    replace(table, identity=table.identity | channels_last).save(path)
    with pytest.raises(TableError, match=r"measured with torch = .*channels_last.*, this is None"):
        refit(elsewhere, Device.find(DEVICE, tmp_path))
    replace(table, identity=table.identity | {"window_s": 0.5}).save(path)  # an older version's
    device = Device.find(DEVICE, tmp_path)
    with device.open() as session:
        assert load_or_start(path, device, "digits", device.identity(session)).has_blocks


@pytest.mark.flaky(reruns=1)  # times, while other tests run
def test_a_refresh_measures_again_what_moved_and_leaves_the_rest(job: Run, tmp_path: Path) -> None:
    _, before = saved(job)
    elsewhere = replace(job, workspace=Workspace(tmp_path))
    stage = f"mbconv-o{DIGITS.stages[0].width}"
    moved = {b for b in DIGITS.distinct_blocks() if stage_of(b) == stage and b.kernel == 7}
    assert len(moved) > 5
    records = [
        replace(r, statistics=r.statistics.scaled(0.1))  # beyond what a busy machine does
        if r.role == "block" and r.blocks[0] in moved
        else r
        for r in before.records
    ]
    wrong = replace(before, records=tuple(records))
    wrong.save(elsewhere.workspace.table(DEVICE, "digits"))
    after = refresh(elsewhere, Device.find(DEVICE, tmp_path))
    (again,) = (facts["moved"] for facts in after.campaigns.values() if "moved" in facts)
    right, tenth = after.block_values("thread"), wrong.block_values("thread")
    assert {block.key for block in moved} <= set(again)
    measured = {
        record.blocks[0]
        for record in after.records
        if record.role == "block" and record.campaign not in wrong.campaigns
    }
    assert {block for block in right if right[block] != tenth[block]} <= measured
    # All of them are ten times what the table said, beside whatever the machine does to everything.
    changes = {block: right[block] / tenth[block] for block in measured}
    others = np.median([change for block, change in changes.items() if block not in moved])
    assert 5 < np.median([changes[block] for block in moved]) / others < 20


def _moved(blocks: Sequence[Block]) -> Comparison:
    moved = tuple(Moved(block, 100, 200, 2.0, 0.001) for block in blocks)
    return Comparison(1.0, (0.9, 1.1), moved, 40, 0, 0, {}, machines_own=False)


def test_what_moved_stands_for_its_kinds_and_a_good_part_of_the_sample_for_all() -> None:
    blocks = list(DIGITS.distinct_blocks())
    first, second = blocks[0], blocks[-1]
    few = _alike(_moved([first, second]), blocks[:40], blocks)
    assert {first, second} <= set(few) < set(blocks)
    kinds = {(stage_of(block), block.kernel) for block in (first, second)}
    assert {(stage_of(block), block.kernel) for block in convolutions(few)} == kinds
    assert _alike(_moved(blocks[:14]), blocks[:40], blocks) == blocks
    assert _alike(_moved([]), blocks[:40], blocks) == []


def test_a_table_at_some_resolutions_holds_just_those(job: Run, tmp_path: Path) -> None:
    space = part_of(DIGITS, "12,16")
    some = replace(job, workspace=Workspace(tmp_path), space=space)
    table = measure(some, Device.find(DEVICE, tmp_path))
    assert set(table.block_values("thread")) == set(space.distinct_blocks())


@pytest.mark.parametrize("text", ["13", "12;16", "", "12,,16"])
def test_resolutions_that_are_none_of_the_space_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        part_of(DIGITS, text)


def test_a_full_disk_is_one_line_and_loses_nothing(tmp_path: Path) -> None:
    if not _mounted(tmp_path, "48k"):
        pytest.skip("no right to mount a small tmpfs here")
    root = tmp_path / "small"
    command = [sys.executable, "-m", "tests.short", "measure", "--quick", "--device", DEVICE]
    command += ["--root", str(root)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ended.returncode == 6, ended.stdout + ended.stderr
        (line,) = ended.stderr.strip().splitlines()
        assert "No space left" in line
        (journal,) = root.glob("runs/*/*.jsonl")
        lines = journal.read_text().splitlines()[:-1]  # the last is not whole
        assert len(lines) > 100
        subprocess.run(["mount", "-o", "remount,size=16m", str(root)], check=True)
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        assert again.returncode == 0, again.stderr
        packed = gzip.decompress(journal.with_name(f"{journal.name}.gz").read_bytes())
        assert packed.decode().splitlines()[: len(lines)] == lines
    finally:
        subprocess.run(["umount", str(root)], check=False)


def _mounted(folder: Path, size: str) -> bool:
    (folder / "small").mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder / "small")]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
