"""A device with a batch: its numbers are of runs, and an inference is one image of them."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from harness import cli
from harness.cli.words.table import describe_baselines
from harness.deploy.front import Front
from harness.errors import TableError
from harness.predictors.block_table import BlockTablePredictor
from harness.reports.benchmark import describe
from harness.reports.card import card
from harness.reports.page import save_devices_page
from harness.reports.pareto import save_fronts
from harness.spaces.arch import Arch
from harness.spaces.digits import DIGITS
from harness.spaces.genome import encode
from harness.tables.table import Table
from tests.reports.conftest import shown, some_front
from tests.tables.test_calibration import energy_table, made_table

BATCH = 16
BOARD = "jetson-tx2"  # on the edge, by its profile
ARCH = Arch(12, (1,) * 3, (3,) * 9, (3,) * 9)
KG_A_KWH = 0.954 * 0.45359237  # of the US grid


def save_tables(root: Path, device: str, batch: int | None) -> None:
    """Latencies and energies of runs, the same whatever the batch; None: tables tell no batch."""
    told = {} if batch is None else {"batch": batch}
    for table in (made_table(np.random.default_rng(1), 0), energy_table(np.random.default_rng(2))):
        facts = {"c": table.campaigns["c"] | {"environment": {}}}
        identity = {"clock": "wall"} | table.identity | told
        kept = replace(table, device=device, campaigns=facts, identity=identity)
        suffix = ".energy" if table.quantity == "energy" else ""
        kept.save(root / "tables" / f"{device}.digits{suffix}.jsonl")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for device, batch in ((BOARD, BATCH), ("raspberry-pi-5", 1), ("older", None)):
        save_tables(tmp_path, device, batch)
    (tmp_path / "arch.json").write_text(json.dumps(ARCH.to_json()))
    return tmp_path


def harness(*words: str) -> str:
    ended = CliRunner().invoke(cli.app, words)
    if ended.exception is not None:
        raise ended.exception
    return ended.output


def energy_mj(root: Path) -> float:
    """Of a run."""
    table = Table.load(root / "tables" / f"{BOARD}.digits.energy.jsonl")
    predictor = BlockTablePredictor.from_table(table, DIGITS, "net")
    return float(predictor.predict(encode(DIGITS, [ARCH]))[0])


def latency_ms(root: Path) -> float:
    """Of a run."""
    table = Table.load(root / "tables" / f"{BOARD}.digits.jsonl")
    predictor = BlockTablePredictor.from_table(table, DIGITS, "wall")
    return float(predictor.predict(encode(DIGITS, [ARCH]))[0])


def test_an_inference_is_one_image_of_a_batch_and_has_no_data_centre_around_it(root: Path) -> None:
    words = ("carbon", "inferences", "--arch", "arch.json", "--count", "1e9", "--device")
    told = harness(*words, BOARD)
    an_image_mj = energy_mj(root) / BATCH
    kg = an_image_mj * 1e9 / 3.6e9 * KG_A_KWH
    assert f"{an_image_mj:.4g} mJ an inference" in told
    assert f"{energy_mj(root):.4g} mJ a run of a batch of {BATCH} images" in told
    assert f"1,000,000,000 of them {kg:.3g} kg CO2e; PUE 1 (an edge device" in told
    alone = harness(*words, "raspberry-pi-5")
    assert f"{energy_mj(root):.4g} mJ an inference (predicted from measured blocks), " in alone


def test_a_server_is_where_place_says_and_a_board_never_in_a_data_centre(root: Path) -> None:
    (root / "devices").mkdir()
    server = 'title = "S"\ntransport = "ssh"\nruntime = "torch"\n[ssh]\nhost = "s"\n'
    (root / "devices/server.toml").write_text(server)
    save_tables(root, "server", 1)
    words = ("carbon", "inferences", "--arch", "arch.json", "--place", "data-centre", "--device")
    assert "kg CO2e; PUE 1.58 (a data centre" in harness(*words, "server")
    assert "kg CO2e; PUE 1 (an edge device" in harness(*words, BOARD)
    assert "kg CO2e; PUE 1 (an office" in harness(*words[:4], "--device", "server")
    assert "kg CO2e; PUE 1.2 (as stated" in harness(*words, BOARD, "--pue", "1.2")


@pytest.mark.usefixtures("figures_of_pages_alone")
def test_a_request_says_what_it_takes_and_what_an_image_takes(root: Path) -> None:
    lines = harness("breakdown", "--device", BOARD, "--arch", "arch.json").splitlines()
    ms, mj = latency_ms(root), energy_mj(root)
    assert lines[1] == (
        f"one request of a batch of {BATCH} images: 1 network(s), {ms:.4g} ms "
        f"({ms / BATCH:.4g} ms an image), {mj:.4g} mJ ({mj / BATCH:.4g} mJ an image)"
    )
    with (root / f"reports/{BOARD}.digits/breakdown.csv").open(newline="") as file:
        assert {row["images_per_run"] for row in csv.DictReader(file)} == {str(BATCH)}


@pytest.mark.usefixtures("figures_of_pages_alone")
@pytest.mark.parametrize("device", ["raspberry-pi-5", "older"])
def test_where_a_run_has_one_image_nothing_is_said_by_depth(root: Path, device: str) -> None:
    (root / "by_depth.py").write_text("def accuracy(arch):\n    return 60 + 2 * sum(arch.depths)\n")
    searched = ("--device", device, "--accuracy", "by_depth:accuracy", "--quick")
    told = [
        harness("breakdown", "--device", device, "--arch", "arch.json"),
        harness("tables", "show", device),
        harness("carbon", "inferences", "--device", device, "--arch", "arch.json"),
        harness("search", *searched, "--max-latency-ms", "2"),
        harness("search", *searched, "--front"),
    ]
    for text in told:
        assert not re.search("batch|an image|images_per_run|images", text), text
    page = (root / f"reports/{device}.digits/index.html").read_text()
    assert "ms an image</th>" not in page
    assert "Budgets and latencies are of a run" not in page


@pytest.mark.usefixtures("figures_of_pages_alone")
def test_fronts_and_answers_have_the_latency_of_an_image_beside_that_of_a_run(root: Path) -> None:
    (root / "by_depth.py").write_text("def accuracy(arch):\n    return 60 + 2 * sum(arch.depths)\n")
    words = ("search", "--device", BOARD, "--accuracy", "by_depth:accuracy", "--quick")
    best = json.loads(harness(*words, "--max-latency-ms", "0.3"))
    assert best["images_per_run"] == BATCH
    assert best["latency_ms_an_image"] == pytest.approx(best["latency_ms"] / BATCH, abs=1e-5)
    assert 0.3 / BATCH < best["latency_ms"] <= 0.3  # the limit is of a run
    listed = harness(*words, "--front")
    front = Front.load(root / f"reports/{BOARD}.digits/front.json")
    assert front.images_per_run == BATCH
    assert f"runs of a batch of {BATCH} images" in listed
    assert re.search(r"ms an\b", listed)  # the heading has two lines in 80 columns
    page = (root / f"reports/{BOARD}.digits/index.html").read_text()
    match = re.search(r'id="data">(.*?)</script>', page)
    assert match
    assert json.loads(match[1])["fronts"][0]["images_per_run"] == BATCH
    assert "Budgets and latencies are of a run" in page
    for point in front.points:
        an_image = f"{point.latency_ms / BATCH:.4g}"
        assert an_image in listed
        assert f"<td>{an_image}</td>" in page
    with (root / f"reports/{BOARD}.digits/pareto.csv").open(newline="") as file:
        assert {row["images_per_run"] for row in csv.DictReader(file)} == {str(BATCH)}
    assert f"runs of a batch of {BATCH} images" in harness("tables", "show", BOARD)


def of_batch(device: str, batch: int) -> Front:
    front = some_front(device)
    identity = front.settings["device"]["identity"] | {"batch": batch}
    return replace(front, settings=front.settings | {"device": {"title": "", "identity": identity}})


def test_devices_of_different_batches_are_compared_by_the_image_too(tmp_path: Path) -> None:
    fronts = [of_batch("phone", 1), of_batch("gpu", 64)]
    page = save_devices_page([shown(each) for each in fronts], [], [], tmp_path).read_text()
    ends = [point.latency_ms_measured or 0.0 for point in fronts[1].points]
    assert f"<td>64</td><td>{min(ends) / 64:.3g}&ndash;{max(ends) / 64:.3g}</td>" in page
    _, svg, _, data = save_fronts(fronts, tmp_path)
    assert "gpu of a batch of 64 images" in svg.read_text()
    with data.open(newline="") as file:
        batches = {(row["device"], row["images_per_run"]) for row in csv.DictReader(file)}
    assert batches == {("phone", "1"), ("gpu", "64")}


def test_a_card_has_both_latencies() -> None:
    facts: dict[str, Any] = {
        "space": "digits",
        "macs": 1e6,
        "params": 1e6,
        "peak_activations_bytes": {"float32": 4000, "int8": 1000},
        "classes": ["0", "1"],
        "preprocessing": {"resolution": 12, "mean": [0], "std": [1]},
        "files": [],
        "data": None,
        "judged_on": 0,
        "versions": {},
        "harness": "0",
        "latency": {
            "device": BOARD,
            "network": "front:1",
            "images_per_run": BATCH,
            "predicted_ms": 8.0,
            "told": "measured",
            "measured_ms": 16.0,
            "measured_ms_interval": (15.0, 17.0),
            "seen_ms": {"p90": (20.0, 18.0, 23.0)},
            "accuracy": None,
        },
    }
    text = card(facts)
    assert (
        "16 ms (1 ms an image) measured at full speed (15 to 17), 8 ms (0.5 ms an image) predicted"
        in text
    )
    assert "p90 20 ms (18 to 23)" in text
    assert f"both of a run of a batch of {BATCH} images" in text


def test_a_users_network_and_baselines_have_both_latencies_too() -> None:
    halves = dict.fromkeys(("first_half_ns", "second_half_ns"), 16_000_000)
    spread = {"lower_quartile_ns": 18_000_000, "median_ns": 32_000_000, "max_ns": 40_000_000}
    ends = {"value_ns": 16_000_000, "low_ns": 15_000_000, "high_ns": 17_000_000}
    times = {**ends, **halves, **spread, "visits": 2, "runs": 6}
    result: dict[str, Any] = {
        "model": {"name": "mine.pt"},
        "device": BOARD,
        "identity": {"clock": "device", "batch": BATCH},
        "statistics": {"device": times, "wall": times | {"p90_ns": 48_000_000}},
        "suspect": [],
        "campaign": {},
    }
    told = describe(result)
    assert f"runs of a batch of {BATCH} images: 16.0000 ms (1 ms an image)" in told
    assert "on the wall clock p90 48.0000 ms (3 ms an image)" in told
    theirs = describe(result | {"model": {"name": "mine.onnx"}})
    assert "unless the file has its own: 16.0000 ms at" in theirs  # how many images, nobody knows
    table = made_baselines()
    assert "ms (0.0625 ms an image)" in describe_baselines(table)


def made_baselines() -> Table:
    from harness.networks.baselines import BASELINES
    from tests.tables.test_calibration import record

    rng = np.random.default_rng(0)
    records = tuple(record("network", each.blocks, 1e6, 0, rng) for each in BASELINES)
    facts = {"c": {"rounds": 5, "started_at": "2026-01-01", "environment": {}}}
    return Table(BOARD, "baselines", {"clock": "wall", "batch": BATCH}, facts, records)


def test_energies_of_another_batch_are_not_put_beside_latencies(root: Path) -> None:
    path = root / f"tables/{BOARD}.digits.energy.jsonl"
    table = Table.load(path)
    replace(table, identity=table.identity | {"batch": 1}).save(path)
    told = harness("breakdown", "--device", BOARD, "--arch", "arch.json")
    assert "without energies: " in told
    assert "mJ" not in told
    with pytest.raises(TableError, match="of 1 images a run, its latencies of 16"):
        harness("carbon", "inferences", "--device", BOARD, "--arch", "arch.json")


@pytest.mark.parametrize("batch", [0, "many", None])
def test_a_batch_that_is_no_number_of_images_is_one_clear_error(root: Path, batch: object) -> None:
    path = root / f"tables/{BOARD}.digits.jsonl"
    table = Table.load(path)
    replace(table, identity=table.identity | {"batch": batch}).save(path)
    with pytest.raises(TableError, match="header"):
        Table.load(path)
