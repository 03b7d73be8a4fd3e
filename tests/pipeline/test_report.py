"""`harness report`: pages and figures from what is there."""

import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.deploy.front import Front
from harness.spaces.digits import DIGITS
from harness.tables.table import Table
from tests.pipeline.test_search import WORDS, make_root, one_line, run

FIGURES = ("pareto", "architectures", "latency-agreement", "roofline")


def report(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "harness", "report", *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fronts of both devices, with their pages."""
    root = make_root(tmp_path_factory.mktemp("searched"))
    for device in ("fast", "slow"):
        assert run(root, *WORDS, "--front", "--device", device).returncode == 0
    return root


def data_of(page: Path) -> dict[str, object]:
    match = re.search(r'id="data">(.*?)</script>', page.read_text())
    assert match
    found: dict[str, object] = json.loads(match[1])
    return found


def test_a_device_gets_its_page_and_every_figure_in_all_formats(searched: Path) -> None:
    folder = searched / "reports/fast.digits"
    for name in FIGURES:
        for suffix in ("png", "svg", "pdf", "csv"):
            assert (folder / f"{name}.{suffix}").stat().st_size > 100, (name, suffix)
    page = (folder / "index.html").read_text()
    assert "accuracies are not measured" in page
    assert "145 of the 145 different blocks" in page
    assert "looked at, all predicted in" in page


def test_a_layers_latencies_add_up_to_nearly_the_network(searched: Path) -> None:
    with (searched / "reports/fast.digits/architectures.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    name = rows[0]["network"]
    total_ms = sum(float(r["latency_ms"]) for r in rows if r["network"] == name and r["latency_ms"])
    front = Front.load(searched / "reports/fast.digits/front.json")
    assert total_ms == pytest.approx(front.points[0].latency_ms, rel=0.2)


def test_several_devices_also_get_a_page_of_them_all(searched: Path) -> None:
    done = report(searched, "--device", "fast", "--device", "slow")
    assert done.returncode == 0, done.stderr
    page = searched / "reports/digits/index.html"
    assert str(page.relative_to(searched)) in done.stdout
    fronts = data_of(page)["fronts"]
    assert isinstance(fronts, list)
    assert [each["device"] for each in fronts] == ["fast", "slow"]
    assert (searched / "reports/digits/fronts.csv").exists()


def changed(root: Path, factor: float, block_factor: float) -> str:
    """The table of `fast` with all times and, more, those of one often used block changed."""
    table = Table.load(root / "tables/fast.digits.jsonl")
    front = Front.load(root / "reports/fast.digits/front.json")
    blocks = DIGITS.blocks(front.points[0].arch)
    victim = next(block for block in blocks if block.kind == "mbconv")
    records = [
        replace(
            record,
            statistics=record.statistics.scaled(
                factor * (block_factor if record.blocks == (victim,) else 1)
            ),
        )
        for record in table.records
    ]
    path = root / "tables-new.jsonl"
    replace(table, records=tuple(records)).save(path)
    return victim.key


def test_two_tables_are_compared_with_the_front_and_the_shipped_network(searched: Path) -> None:
    key = changed(searched, 1.2, 1.5)
    words = ("--compare", "tables/fast.digits.jsonl", "tables-new.jsonl", "--arch", "front:0")
    done = report(searched, *words)
    assert done.returncode == 0, done.stderr
    folder = searched / "reports/fast.digits"
    page = re.sub(r'src="[^"]*"', "", (folder / "compare.html").read_text())
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "Everything takes 1.200 times as long as before." in text
    assert "1 block did something else" in text
    assert f"Of its blocks, these moved: {key} (1.50 x)" in text
    assert "front:0 (shipped)" in text
    with (folder / "compare-blocks.csv").open(newline="") as file:
        moved = [row["block"] for row in csv.DictReader(file) if row["moved"] == "True"]
    assert moved == [key]


def test_tables_are_compared_without_a_front_too(root: Path) -> None:
    done = report(root, "--compare", "tables/fast.digits.jsonl", "tables/fast.digits.jsonl")
    assert done.returncode == 0, done.stderr
    page = (root / "reports/fast.digits/compare.html").read_text()
    assert "There is no front of this device and space to compare" in page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--arch", "front:0"), "it is for --compare"),
        (("--compare", "tables/fast.digits.jsonl", "nothing.jsonl"), "there is no table"),
        (
            ("--compare", "tables/fast.digits.jsonl", "tables/slow.digits.jsonl", "--arch", "x"),
            "'x'",
        ),
        (("--device", "nobody"), "nobody"),
    ],
)
def test_what_cannot_be_reported_is_one_line(root: Path, words: tuple[str, ...], told: str) -> None:
    done = report(root, *words)
    assert told in one_line(done, done.returncode)
    assert done.returncode != 0


def test_pages_need_no_torch(searched: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from harness.cli import main\n"
        "sys.argv = ['harness', 'report', '--device', 'fast']\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=searched,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
