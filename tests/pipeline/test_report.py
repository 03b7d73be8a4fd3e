"""`harness report`: pages and figures from what is there."""

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest

from harness.deploy.front import Front
from harness.networks.baselines import BASELINES
from harness.spaces.catalogue import find_space
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.tables.table import Table
from harness.workspace import Workspace
from tests.command_line import harness
from tests.pipeline.test_search import WORDS, make_root, one_line, run
from tests.reports.conftest import some_front
from tests.tables.test_calibration import record

FIGURES = ("pareto", "architectures", "latency-agreement", "roofline")
pytestmark = pytest.mark.usefixtures("figures_of_pages_alone")


def report(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return harness(root, "report", *words)


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
    assert "Everything takes 1.200 times as long as before. Nothing tells that only the" in text
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
    assert "No fronts to compare: there is none of fast" in page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--arch", "front:0"), "it is for --compare"),
        (("--compare", "a.jsonl", "b.jsonl", "--device", "fast"), "leave out --device"),
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


def test_a_block_that_cannot_run_any_more_is_told_and_gains_nothing(searched: Path) -> None:
    table = Table.load(searched / "tables/fast.digits.jsonl")
    front = Front.load(searched / "reports/fast.digits/front.json")
    victim = next(b for b in DIGITS.blocks(front.points[0].arch) if b.kind == "mbconv")
    facts = {
        name: c | {"infeasible": {victim.key: "too big"}} for name, c in table.campaigns.items()
    }
    records = tuple(record for record in table.records if victim not in record.blocks)
    replace(table, campaigns=facts, records=records).save(searched / "infeasible.jsonl")
    words = ("--compare", "tables/fast.digits.jsonl", "infeasible.jsonl", "--arch", "front:0")
    done = report(searched, *words)
    assert done.returncode == 0, done.stderr
    page = (searched / "reports/fast.digits/compare.html").read_text()
    assert "These cannot run there any more: front:0" in page
    assert "cannot run by one of the tables" in page
    assert not re.search(r"\binf\b", re.sub(r'src="[^"]*"', "", page))


def test_the_same_table_changes_nothing_and_calls_no_function_for_it(root: Path) -> None:
    words = (*WORDS, "--front", "--constraint", "macs:0.4M")
    assert run(root, *words).returncode == 0
    tables = ("--compare", "tables/fast.digits.jsonl", "tables/fast.digits.jsonl")
    done = report(root, *tables)
    assert done.returncode == 0, done.stderr
    page = (root / "reports/fast.digits/compare.html").read_text()
    assert "Everything takes 1.000 times as long as before." in page
    # A front does not have a function called: its file may be a stranger's.
    said = "accuracies come from mine:accuracy, which is called only where you name it"
    assert said in unescape(page)
    done = report(root, *tables, "--accuracy", "mine:accuracy")
    assert done.returncode == 0, done.stderr
    page = unescape((root / "reports/fast.digits/compare.html").read_text())
    assert said not in page
    times = "\N{MULTIPLICATION SIGN}"
    assert f"<b>1.000 {times}</b><span>the latency of the front at the same predicted" in page
    other = one_line(report(root, *tables, "--accuracy", "mine:nan"), 2)
    assert "accuracies of the front come from mine:accuracy" in other
    assert "--accuracy is for --compare" in one_line(report(root, "--accuracy", "mine:nan"), 2)


def test_energies_are_not_compared_as_latencies(root: Path) -> None:
    from tests.tables.test_calibration import energy_table

    energies = energy_table(np.random.default_rng(2))
    facts = {name: c | {"environment": {}} for name, c in energies.campaigns.items()}
    replace(energies, device="fast", campaigns=facts).save(root / "energy.jsonl")
    done = report(root, "--compare", "energy.jsonl", "energy.jsonl")
    assert "a table is of energy" in one_line(done, 3)


def test_a_table_cannot_send_its_page_elsewhere(root: Path) -> None:
    text = (root / "tables/fast.digits.jsonl").read_text()
    (root / "evil.jsonl").write_text(text.replace('"device":"fast"', '"device":"../../evil"', 1))
    done = report(root, "--compare", "evil.jsonl", "evil.jsonl")
    assert "no name of a file" in one_line(done, 3)


def test_a_front_does_not_rest_on_a_table_that_was_measured_since(root: Path) -> None:
    assert run(root, *WORDS, "--front").returncode == 0
    path = root / "tables/fast.digits.jsonl"
    path.write_text(path.read_text().replace('"c"', '"d"'))
    done = report(root, "--device", "fast")
    assert done.returncode == 0, done.stderr
    page = (root / "reports/fast.digits/index.html").read_text()
    assert "was measured anew since this front was found" in page
    assert "different blocks of the space" not in page


def save_imagenet(root: Path, device: Mapping[str, object], rng: np.random.Generator) -> str:
    """A front of `cpu`, and its baselines; the space."""
    space = find_space("ofa-mbv3-w1.2")
    archs = [decode(space, genome) for genome in sample(space, 10, rng)]
    front = some_front("cpu")
    points = tuple(replace(p, arch=a) for p, a in zip(front.points, archs, strict=True))
    settings = front.settings | {"accuracy": {"source": "some.csv"}, "device": device}
    kept = replace(front, space=space.name, points=points, settings=settings)
    kept.save(Workspace(root).front("cpu", space.name))
    facts = {"c": {"rounds": 5, "started_at": "2026-01-01", "environment": {}}}
    timed = record("network", BASELINES[0].blocks, 5e6, 0, rng)
    table = Table("cpu", "baselines", {"batch": 1, "clock": "wall"}, facts, (timed,))
    table.save(Workspace(root).table("cpu", "baselines"))
    return space.name


@pytest.mark.parametrize("batch", [1, 64])
def test_baselines_stand_beside_a_front_only_where_both_were_timed_alike(
    tmp_path: Path, batch: int, rng: np.random.Generator
) -> None:
    device = {"title": "cpu", "identity": {"batch": batch, "clock": "wall"}}
    space = save_imagenet(tmp_path, device, rng)
    done = report(tmp_path, "--device", "cpu", "--space", space)
    assert done.returncode == 0, done.stderr
    fronts = data_of(tmp_path / f"reports/cpu.{space}/index.html")["fronts"]
    assert isinstance(fronts, list)
    names = {each["name"] for each in fronts[0]["others"]}
    assert (BASELINES[0].name in names) == (batch == 1)


def test_a_front_that_does_not_tell_its_device_is_one_line(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    space = save_imagenet(tmp_path, {}, rng)
    path = tmp_path / f"reports/cpu.{space}/front.json"
    front = json.loads(path.read_text())
    del front["settings"]["device"]
    path.write_text(json.dumps(front))
    done = report(tmp_path, "--device", "cpu", "--space", space)
    assert "does not tell all that a page shows" in one_line(done, 3)


def test_fronts_of_different_sources_get_no_page_of_both(searched: Path) -> None:
    path = searched / "reports/slow.digits/front.json"
    before = path.read_text()
    try:
        path.write_text(re.sub(r'("source": "mine:accuracy",\s*"sha256": ")\w', r"\1x", before))
        done = report(searched, "--device", "fast", "--device", "slow")
    finally:
        path.write_text(before)
    assert "different sources" in one_line(done, 2)


def test_a_front_of_an_older_version_is_one_line(root: Path) -> None:
    assert run(root, *WORDS, "--front").returncode == 0
    path = root / "reports/fast.digits/front.json"
    front = json.loads(path.read_text())
    del front["table"]["clock"]
    path.write_text(json.dumps(front))
    done = report(root, "--device", "fast")
    assert "does not tell all that a page shows" in one_line(done, 3)
