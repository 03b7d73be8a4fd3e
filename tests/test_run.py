"""The main job as a user starts it: killed at random moments, and then asked what it left."""

import gzip
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.deploy.front import Front, verification_entries
from harness.device.device import Device
from harness.measuring.plan import table_entries
from harness.networks.file import NetworkFile
from harness.pipeline import starting
from harness.spaces.digits import DIGITS
from harness.tables.table import Table
from tests.command_line import harness
from tests.short import SHORT

KILLS = 6  # `benchmarks/kills.py` makes many more
LATEST_S = 7
DEVICE = "cpu-onnxruntime"
HARNESS = [sys.executable, "-m", "tests.short"]
MEASURE = [*HARNESS, "measure", "--quick", "--device", DEVICE, "--root"]
RUN = [*HARNESS, "run", "--quick", "--device", DEVICE, "--root"]


@dataclass
class KilledRun:
    """A run that was killed many times and then left to end."""

    root: Path
    output: str
    kills: int

    def visits(self, campaign: str) -> list[list[Any]]:
        path = self.root / "runs" / f"{DEVICE}.digits" / f"{campaign}.jsonl"
        lines = [json.loads(line) for line in whole_lines(self.root)[path]]
        return [line for line in lines if isinstance(line, list)]


def whole_lines(root: Path) -> dict[Path, list[bytes]]:
    """Every finished line of everything that is appended to, packed or not yet."""
    packed = {
        path.with_suffix(""): gzip.decompress(path.read_bytes())
        for path in root.glob("runs/*/*.jsonl.gz")
    }
    growing = {path: path.read_bytes() for path in root.glob("runs/*/*.jsonl")}
    return {path: content.split(b"\n")[:-1] for path, content in (growing | packed).items()}


def is_complete(root: Path) -> bool:
    front = root / "reports" / f"{DEVICE}.digits" / "front.json"
    return front.exists() and Front.load(front).verification is not None


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is started here is as short as what was killed."""
    monkeypatch.setattr(starting, "QUICK", SHORT)


@pytest.fixture(scope="module")
def killed_run(tmp_path_factory: pytest.TempPathFactory) -> KilledRun:
    """The job killed with SIGKILL at random moments, each between its start and LATEST_S later.

    The table comes first, as `run --quick` alone would only take a first look. That spreads the
    kills over all steps. Should the job be done before the last kill, it is started once more in
    another folder, so that there are always as many.
    """
    chance = random.Random(11)
    root = tmp_path_factory.mktemp("killed")
    before: dict[Path, list[bytes]] = {}
    for _ in range(KILLS):
        if is_complete(root):
            root, before = tmp_path_factory.mktemp("killed"), {}
        command = RUN if (root / "tables" / f"{DEVICE}.digits.jsonl").exists() else MEASURE
        with subprocess.Popen([*command, str(root)], stdout=subprocess.DEVNULL) as process:
            time.sleep(chance.uniform(0, LATEST_S))
            process.send_signal(signal.SIGKILL)
        after = whole_lines(root)
        for path, lines in before.items():
            assert after[path][: len(lines)] == lines, f"{path} lost lines"
        before = after
    for command in (MEASURE, RUN):  # on a slow machine the kills may have left no table
        ended = subprocess.run(
            [*command, str(root)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
    after = whole_lines(root)
    for path, lines in before.items():
        assert after[path][: len(lines)] == lines, f"{path} lost lines"
    return KilledRun(root, ended.stdout, KILLS)


def test_every_visit_was_made_once_and_every_record_is_there(killed_run: KilledRun) -> None:
    assert killed_run.kills == KILLS
    table = Table.load(killed_run.root / "tables" / f"{DEVICE}.digits.jsonl")
    keys = Counter(record.key for record in table.records)
    assert set(keys.values()) == {1}
    front = Front.load(killed_run.root / "reports" / f"{DEVICE}.digits" / "front.json")
    networks = [Path(f"{number}.pt") for number in range(len(front.points))]
    table_plan, front_plan = SHORT.table, SHORT.verification
    sizes = {
        "measure": (len(table_entries(DIGITS, table_plan.anchors)), table_plan),
        "verify": (
            len(verification_entries(front, DIGITS, networks, front_plan.anchors)),
            front_plan,
        ),
    }
    assert len(table.campaigns) == len(sizes)
    for campaign in table.campaigns:
        records = [record for record in table.records if record.campaign == campaign]
        kind = "measure" if any(record.role == "block" for record in records) else "verify"
        entries, plan = sizes[kind]
        assert len(records) == 2 * entries  # two clocks
        visits = Counter(
            (entry, number) for entry, number, *_ in killed_run.visits(campaign) if entry
        )
        assert set(visits.values()) == {1}
        for entry in range(1, entries):
            rounds = sorted(number for visited, number in visits if visited == entry)
            # Later rounds visit what still needs it, which new visits to the others may change.
            needed = list(range(plan.min_visits))
            assert rounds[: plan.min_visits] == needed, "a round was left out"
            assert len(rounds) <= plan.max_visits


def test_every_sub_network_was_evaluated_once(killed_run: KilledRun) -> None:
    (path,) = killed_run.root.glob("runs/digits-*/evaluated.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == SHORT.subnets
    assert len({tuple(line["genome"]) for line in lines}) == SHORT.subnets
    assert all(0 < line["accuracy"] <= 100 for line in lines)


def test_every_network_was_judged_once_on_every_test_image(killed_run: KilledRun) -> None:
    (path,) = killed_run.root.glob("runs/*/*.labels.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    front = Front.load(killed_run.root / "reports" / f"{DEVICE}.digits" / "front.json")
    assert len({line["network"] for line in lines}) == len(lines) == len(front.points)
    assert all(len(line["predicted"]) == 1400 for line in lines)


def test_the_report_is_complete(killed_run: KilledRun) -> None:
    folder = killed_run.root / "reports" / f"{DEVICE}.digits"
    figures = ("accuracy-agreement", "architectures", "drift", "latency-agreement", "pareto")
    wanted = {"front.json", "index.html"}
    wanted |= {f"{name}.{kind}" for name in figures for kind in ("png", "svg", "pdf", "csv")}
    assert wanted <= {path.name for path in folder.glob("[!.]*")}
    front = Front.load(folder / "front.json")
    assert 5 < len(front.points) <= SHORT.points
    assert len(front.cloud) == SHORT.subnets
    assert all(point.latency_ms_measured and point.accuracy_measured for point in front.points)
    assert front.verification is not None
    assert front.verification["latency_span"] > 2
    assert front.verification["accuracy_gain_along_front"] > 0
    assert "holdout networks within 5 %" in killed_run.output
    assert f"{DEVICE}.digits/index.html" in killed_run.output


def test_the_networks_of_the_front_are_files_that_can_be_used(killed_run: KilledRun) -> None:
    front = Front.load(killed_run.root / "reports" / f"{DEVICE}.digits" / "front.json")
    assert front.verification is not None
    for name, point in zip(front.verification["networks"], front.points, strict=True):
        network = NetworkFile.load(killed_run.root / name)
        assert network.arch == point.arch
        assert network.origin["bn_images"] > 0


def run(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return harness(root.parent, *arguments, "--root", str(root))


def one_line(ended: subprocess.CompletedProcess[str], code: int) -> str:
    """The message of a command that failed as it should."""
    assert ended.returncode == code, ended.stdout + ended.stderr
    assert "Traceback" not in ended.stdout + ended.stderr
    (line,) = ended.stderr.strip().splitlines()
    return line


def test_a_finished_job_is_not_done_again(killed_run: KilledRun) -> None:
    before = {
        path: path.stat().st_mtime_ns
        for path in killed_run.root.rglob("*")
        if path.is_file() and path.suffix in {".jsonl", ".pt", ".npz", ".json"}
    }
    started = time.monotonic()
    assert run(killed_run.root, "run", "--quick", "--device", DEVICE).returncode == 0
    assert time.monotonic() - started < 60
    after = {path: path.stat().st_mtime_ns for path in before}
    assert after == before


def test_an_infeasible_constraint_names_the_smallest_latency_which_is_feasible(
    killed_run: KilledRun,
) -> None:
    asked = ("search", "--quick", "--device", DEVICE, "--max-latency-ms")
    message = one_line(run(killed_run.root, *asked, "0.0001"), 5)
    match = re.search(r"smallest achievable one is ([\d.]+) ms$", message)
    assert match
    limit_ms = 1.5 * float(match[1])  # its upper end; how busy the machine was is in it
    best = json.loads(run(killed_run.root, *asked, f"{limit_ms:.4f}").stdout)
    assert 0 < best["latency_ms"] < limit_ms
    assert best["arch"]["r"] in DIGITS.resolutions


def test_a_point_of_the_front_is_extracted_to_a_file(killed_run: KilledRun, tmp_path: Path) -> None:
    output = tmp_path / "network.pt"
    ended = run(killed_run.root, "extract", "front:3", str(output), "--device", DEVICE)
    assert ended.returncode == 0, ended.stderr
    front = Front.load(killed_run.root / "reports" / f"{DEVICE}.digits" / "front.json")
    assert NetworkFile.load(output).arch == front.points[3].arch
    ended = run(killed_run.root, "extract", "front:99", str(output), "--device", DEVICE)
    assert f"0 to {len(front.points) - 1}" in one_line(ended, 2)
    ended = run(killed_run.root, "extract", "7", str(output), "--device", DEVICE)
    assert "front:7 for the eighth" in one_line(ended, 2)


def test_a_table_shows_its_error_and_its_floor(killed_run: KilledRun) -> None:
    shown = run(killed_run.root, "tables", "show", DEVICE).stdout
    assert "145 blocks" in shown
    assert "noise floor" in shown
    listed = run(killed_run.root, "devices", "list").stdout
    assert f"{DEVICE} " in listed
    assert "measured on hardware" in listed
    assert "never run on hardware" in listed


@pytest.mark.parametrize(
    ("damaged", "arguments"),
    [
        ("runs/digits-*/supernet.pt", ("train", "--quick")),
        ("runs/digits-*/accuracy.npz", ("run", "--quick", "--device", DEVICE)),
        ("tables/*.jsonl", ("tables", "show", DEVICE)),
        ("tables/*.jsonl", ("measure", "--quick", "--device", DEVICE)),
        ("reports/*/front.json", ("report", "--device", DEVICE)),
    ],
)
def test_a_damaged_file_is_one_line_naming_it(
    killed_run: KilledRun, damaged: str, arguments: tuple[str, ...]
) -> None:
    (path,) = killed_run.root.glob(damaged)
    content = path.read_bytes()
    try:
        path.write_bytes(content[: len(content) // 2])
        assert path.name in one_line(run(killed_run.root, *arguments), 3)
    finally:
        path.write_bytes(content)


def test_a_front_of_another_supernet_is_not_mixed_with_ours(killed_run: KilledRun) -> None:
    path = killed_run.root / "reports" / f"{DEVICE}.digits" / "front.json"
    content = path.read_text()
    front = json.loads(content)
    try:
        front["settings"]["supernet"] = "digits-00000000"
        path.write_text(json.dumps(front))
        assert "another supernet" in one_line(run(killed_run.root, "verify", "--device", DEVICE), 3)
    finally:
        path.write_text(content)


def test_a_deleted_table_comes_back_from_the_raw_samples(killed_run: KilledRun) -> None:
    path = killed_run.root / "tables" / f"{DEVICE}.digits.jsonl"
    content = path.read_text()
    whole = Table.load(path)
    path.unlink()
    try:
        ended = run(killed_run.root, "measure", "--quick", "--device", DEVICE)
        assert ended.returncode == 0, ended.stderr
        again = Table.load(path)
        assert {r.key: r for r in again.records}.items() <= {
            r.key: r for r in whole.records
        }.items()
        assert again.block_campaign() == whole.block_campaign()
    finally:
        path.write_text(content)


def test_a_table_of_another_machine_is_not_mixed_with_ours(killed_run: KilledRun) -> None:
    path = killed_run.root / "tables" / f"{DEVICE}.digits.jsonl"
    content = path.read_text()
    processor = Table.load(path).identity["processor"]
    try:
        path.write_text(content.replace(json.dumps(processor), '"another processor"'))
        message = one_line(run(killed_run.root, "measure", "--quick", "--device", DEVICE), 3)
        assert "another processor" in message
    finally:
        path.write_text(content)


def test_a_new_device_like_a_known_one_is_searched_after_one_network(
    killed_run: KilledRun,
) -> None:
    root = killed_run.root
    (root / "devices").mkdir(exist_ok=True)
    (root / "devices" / "mine.toml").write_text(f'title = "Mine"\nextends = "{DEVICE}"\n')
    ended = run(root, "run", "--quick", "--device", "mine")
    assert ended.returncode == 0, ended.stderr
    said = " ".join(ended.stdout.split())
    assert f"1 network measured, the rest rescaled from the table of {DEVICE}" in said
    table = Table.load(root / "tables" / "mine.digits.jsonl")
    assert not table.has_blocks
    first = table.select("anchor", table.clock, table.first_look())
    assert len(first) == 1
    front = Front.load(root / "reports" / "mine.digits" / "front.json")
    assert front.table["p95"] > 0.25
    assert front.verification is not None
    # How many hold is for `benchmarks/coverage.py`: ten networks of one campaign share one level.
    assert front.verification["latency_within_interval"] is not None
    assert "a first look:" in (root / "reports" / "mine.digits" / "index.html").read_text()
    shown = run(root, "tables", "show", "mine").stdout
    assert "no blocks yet" in shown


def test_a_device_in_use_is_one_line(killed_run: KilledRun) -> None:
    with Device.find("cpu", killed_run.root).open():
        told = one_line(run(killed_run.root, "devices", "check", "cpu"), 4)
        assert f"process {os.getpid()} of " in told
