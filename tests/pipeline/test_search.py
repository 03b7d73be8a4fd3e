"""From a table and a source of accuracies to fronts and single networks, without any training."""

import json
import os
import re
import subprocess
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli.options import job_for
from harness.cli.terminal import Terminal
from harness.deploy.front import Front
from harness.effort import QUICK
from harness.memory.needs import arena_of
from harness.pipeline import steps
from harness.pipeline.job import Run
from harness.pipeline.supernet import find_judges, read_evaluated
from harness.predictors.accuracy import AccuracyPredictor, fit, held_out
from harness.predictors.block_table import BlockTablePredictor
from harness.quantities import parse_limit
from harness.spaces.arch import Arch
from harness.spaces.cost import CostTable
from harness.spaces.digits import DIGITS
from harness.spaces.genome import Genomes, decode, encode, sample
from harness.tables.repeat import Repeat
from harness.tables.table import Table
from harness.workspace import Workspace
from tests.command_line import harness, started_in
from tests.tables.test_calibration import energy_table, made_table

DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data")) / "ofa"
WORDS = ["--accuracy", "mine:accuracy", "--quick"]
pytestmark = pytest.mark.usefixtures("short_searches", "figures_of_pages_alone")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_root(tmp_path)


def make_root(tmp_path: Path) -> Path:
    """A workspace with tables of two devices, and a module of the user's."""
    table = made_table(np.random.default_rng(1), 0)
    facts = {name: campaign | {"environment": {}} for name, campaign in table.campaigns.items()}
    table = replace(table, campaigns=facts, identity={"clock": "wall"})
    slow = replace(
        table,
        device="slow",
        records=tuple(
            replace(record, statistics=record.statistics.scaled(3)) for record in table.records
        ),
    )
    for made in (replace(table, device="fast"), slow):
        made.save(tmp_path / "tables" / f"{made.device}.digits.jsonl")
    (tmp_path / "mine.py").write_text(
        "def accuracy(arch):\n    return 60 + arch.resolution / 2 + 2 * sum(arch.depths)\n"
        "def nan(arch):\n    return float('nan')\n"
    )
    return tmp_path


@pytest.fixture
def energies(root: Path) -> Path:
    """With an energy table too."""
    table = energy_table(np.random.default_rng(2))
    facts = {name: campaign | {"environment": {}} for name, campaign in table.campaigns.items()}
    replace(table, device="fast", campaigns=facts).save(root / "tables/fast.digits.energy.jsonl")
    return root


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return harness(root, "search", "--device", "fast", *words)


def searched(
    root: Path,
    *limits: str,
    accuracy: str = "mine:accuracy",
    further: bool = False,
    objective: str | None = None,
) -> Path:
    """The file of the front that `search --front` writes, without its page and figures."""
    with started_in(root):
        job = job_for("digits", Path(), quick=True, accuracy=accuracy)
        question = steps.Question(tuple(map(parse_limit, limits)), objective)
        steps.search(job, "fast", question, further)
    return root / "reports" / "fast.digits" / "front.json"


def best(root: Path, *words: str) -> dict[str, Any]:
    ended = run(root, *WORDS, *words)
    assert ended.returncode == 0, ended.stderr
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def one_line(ended: subprocess.CompletedProcess[str], code: int) -> str:
    assert ended.returncode == code, ended.stdout + ended.stderr
    (line,) = ended.stderr.strip().splitlines()
    return line


def test_a_front_and_its_page_come_from_a_table_and_a_function(root: Path) -> None:
    ended = run(root, *WORDS, "--front")
    assert ended.returncode == 0, ended.stderr
    front = Front.load(root / "reports" / "fast.digits" / "front.json")
    assert len(front.points) > 3
    assert front.verification is None
    page = (root / "reports" / "fast.digits" / "index.html").read_text()
    assert "not verified yet" in page
    assert "mine:accuracy" in page
    _, *command = front.settings["command"].split()
    assert harness(root, *command, "--fresh").returncode == 0
    assert Front.load(root / "reports" / "fast.digits" / "front.json").points == front.points


def test_a_front_is_searched_again_where_its_table_or_function_has_changed(root: Path) -> None:
    contents = []
    for change in ("nothing", "function", "table", "limit"):
        if change == "function":
            module = root / "mine.py"
            module.write_text(module.read_text().replace("60 +", "50 +"))
        if change == "table":
            path = root / "tables" / "fast.digits.jsonl"
            table = Table.load(path)
            slower = (replace(r, statistics=r.statistics.scaled(1.5)) for r in table.records)
            replace(table, records=tuple(slower)).save(path)
        limits = ["slow:2ms"] if change == "limit" else []
        contents.append(searched(root, *limits).read_text())
    assert len(set(contents)) == 4
    assert searched(root, "slow:2ms").read_text() == contents[-1]


def test_accuracies_count_by_what_is_in_their_file_wherever_it_lies(
    root: Path, rng: np.random.Generator
) -> None:
    lines = ["r,d,ks,e,accuracy"]
    for number, arch in enumerate(decode(DIGITS, genome) for genome in sample(DIGITS, 60, rng)):
        cells = (" ".join(map(str, part)) for part in (arch.depths, arch.kernels, arch.expands))
        lines.append(f"{arch.resolution},{','.join(cells)},{60 + number / 2}")
    (root / "a.csv").write_text("\n".join(lines))
    path = searched(root, accuracy="a.csv")
    found = Front.load(path)
    measured = replace(found.points[0], memory_mb_measured=1.5)
    found = replace(found, points=(measured, *found.points[1:]))
    found.save(path)
    (root / "a.csv").rename(root / "moved.csv")
    searched(root, accuracy="moved.csv")
    after = Front.load(path)
    assert after.points == found.points
    assert after.settings["accuracy"]["source"] == "moved.csv"
    assert "--accuracy moved.csv" in after.settings["command"]


def test_a_front_is_searched_again_where_a_module_that_its_function_imports_has_changed(
    root: Path,
) -> None:
    (root / "other.py").write_text("LEAST = 60\n")
    module = root / "mine.py"
    module.write_text("from other import LEAST\n" + module.read_text().replace("60 +", "LEAST +"))
    accuracies = []
    for least in (60, 60, 50):
        (root / "other.py").write_text(f"LEAST = {least}\n")
        accuracies.append(Front.load(searched(root)).points[0].accuracy)
    assert accuracies[0] == accuracies[1] == accuracies[2] + 10


def test_a_front_within_limits_is_searched_again_where_their_upper_ends_moved(root: Path) -> None:
    table_path = root / "tables" / "fast.digits.jsonl"
    table = Table.load(table_path)
    holdouts = [record for record in table.records if record.role == "holdout"]
    spread = [  # networks that calibrate nothing: predictions stay, only their error grows
        replace(record, statistics=record.statistics.scaled((0.8, 1.25)[number % 2]))
        for number, record in enumerate(holdouts)
    ]
    others = [record for record in table.records if record.role != "holdout"]
    unsure = replace(table, records=(*others, *spread))
    limit = [f"fast:{1.6 * best(root, '--complexity-weight', '9')['latency_ms']}ms"]
    for limits, same in ((limit, False), ([], True)):
        table.save(table_path)
        before = searched(root, *limits).read_text()
        unsure.save(table_path)
        assert (searched(root, *limits).read_text() == before) == same


def test_a_front_within_limits_stays_when_it_was_verified_on_another_day(root: Path) -> None:
    table_path = root / "tables" / "fast.digits.jsonl"
    table = Table.load(table_path)
    path = searched(root, "fast:9ms@full")
    before = path.read_text()
    networks = [(DIGITS.blocks(p.arch), p.arch) for p in Front.load(path).points]
    anchors = [record for record in table.records if record.role == "anchor"]
    slower = [
        replace(record, campaign="later", statistics=record.statistics.scaled(1.2))
        for record in (
            *anchors,
            *(replace(anchors[0], role="network", blocks=b, arch=a) for b, a in networks),
        )
    ]
    later = table.with_campaign("later", table.campaigns[anchors[0].campaign], slower)
    assert Repeat.of(later).shifts == pytest.approx([np.log(1.2)], rel=1e-3)
    later.save(table_path)
    assert searched(root, "fast:9ms@full").read_text() == before
    others = [
        record for record in slower if record.role == "anchor" or record.arch != networks[0][1]
    ]
    table.with_campaign("later", later.campaigns["later"], others).save(table_path)
    assert searched(root, "fast:9ms@full").read_text() != before, (
        "a campaign of other networks moved the upper end"
    )


def test_a_front_asks_a_function_that_may_be_slow_only_little_whether_it_is_the_same(
    root: Path,
) -> None:
    module = root / "mine.py"
    module.write_text(
        module.read_text().replace(
            "arch):\n", "arch):\n    with open('calls', 'a') as calls: calls.write('.')\n", 1
        )
    )
    searched(root)
    (root / "calls").unlink()
    searched(root)
    assert len((root / "calls").read_text()) == 100


@pytest.fixture
def fitted(root: Path) -> Run:
    """A job whose sub-networks were evaluated, and whose accuracy predictor was fitted."""
    job = Run(Workspace(root), DIGITS, Terminal(quiet=True), QUICK)
    genomes = sample(DIGITS, 400, np.random.default_rng(4))
    for genome, top1 in zip(genomes.tolist(), evaluated(genomes).tolist(), strict=True):
        line = json.dumps({"genome": genome, "accuracy": top1})
        job.supernet.evaluated.parent.mkdir(parents=True, exist_ok=True)
        with job.supernet.evaluated.open("a") as file:
            file.write(f"{line}\n")
    fit(DIGITS, genomes, evaluated(genomes), epochs=30).save(job.supernet.predictor)
    return job


def evaluated(genomes: Genomes) -> np.ndarray:
    """Made-up accuracies: the poorer a network, the more they scatter."""
    macs = CostTable.of(DIGITS, lambda block: block.macs / 1e6).total(genomes)
    top1 = 95 - 10 * np.exp(-2 * macs)
    top1 += np.random.default_rng(5).normal(0, 0.05, len(genomes)) * (100 - top1)
    return np.asarray(top1)


def test_a_front_is_searched_again_where_its_accuracy_predictor_was_fitted_anew(
    fitted: Run,
) -> None:
    first = steps.search(fitted, "fast")
    path = fitted.workspace.front("fast", "digits")
    written = path.read_text()
    steps.search(fitted, "fast")
    assert path.read_text() == written
    genomes, _ = read_evaluated(fitted)
    fit(DIGITS, genomes, evaluated(genomes) - 20, epochs=30).save(fitted.supernet.predictor)
    again = steps.search(fitted, "fast")
    assert again.points[0].accuracy < first.points[0].accuracy - 10


def test_networks_that_the_predictor_may_have_been_fitted_to_do_not_judge_it(fitted: Run) -> None:
    predictor = AccuracyPredictor.load(fitted.supernet.predictor, DIGITS)
    found = {*map(tuple, find_judges(fitted, predictor).tolist())}
    assert len(found) > 20
    with fitted.supernet.evaluated.open("a") as file:  # as if they had been drawn, too
        file.writelines(f"{json.dumps({'genome': g, 'accuracy': 80.0})}\n" for g in found)
    others = {*map(tuple, find_judges(fitted, predictor).tolist())}
    assert others
    assert not others & found


def test_one_outlier_does_not_make_the_intervals_of_a_front_and_good_networks_have_narrower_ones(
    fitted: Run,
) -> None:
    genomes, accuracies = read_evaluated(fitted)
    accuracies[np.flatnonzero(held_out(genomes, 0))[0]] = 30.0
    predictor = fit(DIGITS, genomes, accuracies, epochs=30)
    predictor.save(fitted.supernet.predictor)
    front = steps.search(fitted, "fast")
    widths = [high - low for low, high in (p.accuracy_interval or (0, 100) for p in front.points)]
    assert max(widths) < 1.96 * predictor.quality.rmse
    assert widths[-1] < widths[0]


def test_the_best_network_of_an_int8_device_is_told_with_what_its_accuracy_leaves_out(
    root: Path,
) -> None:
    assert "accuracy_caveat" not in best(root, "--max-latency-ms", "2")
    path = root / "tables" / "fast.digits.jsonl"
    table = Table.load(path)
    replace(table, identity=table.identity | {"precision": "int8"}).save(path)
    assert "int8" in best(root, "--max-latency-ms", "2")["accuracy_caveat"]
    assert run(root, *WORDS, "--front").returncode == 0
    front = root / "reports" / "fast.digits" / "front.json"
    assert "int8" in json.loads(front.read_text())["accuracy_predictor"]["int8"]
    assert "searched for float32, runs in int8" in front.with_name("index.html").read_text()


def test_a_front_can_be_searched_further_and_gets_no_worse(root: Path) -> None:
    fronts = [Front.load(searched(root, further=more)) for more in (False, True, True, False)]
    assert [front.settings["rounds"] for front in fronts] == [1, 2, 3, 3]
    assert fronts[2].points == fronts[3].points
    for old, new in pairwise(fronts):
        for point in old.points:
            reached = [p.accuracy for p in new.points if p.latency_ms <= point.latency_ms * 1.2]
            assert max(reached) >= point.accuracy - 1e-6


def test_the_command_in_a_front_repeats_it(root: Path) -> None:
    words = ["--constraint", "macs:0.31234567M", "--constraint", "slow:1.2345678ms"]
    assert run(root, *WORDS, "--front", *words).returncode == 0
    path = root / "reports" / "fast.digits" / "front.json"
    first = Front.load(path)
    _, *command = first.settings["command"].split()
    assert harness(root, *command, "--fresh").returncode == 0
    assert Front.load(path).points == first.points


def test_a_broken_table_of_another_device_stops_nobody(root: Path) -> None:
    (root / "tables" / "broken.digits.jsonl").write_text("{")
    assert searched(root).exists()


def test_a_limit_is_held_by_the_upper_end_and_the_answer_says_of_which_time(root: Path) -> None:
    fastest = best(root, "--complexity-weight", "1000")
    limit_ms = 1.6 * fastest["latency_ms"]
    found = best(root, "--constraint", f"fast:{limit_ms}ms@full")
    assert found["latency_ms_interval"][1] <= limit_ms
    assert found["latency_ms"] > fastest["latency_ms"]
    (limit,) = found["limits"]
    what, _, value = limit.partition(": ")
    assert what == f"latency on fast (at full speed, upper end) at most {limit_ms:g} ms"
    assert float(value) == pytest.approx(found["latency_ms_interval"][1], rel=1e-4)


def test_a_table_with_p90_is_limited_by_it_unless_another_time_is_asked_for(root: Path) -> None:
    path = root / "tables" / "fast.digits.jsonl"
    table = Table.load(path)
    seen = tuple(
        replace(
            r,
            statistics=replace(
                r.statistics,
                p50=None,
                p90=round(1.2 * r.statistics.value),
                p99=None,
                sustained=None,
            ),
        )
        for r in table.records
    )
    replace(table, records=tuple(seen)).save(path)
    full_ms = best(root, "--complexity-weight", "1000")["latency_ms"]
    limit = f"fast:{2.5 * full_ms}ms"
    by_p90, by_full = (best(root, "--constraint", f"{limit}{at}") for at in ("", "@full"))
    assert by_p90["seen_ms"]["p90"][2] <= 2.5 * full_ms
    assert by_p90["limits"][0].startswith("latency on fast (p90 on the wall clock, upper end)")
    assert by_full["latency_ms"] > by_p90["latency_ms"]
    told = one_line(run(root, *WORDS, "--constraint", f"{limit}@sustained"), 2)
    assert "not known sustained" in told


def test_limits_on_several_devices_hold_at_once(root: Path) -> None:
    free = best(root, "--constraint", "fast:9ms")
    both = best(root, "--constraint", "fast:9ms", "--constraint", "slow:1.2ms")
    assert both["latency_ms"] <= 0.42
    assert both["costs"]["fast, ms"] == both["latency_ms"]
    assert 2.9 < both["costs"]["slow, ms"] / both["costs"]["fast, ms"] < 3.1
    assert both["accuracy"] < free["accuracy"]
    small = best(root, "--constraint", "macs:0.2M", "--constraint", "activations:20kB")
    assert small["accuracy"] < free["accuracy"]


def test_memory_is_told_and_limited_by_precision(root: Path) -> None:
    """An int8 number takes a quarter of a float's."""
    whole, quarter = (
        best(root, "--constraint", limit) for limit in ("activations:20kB", "activations.int8:5kB")
    )
    assert whole["arch"] == quarter["arch"]
    assert whole["arch"] != best(root, "--constraint", "activations.int8:20kB")["arch"]
    told = one_line(run(root, *WORDS, "--constraint", "activations.float16:1kB"), 5)
    assert "peak of activations in float16, without padding" in told
    refused = one_line(run(root, *WORDS, "--constraint", "activations.int4:1kB"), 2)
    assert "activations.int4 is none of" in refused


def test_a_limit_of_memory_is_of_what_was_measured_and_says_how_to_measure_it(root: Path) -> None:
    refused = one_line(run(root, *WORDS, "--constraint", "memory:64MB"), 2)
    assert "harness measure --memory" in refused
    assert "activations:2MB limits their maps alone" in refused


def test_sram_and_flash_are_limited_told_and_shown_against_their_limit(root: Path) -> None:
    free = best(root, "--constraint", "macs:9M")
    assert arena_of(DIGITS.blocks(Arch.from_json(free["arch"]))) > 24_000
    limits = ("--constraint", "sram:24kB", "--constraint", "flash:0.04MB")
    small = best(root, *limits)
    assert small["costs"]["sram, kB"] * 1e3 == arena_of(
        DIGITS.blocks(Arch.from_json(small["arch"]))
    )
    assert small["costs"]["sram, kB"] <= 24
    assert small["costs"]["flash, kB"] <= 40
    in_place = best(root, "--constraint", "sram.in-place:24kB")
    assert in_place["accuracy"] > small["accuracy"]
    told = one_line(run(root, *WORDS, "--constraint", "sram:9kB"), 5)
    assert "SRAM in int8, in TFLite Micro's arena of 9 kB or less; the smallest" in told
    assert "sram.by-magic is none of sram" in one_line(
        run(root, *WORDS, "--constraint", "sram.by-magic:9kB"), 2
    )
    shown = run(root, *WORDS, *limits, "--objective", "sram", "--front")
    assert re.search(r"^sram: .* kB \(at most 24\)$", shown.stdout, re.MULTILINE)
    assert re.search(r"^flash: .* kB \(at most 40\)$", shown.stdout, re.MULTILINE)
    page = (root / "reports/fast.digits/index.html").read_text()
    assert "sram, kB<br>(at most 24)" in page
    front = Front.load(root / "reports/fast.digits/front.json")
    assert all(point.costs["sram"] <= 24 for point in front.points)
    assert front.settings["command"].endswith("--objective sram --quick")


def test_a_board_limits_what_its_memory_does(root: Path) -> None:
    (root / "devices").mkdir(exist_ok=True)
    board = 'title = "B"\nextends = "stm32f412"\n[microcontroller]\n'
    (root / "devices/tiny.toml").write_text(board + 'sram_kib = 20\nplanner = "in-place"\n')
    told = best(root, "--constraint", "tiny")["limits"]
    assert "at most 20.48 kB:" in told[0]
    assert "at most 1048.58 kB:" in told[1]
    assert "depthwise convolutions in place" in told[0]
    refused = one_line(run(root, *WORDS, "--constraint", "zu3eg"), 2)
    assert "of zu3eg no memory is known" in refused
    assert "write pixel-1:30ms" in one_line(run(root, *WORDS, "--constraint", "tinny"), 2)


def test_a_complexity_weight_prefers_smaller_networks(root: Path) -> None:
    latencies = [
        best(root, "--complexity-weight", weight)["latency_ms"] for weight in ("0", "0.3", "10")
    ]
    assert latencies[0] > latencies[1] > latencies[2]


def test_a_third_objective_keeps_networks_that_two_would_not(root: Path) -> None:
    points = Front.load(searched(root, objective="params")).points
    accuracies = [point.accuracy for point in points]
    assert accuracies != sorted(accuracies)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--constraint", "fast:0.001ms"], 5, "smallest achievable one is 0."),
        (["--constraint", "nobody:30ms"], 2, "no device with a table of digits"),
        (["--constraint", "fast:30"], 2, "is no limit; write pixel-1:30ms"),
        (["--constraint", "macs:30ms"], 2, "is no limit"),
    ],
)
def test_limits_that_cannot_be_met_or_understood_are_one_line(
    root: Path, words: list[str], code: int, said: str
) -> None:
    assert said in one_line(run(root, *WORDS, *words), code)


def test_accuracies_that_are_no_numbers_are_one_line(root: Path) -> None:
    assert "one number for each" in one_line(run(root, "--accuracy", "mine:nan"), 3)


def test_a_partial_table_names_a_missing_block_and_what_to_do(root: Path) -> None:
    path = root / "tables" / "fast.digits.jsonl"
    table = Table.load(path)
    lost = {DIGITS.block(1, (size, 3, 3)) for size in DIGITS.resolutions}
    kept = [r for r in table.records if r.role != "block" or r.blocks[0] not in lost]
    kept = [r for r in kept if len(r.blocks) == 1 or not lost & set(r.blocks)]
    replace(table, records=tuple(kept)).save(path)
    message = one_line(run(root, *WORDS, "--front"), 3)
    assert any(block.key in message for block in lost)
    assert "harness measure" in message


def test_a_space_without_data_asks_for_accuracies(root: Path) -> None:
    message = one_line(run(root, "--space", "ofa-mbv3-w1.0"), 3)
    assert "no device" in message or "no table" in message


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("pixel-1:30ms", ("pixel-1", 30.0)),
        ("a_b.c:0.5s", ("a_b.c", 500.0)),
        ("macs:1.2G", ("macs", 1200.0)),
        ("params:500k", ("params", 0.5)),
        ("activations:512kB", ("activations", 0.512)),
        ("activations.int8:512kB", ("activations.int8", 0.512)),
        ("a.b.energy:2mJ", ("a.b.energy", 2.0)),
        ("pixel-1:30ms@p90", ("pixel-1", 30.0, "p90")),
    ],
)
def test_limits_are_read_with_their_units(
    text: str, limit: tuple[str, float] | tuple[str, float, str]
) -> None:
    name, value, *at = limit
    assert parse_limit(text)[0] == name
    assert parse_limit(text)[1] == pytest.approx(value)
    assert parse_limit(text)[2] == (at[0] if at else None)


@pytest.mark.skipif(not DATA.exists(), reason=f"no {DATA} (set HARNESS_DATA)")
def test_reference_note10_becomes_a_front_in_one_command_after_its_import(tmp_path: Path) -> None:
    imported = "tables import --device note10-published --source OFA --space ofa-mbv3-w1.2"
    search = "search --device note10-published --space ofa-mbv3-w1.2 --front --quick"
    for words in (
        [*imported.split(), str(DATA / "note10")],
        [*search.split(), "--accuracy", str(DATA / "acc_predictor.pth")],
    ):
        ended = harness(tmp_path, *words)
        assert ended.returncode == 0, ended.stderr
    assert "3.4 points" in " ".join(ended.stdout.split())
    folder = tmp_path / "reports" / "note10-published.ofa-mbv3-w1.2"
    assert "3.4 points" in (folder / "index.html").read_text()
    assert (folder / "pareto.svg").stat().st_size > 10_000
    assert 75 < Front.load(folder / "front.json").points[0].accuracy < 76


@pytest.mark.parametrize("name", ["energy", "fast.energy"])
def test_an_energy_table_limits_a_search(energies: Path, name: str) -> None:
    words = ["--constraint", f"{name}:0.000001mJ", *WORDS]
    least = re.search(r"smallest achievable one is ([\d.]+) mJ", one_line(run(energies, *words), 5))
    assert least is not None
    limit_mj = 1.2 * float(least[1])
    arch = Arch.from_json(best(energies, "--constraint", f"{name}:{limit_mj}mJ")["arch"])
    table = Table.load(energies / "tables" / "fast.digits.energy.jsonl")
    (energy_mj,) = BlockTablePredictor.from_table(table, DIGITS, "net").predict(
        encode(DIGITS, [arch])
    )
    assert energy_mj <= limit_mj


def test_energy_is_an_objective_where_there_is_a_table(energies: Path) -> None:
    ended = run(energies, "--objective", "energy", *WORDS)
    assert ended.returncode == 0, ended.stderr
    assert "harness measure --energy --device slow" in one_line(
        run(energies, "--objective", "slow.energy", *WORDS), 2
    )
