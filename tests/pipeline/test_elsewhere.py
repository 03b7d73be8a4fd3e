import json
import os
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from harness.cli import app
from harness.errors import TableError, UsageError
from harness.networks.baselines import BASELINES
from harness.pipeline.elsewhere import from_own_device, rescaled_off
from harness.pipeline.import_export import import_published
from harness.pipeline.networks import network_named
from harness.pipeline.predict import predict
from harness.tables.imported import ImportedDevice, ImportedDevices, NetworkTime, load_all
from harness.tables.record import Record, Statistics
from harness.tables.table import Table
from tests.pipeline.test_import_export import SPACE, job, measured

__all__ = ["measured"]  # a fixture
DATA = Path(os.environ.get("HARNESS_DATA", Path(__file__).parents[3] / "shared" / "data"))
COMMON = [baseline for baseline in BASELINES if baseline.published_as]
NAMES = [baseline.published_as[0] for baseline in COMMON]


def device(number: int, factor: float, networks: list[str]) -> ImportedDevice:
    rng = np.random.default_rng(number)
    times = {
        name: NetworkTime(factor * (n + 1) * float(np.exp(0.03 * rng.normal())))
        for n, name in enumerate(NAMES)
        if name in networks
    }
    return ImportedDevice(f"phone-{number}", f"Phone {number}", "ncnn", "cpu", times)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    others = [device(number, 1.0 + number, NAMES) for number in range(30)]
    target = device(99, 5.0, NAMES[:2])
    found = ImportedDevices("x-published", "somebody", (*others, target))
    found.save(tmp_path / "tables" / "imported" / "x-published.jsonl")
    return tmp_path


def predicted(root: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["predict", *words, "--root", str(root)])


def test_what_is_published_is_told_as_it_is_and_the_rest_by_other_devices(root: Path) -> None:
    done = predicted(root, *NAMES, "--device", "imported:phone-99", "--json")
    assert done.exit_code == 0, done.output
    told = {each["network"]: each for each in json.loads(done.stdout)}
    assert told[NAMES[0]]["latency_ms_interval"] is None
    assert "imported from somebody" in told[NAMES[0]]["rests_on"]
    for n, name in enumerate(NAMES[2:], start=3):
        low, high = told[name]["latency_ms_interval"]
        assert low < 5.0 * n < high
        # Three times what 3 % of noise on each of two known networks and on this one come to.
        assert told[name]["latency_ms"] == pytest.approx(5.0 * n, rel=3 * 0.03 * 1.5**0.5)


def test_a_network_that_nobody_timed_is_one_line(root: Path) -> None:
    done = predicted(root, "nothing", "--device", "imported:phone-99")
    assert isinstance(done.exception, TableError)
    assert "too few imported devices have times of both nothing" in str(done.exception)


def own_baselines(root: Path, factor: float) -> None:
    """Published networks timed on one's own device, where each takes `factor` of a first phone."""
    records = []
    for n, baseline in enumerate(COMMON):
        value = round((n + 1) * factor * 1e6)
        times = Statistics(value, value, value, value, value, None, None, None, 9, 45)
        records.append(Record("network", baseline.blocks, None, "latency", "wall", "c", times))
    facts = {"c": {"started_at": "2026-01-01", "rounds": 9, "environment": {}}}
    table = Table("cpu", "baselines", {"clock": "wall"}, facts, tuple(records))
    table.save(root / "tables" / "cpu.baselines.jsonl")


@pytest.mark.usefixtures("root")
def test_a_table_of_one_s_own_is_rescaled_to_the_imported_device(
    tmp_path: Path, measured: Table
) -> None:
    (tmp_path / "arch.json").write_text(json.dumps(SPACE.largest.to_json()))
    wanted, name = [str(tmp_path / "arch.json")], "imported:phone-99"
    own_baselines(tmp_path, 0.5)
    (found,) = from_own_device(job(tmp_path), wanted, name, measured.device)
    (here,) = predict(job(tmp_path), [network_named(job(tmp_path), "cpu", wanted[0])], "cpu", None)
    assert found.latency_ms == pytest.approx(10 * here.latency_ms, rel=0.1)
    assert found.latency_ms_interval is not None
    assert found.latency_ms_interval[0] < 10 * here.latency_ms < found.latency_ms_interval[1]
    assert "by 2 networks timed on both" in found.rests_on


@pytest.mark.usefixtures("root", "measured")
def test_without_networks_in_common_it_is_said_what_times_them(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="harness measure --baselines --device cpu"):
        from_own_device(job(tmp_path), ["x"], "imported:phone-99", "cpu")


def test_all_networks_in_common_still_leave_one_to_judge_the_interval() -> None:
    others = [device(number, 1.0 + number, NAMES) for number in range(30)]
    told = [rescaled_off(others, count) for count in (2, len(NAMES) - 1, len(NAMES))]
    assert all(off is not None and 0.03 < off < 0.3 for off in told)
    assert told[1] == told[2]
    assert rescaled_off(others[:2], 2) is None


def test_other_devices_beside_an_imported_one_are_refused(root: Path) -> None:
    for words in (
        ["a", "--device", "cpu", "--device", "imported:phone-99"],
        ["a", "--device", "cpu", "--from-device", "cpu"],
    ):
        assert isinstance(predicted(root, *words).exception, UsageError)


def test_equal_names_of_two_sources_are_told_apart_by_their_sources(root: Path) -> None:
    folder = root / "tables" / "imported"
    other = ImportedDevices("y-published", "another", (device(99, 6.0, NAMES[:1]),))
    other.save(folder / "y-published.jsonl")
    done = predicted(root, NAMES[0], "--device", "imported:phone-99")
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == (
        "'phone-99' may be 2 imported devices: x-published/phone-99, y-published/phone-99"
    )
    for name, source in (("x-published", "somebody"), ("y-published", "another")):
        done = predicted(root, NAMES[0], "--device", f"imported:{name}/phone-99", "--json")
        (told,) = json.loads(done.stdout)
        assert (told["device"], told["rests_on"]) == (f"{name}/phone-99", f"imported from {source}")
    done = predicted(root, NAMES[0], "--device", "imported:x-published/phone-1", "--json")
    assert json.loads(done.stdout)[0]["device"] == "phone-1"  # with its source all the same
    (folder / "x-published.jsonl").unlink()
    done = predicted(root, NAMES[0], "--device", "imported:y-published/phone-99", "--json")
    assert json.loads(done.stdout)[0]["device"] == "phone-99"


@pytest.mark.skipif(not (DATA / "ncnn").exists(), reason=f"no ncnn below {DATA}: set HARNESS_DATA")
def test_every_reference_file_of_ncnn_is_imported(tmp_path: Path) -> None:
    for path in sorted((DATA / "ncnn").glob("*.csv")):
        said = import_published(job(tmp_path), [path], "ncnn-published", "Tencent", form="ncnn")
        assert "whole networks, imported from Tencent" in said.notes
        (found,) = load_all(tmp_path / "tables" / "imported")
        assert len({each.name for each in found.devices}) == len(found.devices)


def test_imported_devices_are_listed_by_the_names_that_commands_take(root: Path) -> None:
    done = CliRunner().invoke(app, ["devices", "list", "--imported", "--root", str(root), "--json"])
    told = {each["name"]: each for each in json.loads(done.stdout)}
    assert told["imported:phone-99"]["evidence"] == "imported from somebody"
    found = CliRunner().invoke(app, ["list", "--root", str(root)])
    assert "31 devices in 31 settings" in " ".join(found.stdout.split())
