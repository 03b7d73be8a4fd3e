"""A table of kernels is measured, gone on with, and predicts model files of anybody."""

import json
import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

from harness.cli.terminal import Terminal
from harness.cli.words.model_prediction import describe
from harness.device.device import Device
from harness.effort import FULL
from harness.errors import DeviceError, TableError
from harness.graphs.networks import KnownNetwork, anchors, known_networks, prior
from harness.graphs.reading import (
    KERNEL_RUNTIMES,
    ONNXRUNTIME,
    OPENVINO,
    KernelRuntime,
    read_model,
)
from harness.measuring.plan import Plan
from harness.pipeline import kernels as step
from harness.pipeline.job import Run
from harness.pipeline.predict_model import predict_models
from harness.predictors import kernel_fit, kernel_networks
from harness.predictors.kernel_regression import FEWEST
from harness.runtimes.model_inputs.asked import NOTHING_ASKED
from harness.runtimes.onnxruntime import open_session
from harness.runtimes.options import RuntimeOptions
from harness.spaces.digits import DIGITS
from harness.spaces.kernel import Kernel
from harness.tables.table import Table
from harness.transports.local import LocalTransport
from harness.workspace import Workspace
from tests.command_line import harness
from tests.graphs.test_by_onnxruntime import residual, save, weights

DEVICE = "cpu-onnxruntime"
SIZES = (7, 8, 10, 12, 14, 16, 20, 24)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a table of a few kernels, from small networks."""
    folder = tmp_path_factory.mktemp("kernels")
    networks = []
    for size in SIZES:
        graph = read_model(residual(folder / f"{size}.onnx", size))
        told = ("residual", str(size), graph.kernels, graph.sources, True)
        networks.append(KnownNetwork(*told))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(step, "PLAN", Plan(3, 3, 3, 0.5, 0.0, len(SIZES)))
        patch.setattr(step, "prior", lambda _: {k: 1 for each in networks for k in each.kernels})
        patch.setattr(step, "anchors", lambda *_: networks)
        patch.setattr(kernel_networks, "known_networks", lambda _: ())
        job = Run(Workspace(folder), DIGITS, Terminal(quiet=True), FULL)
        step.measure_kernels(job, Device.find(DEVICE, folder))
        again = step.measure_kernels(job, Device.find(DEVICE, folder))
    assert len(again.campaigns) == 1  # nothing was left to be timed
    return folder


def test_later_waves_are_compared_by_kernels_of_the_first(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tables").mkdir()
    there = root / "tables" / f"{DEVICE}.kernels.jsonl"
    shutil.copy(there, tmp_path / "tables")
    before = Table.load(there)
    (base,) = before.campaigns
    more = read_model(residual(tmp_path / "40.onnx", 40)).kernels
    known = {block for record in before.records for block in record.blocks}
    monkeypatch.setattr(step, "PLAN", Plan(3, 3, 3, 0.5, 0.0, len(SIZES)))
    monkeypatch.setattr(step, "prior", lambda _: dict.fromkeys([*known, *more], 1))
    monkeypatch.setattr(kernel_networks, "known_networks", lambda _: ())
    job = Run(Workspace(tmp_path), DIGITS, Terminal(quiet=True), FULL)
    table = step.measure_kernels(job, Device.find(DEVICE, tmp_path))
    first, further = (
        {record.blocks[0] for record in table.select("block", table.clock, campaign)}
        for campaign in (base, next(each for each in table.campaigns if each != base))
    )
    assert set(more) <= further
    assert len(further & first) >= 5
    assert set(step._links(table)) == further & first


def test_each_kernel_is_in_the_table_and_networks_beside(root: Path) -> None:
    table = Table.load(root / "tables" / f"{DEVICE}.kernels.jsonl")
    timed = {record.blocks[0] for record in table.records if record.role == "block"}
    graph = read_model(root / "7.onnx")
    assert set(graph.kernels) <= timed
    assert sum(r.role == "anchor" for r in table.records if r.clock == table.clock) == len(SIZES)


def test_a_model_is_predicted_by_kernel(root: Path, tmp_path: Path) -> None:
    model = str(residual(tmp_path / "mine.onnx", 18))
    (told,) = predict_models(Workspace(root), [model], [DEVICE], NOTHING_ASKED, budget_ms=1e-3)
    low, high = told.latency.latency_ms_interval
    assert 0 < low < told.latency.latency_ms < high
    assert sum(part.share for part in told.latency.parts) == pytest.approx(1, abs=0.02)
    assert not told.latency.unknown
    assert all(saving.saves_ms < saving.latency_ms for saving in told.savings)
    assert any("over the budget" in line for line in describe([told], 1e-3))


def test_a_page_and_times_of_the_files_own_nodes_are_written(root: Path, tmp_path: Path) -> None:
    import onnx

    model = residual(tmp_path / "mine.onnx", 18)
    loaded = onnx.load(model)
    for node in loaded.graph.node:
        node.name = f"/block/{node.op_type}_{node.output[0]}"
    onnx.save(loaded, model)
    page, data = tmp_path / "page.html", tmp_path / "nodes.json"
    ran = harness(
        root,
        "predict",
        str(model),
        "--device",
        DEVICE,
        "--page",
        str(page),
        "--node-data",
        str(data),
    )
    assert ran.returncode == 0, ran.stderr
    assert "mine.onnx" in page.read_text()
    ((graph, told),) = json.loads(data.read_text()).items()
    assert graph == "network"
    assert told["results"].keys() <= {node.name for node in loaded.graph.node}
    assert "/block/Conv_before" in told["results"]
    assert len(told["results"]) == 2  # four nodes are one kernel, at one of them
    assert all(each["value"] > 0 for each in told["results"].values())


def test_a_fit_that_was_kept_tells_the_same(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    path, graph = root / "tables" / f"{DEVICE}.kernels.jsonl", read_model(root / "7.onnx")
    unseen = read_model(residual(tmp_path / "mine.onnx", 18))
    first = kernel_fit.fitted(path)
    with monkeypatch.context() as patch:
        patch.setattr(kernel_networks.KernelNetworks, "of", None)  # nobody fits it
        again = kernel_fit.fitted(path)
    for each in (graph, unseen):
        assert again.predict(each) == first.predict(each)
    assert again.describe() == first.describe()
    shutil.copy(path, tmp_path / "other.jsonl")
    with (tmp_path / "other.jsonl").open("a") as file:
        file.write("{")
    with pytest.raises(TableError):
        kernel_fit.fitted(tmp_path / "other.jsonl")


def test_whether_full_speed_was_met_counts_where_networks_were_timed(root: Path) -> None:
    table = Table.load(root / "tables" / f"{DEVICE}.kernels.jsonl")
    ((with_networks, facts),) = table.campaigns.items()
    at_full_speed = {with_networks: dict(facts) | {"missed": 0.0}}
    later = at_full_speed | {"later": dict(facts) | {"missed": 0.5}}
    slowly = {with_networks: dict(facts) | {"missed": 0.5}}
    levels = [
        kernel_networks.KernelNetworks.of(replace(table, campaigns=campaigns)).level
        for campaigns in (at_full_speed, later, slowly)
    ]
    assert levels[0] == levels[1] < 0.5 < levels[2]


def test_an_operator_that_is_not_in_the_table_is_named_and_not_counted(
    root: Path, tmp_path: Path
) -> None:
    from onnx import helper

    nodes = [
        helper.make_node("Conv", ["images", "w"], ["made"], pads=[1, 1, 1, 1]),
        helper.make_node("Celu", ["made"], ["out"]),
    ]
    model = save(tmp_path / "m.onnx", nodes, [weights("w", 64, 64, 3, 3)], 14)
    ran = harness(root, "predict", str(model), "--device", DEVICE)
    assert ran.returncode == 0, ran.stderr
    assert "more than the" in ran.stdout
    assert "not counted: " in ran.stdout
    told = json.loads(harness(root, "predict", str(model), "--device", DEVICE, "--json").stdout)
    assert not told[0]["whole"]
    assert told[0]["latency_ms_interval"] is None
    assert told[0]["unknown_operators"]
    rows = harness(root, "predict", str(model), "--device", DEVICE, "--csv").stdout.splitlines()
    assert len(rows) == 1 + len(told[0]["kernels"])


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["missing.onnx", "--device", DEVICE], 2, "no file"),
        (["7.onnx", "--budget", "30"], 2, "no time of a run"),
        (["7.onnx", "--device", "cpu-ncnn"], 3, "not of ncnn"),
        (["7.onnx", "--device", "cpu-litert"], 2, ".tflite files"),
        (["7.onnx", "--from-device", "cpu"], 2, "--from-device"),
        (["7.onnx", "8.onnx", "--node-data", "x.json"], 2, "one .onnx file"),
        (["7.onnx", "--node-data", "7.onnx"], 2, "would replace the model"),
    ],
)
def test_what_cannot_be_told_is_one_line(
    root: Path, words: list[str], code: int, said: str
) -> None:
    ran = harness(root, "predict", *words)
    assert ran.returncode == code
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_a_table_of_a_space_is_none_of_kernels() -> None:
    with pytest.raises(TableError, match="not of kernels"):
        kernel_networks.KernelNetworks.of(Table("cpu", "digits", {}, {}, ()))


def test_kernels_of_other_runtimes_are_not_known(tmp_path: Path) -> None:
    job = Run(Workspace(tmp_path), DIGITS, Terminal(quiet=True), FULL)
    with pytest.raises(DeviceError, match="not of ncnn"):
        step.measure_kernels(job, Device.find("cpu-ncnn", tmp_path))


def test_kernels_of_torch_are_known_as_programs_were_exported_and_on_cpus(tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    (tmp_path / "devices" / "mine.toml").write_text(
        'title = "x"\nextends = "cpu"\n[torch]\nmemory_format = "channels_last"\n'
    )
    job = Run(Workspace(tmp_path), DIGITS, Terminal(quiet=True), FULL)
    with pytest.raises(DeviceError, match="channels_last"):
        step.measure_kernels(job, Device.find("mine", tmp_path))


@pytest.mark.parametrize("runtime", KERNEL_RUNTIMES.values())
def test_networks_that_ship_are_of_many_families(runtime: KernelRuntime) -> None:
    assert len({network.family for network in known_networks(runtime)}) >= 15


@pytest.mark.parametrize(
    ("runtime", "op"),
    [
        *((ONNXRUNTIME, op) for op in ("AveragePool", "GlobalMaxPool", "ReduceMean", "ReduceSum")),
        *((ONNXRUNTIME, op) for op in ("Slice", "Resize", "LSTM", "Cast", "Equal", "LogSoftmax")),
        *((ONNXRUNTIME, op) for op in ("GatherElements", "PRelu", "SimplifiedLayerNormalization")),
        *((OPENVINO, op) for op in ("RMS", "Mod", "GatherElements", "Interpolate")),
    ],
)
def test_operators_that_known_networks_have_seldom_are_timed_in_many_sizes(
    runtime: KernelRuntime, op: str
) -> None:
    assert sum(kernel.name == op for kernel in prior(runtime)) >= FEWEST


def test_signs_that_a_processor_knows_by_heart_are_not_timed() -> None:
    sloped = [kernel for kernel in prior(ONNXRUNTIME) if kernel.name == "PRelu"]
    assert min(kernel.outputs[0].size for kernel in sloped) >= 2**17


def test_networks_that_calibrate_are_of_many_families_and_some_are_small() -> None:
    every = anchors(ONNXRUNTIME, 1000)
    some = anchors(ONNXRUNTIME, 32)
    work = sorted(sum(kernel.macs for kernel in network.kernels) for network in every)
    small = [n for n in some if sum(kernel.macs for kernel in n.kernels) <= work[7]]
    assert len(some) == len({(n.family, n.name) for n in some}) == 32
    assert len(small) == 8
    assert {n.family for n in some} == {n.family for n in every}


@pytest.mark.parametrize(
    "key",
    [
        "kernel-Cast;int64[1,17];to=1;>float32[1,17]",
        "kernel-Equal;int32[1,64];int32{}(3);>bool[1,64]",
        "kernel-And;bool[1,8,8];bool[1,8,8];>bool[1,8,8]",
        "kernel-Gather;float32{100,32};int64[1,16];axis=0;>float32[1,16,32]",
    ],
)
def test_what_takes_whole_numbers_or_truth_values_alone_is_timed(key: str) -> None:
    with closing(open_session(LocalTransport(), RuntimeOptions(cpus="one"))) as session:
        samples = session.visit((Kernel.parse(key),), runs=3)
    assert min(samples.values["thread"]) > 0


def test_kernels_of_equal_sizes_are_each_timed_once() -> None:
    slices = [
        Kernel.parse(f"kernel-Slice;float32[1,8,4];int64{{1}}({start});>float32[1,1,4]")
        for start in range(5)
    ]
    assert sorted(step._far_apart(slices, 4)) == sorted(set(step._far_apart(slices, 4)))
