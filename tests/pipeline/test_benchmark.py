"""A user's own model file, timed and watched."""

import csv
import io
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner, Result

from harness import cli
from harness.cli.terminal import Terminal
from harness.cli.words.benchmark import describe_change
from harness.device.device import Device
from harness.effort import QUICK
from harness.errors import FileFormatError, Regression, TargetFailed, UsageError
from harness.files import read_json, write_json
from harness.measuring.campaign import Campaign
from harness.measuring.plan import Plan
from harness.pipeline import benchmark as step
from harness.pipeline.job import Run
from harness.pipeline.regression import compare
from harness.reports.benchmark import describe, to_row
from harness.runtimes.conversion.cache import converted
from harness.runtimes.conversion.onnx import OnnxConverter
from harness.spaces.digits import DIGITS
from harness.workspace import Workspace
from tests.small_models import words
from tests.tables.test_calibration import record
from tests.weights_beside import save_beside

pytestmark = pytest.mark.flaky(reruns=1)  # times, while other tests run
DEVICE = "cpu-onnxruntime"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "mine.onnx"
    block = (DIGITS.distinct_blocks()[40],)
    path.write_bytes(converted(OnnxConverter(1), block).read_bytes())
    return path


@pytest.fixture(scope="module")
def result(model: Path) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "PLAN", Plan(10, 12, 3, 0.1, 0.0, 0, sustain_s=30.0))
        job = Run(Workspace(model.parent), DIGITS, Terminal(), QUICK)
        return step.benchmark(job, Device.find(DEVICE, model.parent), model)


def slower(result: dict[str, Any], factor: float, *parts: str) -> dict[str, Any]:
    """The result as if it had been made on a day when `parts` took so much longer."""

    def scaled(value: Any, name: str = "_ns") -> Any:
        if isinstance(value, dict):
            return {each: scaled(inner, each) for each, inner in value.items()}
        return round(value * factor) if name.endswith("_ns") or "-" in name else value

    return result | {part: scaled(result[part]) for part in parts}


def test_a_result_says_what_was_timed_where_and_how_well(
    result: dict[str, Any], tmp_path: Path
) -> None:
    times = result["statistics"]["thread"]
    assert 0 < times["low_ns"] <= times["value_ns"] <= times["high_ns"]
    seen = result["statistics"]["wall"]
    assert seen["value_ns"] <= seen["p50_ns"] <= seen["p90_ns"]
    assert seen["sustained_ns"] > 0
    assert result["identity"]["runtime"] == "onnxruntime"
    assert result["campaign"]["environment"]["onnxruntime"]
    assert "mine.onnx on cpu-onnxruntime" in describe(result)
    write_json(tmp_path / "kept.json", result)
    assert step.load(tmp_path / "kept.json") == read_json(tmp_path / "kept.json")


def test_a_slower_machine_is_told_apart_from_a_slower_model(result: dict[str, Any]) -> None:
    machine = compare(result, slower(result, 1.4, "statistics", "reference", "references"))
    assert machine.ratio == pytest.approx(1.4, rel=1e-3)
    assert machine.machine == pytest.approx(1.4, rel=1e-3)
    assert machine.interval[0] < 1 < machine.interval[1]
    model = compare(result, slower(result, 3.0, "statistics"))
    assert model.machine == pytest.approx(1.0)
    assert model.beyond == pytest.approx(3.0, rel=1e-3)
    assert 1.05 < model.interval[0] < model.beyond


def test_a_baseline_of_an_older_version_is_compared_by_its_one_reference_block(
    result: dict[str, Any],
) -> None:
    older = {name: value for name, value in result.items() if name != "references"}
    compared = compare(older, slower(result, 1.2, "statistics", "reference"))
    assert compared.machine == pytest.approx(1.2, rel=1e-3)
    assert compared.beyond == pytest.approx(1.0, rel=1e-3)


def test_what_users_see_is_compared_on_the_wall_clock_and_the_machine_is_not_taken_out(
    result: dict[str, Any],
) -> None:
    compared = compare(result, slower(result, 3.0, "statistics", "references"), "p90")
    assert compared.machine is None
    assert compared.beyond == pytest.approx(3.0, rel=1e-3)
    assert "p90" in describe_change(compared)
    times = {"wall": {n: v for n, v in result["statistics"]["wall"].items() if n != "p90_ns"}}
    with pytest.raises(UsageError, match="p90 on the wall clock"):
        compare(result | {"statistics": result["statistics"] | times}, result, "p90")


def test_a_baseline_of_another_file_is_compared_and_said_to_be(result: dict[str, Any]) -> None:
    assert "another file" not in describe_change(compare(result, result))
    other = result | {"model": {"name": "old.onnx", "sha256": "0123456789abcdef"}}
    told = describe_change(compare(other, result))
    assert "the baseline is of another file: old.onnx (sha256 0123456789ab), this is" in told


def test_a_baseline_of_other_settings_is_refused_before_anything_is_timed(
    result: dict[str, Any], model: Path, tmp_path: Path
) -> None:
    other = result | {"identity": result["identity"] | {"num_threads": 2}}
    write_json(tmp_path / "old.json", other)
    started = time.monotonic()
    ended = benchmarked(model, "--baseline", str(tmp_path / "old.json"))
    assert isinstance(ended.exception, FileFormatError)
    assert len(str(ended.exception)) < 300
    assert time.monotonic() - started < 5


def test_results_of_other_settings_are_refused(result: dict[str, Any]) -> None:
    other = result | {"identity": result["identity"] | {"num_threads": 2}}
    with pytest.raises(FileFormatError, match=r"another .*setting \(num_threads 2 then, 1 now\)"):
        compare(other, result)
    with pytest.raises(FileFormatError, match="not whole"):
        compare(result | {"statistics": {}}, result)


def test_a_ci_job_fails_where_the_model_became_slower(
    result: dict[str, Any], model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_json(tmp_path / "old.json", slower(result, 0.5, "statistics"))
    monkeypatch.setattr(step, "PLAN", Plan(6, 12, 3, 0.1, 0.0, 0))
    arguments = ["benchmark", str(model), "--device", DEVICE, "--root", str(tmp_path)]
    baseline = ["--baseline", str(tmp_path / "old.json"), "--fail-above", "5%"]
    ended = CliRunner().invoke(cli.app, [*arguments, *baseline])
    # A machine that was disturbed meanwhile says so instead.
    assert isinstance(ended.exception, Regression) or "suspect: " in ended.stderr
    assert isinstance(
        CliRunner().invoke(cli.app, [*arguments, "--fail-above", "5%"]).exception, UsageError
    )


def test_each_reason_to_doubt_is_told_once_of_the_model_where_it_has_it(
    rng: np.random.Generator,
) -> None:
    own = replace(record("network", (), 1e6, 0, rng), suspect=("busy (3 of 9 visits)",))
    block = DIGITS.distinct_blocks()[:1]
    other = replace(
        record("block", block, 1e6, 0, rng), suspect=("busy (8 of 9 visits)", "hot (1 of 9 visits)")
    )
    told = step.result_of({}, "cpu", {}, Campaign("c", {}, (own, other)), [own])
    assert told["suspect"] == ["busy (3 of 9 visits)", "hot (1 of 9 visits)"]


@pytest.mark.parametrize(("suspect", "red"), [([], True), (["the machine was busy"], False)])
def test_a_slower_model_on_a_disturbed_machine_is_suspect_and_not_red(
    result: dict[str, Any],
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    suspect: list[str],
    red: bool,
) -> None:
    """Of a run that was kept, as what is timed here may be disturbed itself."""
    write_json(tmp_path / "old.json", slower(result, 0.5, "statistics"))
    monkeypatch.setattr(step, "benchmark", lambda *_: result | {"suspect": suspect})
    options = ["--baseline", str(tmp_path / "old.json"), "--fail-above", "5%", "--markdown"]
    ended = benchmarked(model, *options)
    assert isinstance(ended.exception, Regression) == red
    assert ("suspect: " in ended.stderr) != red
    assert ended.stdout.startswith("| model | device |")
    assert "times as long as the baseline" in ended.stdout


def benchmarked(model: Path, *options: str) -> Result:
    arguments = ["benchmark", str(model), "--device", DEVICE, "--root", str(model.parent)]
    return CliRunner().invoke(cli.app, [*arguments, *options])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "PLAN", Plan(6, 12, 3, 0.1, 0.0, 0))


@pytest.mark.usefixtures("quick")
def test_what_a_model_was_fed_with_is_told_and_kept_and_others_are_not_compared(
    tmp_path: Path,
) -> None:
    model, kept = words(tmp_path / "words.onnx"), tmp_path / "kept.json"
    short = benchmarked(model, "--dim", "sequence=8", "--input", "mask=1", "--output", str(kept))
    told = "int64 [1, 8] (batch = 1, the batch of the profile), "
    assert (
        f"words.onnx: input ids: {told}values in 0..29999; input segments: {told}" in short.stdout
    )
    inputs = {each.pop("name"): each for each in read_json(kept)["fed"]["inputs"]}
    assert [each["values"] for each in inputs.values()] == [
        "values in 0..29999",
        "values in 0..1",
        "value 1",
    ]
    assert inputs["ids"]["shape"] == [1, 8]
    for others in (["sequence=9", "mask=1"], ["sequence=8", "mask=0"]):
        dim, value = others
        ended = benchmarked(model, "--dim", dim, "--input", value, "--baseline", str(kept))
        assert isinstance(ended.exception, FileFormatError)
        assert "only times of equal inputs can be compared" in str(ended.exception)
    alike = ["--dim", "sequence=8", "--input", "mask=1", "--baseline", str(kept)]
    assert benchmarked(model, *alike).exit_code == 0
    old = read_json(kept)
    del old["fed"]
    write_json(kept, old)  # whatever it was fed with: zeros, then
    assert "does not tell what the model was fed" in str(benchmarked(model, *alike).exception)


def test_an_older_baseline_is_compared_where_nothing_was_chosen(result: dict[str, Any]) -> None:
    older = {name: value for name, value in result.items() if name != "fed"}
    assert result["fed"]["inputs"][0]["values"] == "random numbers"
    assert compare(older, result).ratio == 1.0


@pytest.mark.usefixtures("quick")
def test_files_are_known_by_suffixes_in_capitals_and_by_links(model: Path, tmp_path: Path) -> None:
    """Hubs keep files under names without suffixes, and link to them."""
    (tmp_path / "e3b0c442").write_bytes(model.read_bytes())
    link = tmp_path / "MODEL.ONNX"
    link.symlink_to(tmp_path / "e3b0c442")
    ended = benchmarked(link, "--ops")
    assert ended.exit_code == 0, ended.exception
    assert "MODEL.ONNX on cpu-onnxruntime" in ended.stdout


@pytest.mark.usefixtures("quick")
def test_throughput_is_told_for_streams_side_by_side(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "STREAMS_S", 0.2)
    ended = benchmarked(model, "--streams", "2", "--output", str(tmp_path / "kept.json"))
    assert "runs/s in 2 streams side by side" in ended.stdout
    kept = step.load(tmp_path / "kept.json")
    assert kept["throughput"]["streams"] == 2
    assert to_row(kept)["runs_per_s"] > 0
    refused = simulated(tmp_path, *network_files(tmp_path)[:1], "--streams", "2")
    assert "--streams: dpu runs one stream alone" in str(refused.exception)


@pytest.mark.usefixtures("quick")
def test_mlperfs_scenarios_are_played_by_its_load_generator(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("mlperf_loadgen")
    monkeypatch.setattr(step, "PLAYED_S", 0.3)
    names = ("single-stream", "multi-stream", "offline")
    words = [word for name in names for word in ("--scenario", name)]
    ended = benchmarked(model, *words, "--output", str(tmp_path / "kept.json"))
    assert "MLPerf's single-stream: 90 % of queries within" in ended.stdout
    single, several, offline = step.load(tmp_path / "kept.json")["scenarios"]
    assert (single["scenario"], several["scenario"], offline["scenario"]) == names
    assert single["value"] < several["value"]  # of eight runs
    assert 0.1 < offline["value"] * single["value"] / 1e9 < 10
    assert isinstance(benchmarked(model, "--scenario", "server").exception, UsageError)


def test_network_files_of_ours_take_no_sizes(tmp_path: Path) -> None:
    (tmp_path / "network.pt").touch()
    ended = benchmarked(tmp_path / "network.pt", "--dim", "height=3")
    assert isinstance(ended.exception, UsageError)


@pytest.mark.parametrize(
    ("name", "error"), [("model.tflite", UsageError), ("missing.onnx", FileFormatError)]
)
def test_files_that_the_device_does_not_run_are_refused(
    name: str, error: type[Exception], tmp_path: Path
) -> None:
    job = Run(Workspace(tmp_path), DIGITS, Terminal(), QUICK)
    with pytest.raises(error):
        step.benchmark(job, Device.find(DEVICE, tmp_path), tmp_path / name)


def checkpoint_of_others(path: Path) -> None:
    """As those of YOLO: the module itself, pickled."""
    torch.save({"model": torch.nn.Linear(2, 2)}, path)


def torchscript(path: Path) -> None:
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))


def weights_of_others(path: Path) -> None:
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)


def text(path: Path) -> None:
    path.write_text("not even torch's")


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("write", [checkpoint_of_others, torchscript, weights_of_others, text])
@pytest.mark.parametrize("device", [DEVICE, "cpu", "cpu-litert", "zu3eg"])
def test_whoever_brings_a_pt_file_of_others_is_told_to_export_it_and_never_to_delete_it(
    write: Callable[[Path], None], device: str, tmp_path: Path
) -> None:
    write(tmp_path / "yolo.pt")
    arguments = [str(tmp_path / "yolo.pt"), "--device", device, "--root", str(tmp_path)]
    error = CliRunner().invoke(cli.app, ["benchmark", *arguments]).exception
    assert isinstance(error, FileFormatError)
    assert error.exit_code == 3
    assert "not a network file of harness" in str(error)
    assert "export it" in str(error)
    assert "delete" not in str(error)


def test_other_weights_beside_a_model_are_another_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "PLAN", Plan(3, 3, 2, 0.1, 0.0, 0))
    found = []
    for more in (0, 1):
        weights = np.eye(8, dtype=np.float32) + more
        model = save_beside(weights, tmp_path / "model.onnx", "weights.bin")
        job = Run(Workspace(tmp_path), DIGITS, Terminal(), QUICK)
        found.append(step.benchmark(job, Device.find(DEVICE, tmp_path), model)["model"])
    assert found[0]["name"] == found[1]["name"]
    assert found[0]["sha256"] != found[1]["sha256"]


def test_a_result_says_how_the_model_starts_anew(result: dict[str, Any], model: Path) -> None:
    started = result["start"]
    assert {name: len(values) for name, values in started.items()} == dict.fromkeys(
        ("load_ms", "first_ms", "memory_mb"), step.STARTS
    )
    assert all(value > 0 for name in ("load_ms", "first_ms") for value in started[name])
    assert "started anew 3 times: loads in" in describe(result)
    row = to_row(result)
    assert (row["model"], row["evidence"], row["images_per_run"]) == (model.name, "measured", 1)
    assert row["full_ms_low"] < row["full_ms"] < row["full_ms_high"]


def simulated(tmp_path: Path, *words: str) -> Result:
    """On a device where nothing is waited for."""
    given = ["benchmark", *words, "--device", "zu3eg", "--root", str(tmp_path)]
    return CliRunner().invoke(cli.app, given)


def network_files(folder: Path) -> list[str]:
    paths = [folder / f"{name}.pt" for name in "ab"]
    for path in paths:
        arch = folder / "arch.json"
        arch.write_text('{"r":16,"d":[1,1,1],"ks":[3,0,0,3,0,0,3,0,0],"e":[3,0,0,3,0,0,3,0,0]}')
        words = ["extract", str(arch), str(path), "--weights", "init", "--root", str(folder)]
        assert CliRunner().invoke(cli.app, words).exit_code == 0
    return [str(path) for path in paths]


def test_several_models_are_one_table_and_simulated_times_have_no_interval(tmp_path: Path) -> None:
    files = network_files(tmp_path)
    shown = simulated(tmp_path, *files)
    assert shown.exit_code == 0, shown.output
    assert "zu3eg: simulated, fitted to" in shown.output
    rows = list(csv.DictReader(io.StringIO(simulated(tmp_path, *files, "--csv").stdout)))
    assert [row["model"] for row in rows] == ["a.pt", "b.pt"]
    assert {row["full_ms_low"] for row in rows} == {""}
    assert all(row["evidence"].startswith("simulated") for row in rows)


def test_what_is_wrong_with_one_of_several_is_said_before_anything_is_timed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, _) = network_files(tmp_path)
    monkeypatch.setattr(step, "benchmark", lambda *_: pytest.fail("it was timed"))
    ended = simulated(tmp_path, first, str(tmp_path / "nothere.pt"))
    assert "nothere.pt" in str(ended.exception)


def test_what_was_timed_is_shown_where_a_later_one_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = network_files(tmp_path)
    real = step.benchmark

    def failing(job: Run, device: Device, model: Path, **asked: Any) -> dict[str, Any]:
        if model.name == "b.pt":
            raise TargetFailed("it broke")
        return real(job, device, model, **asked)

    monkeypatch.setattr(step, "benchmark", failing)
    ended = simulated(tmp_path, first, second, "--csv")
    assert isinstance(ended.exception, TargetFailed)
    assert [row["model"] for row in csv.DictReader(io.StringIO(ended.stdout))] == ["a.pt"]
