"""A simulated device goes the same way as any other, and says everywhere that it is simulated."""

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from harness.cli import app
from harness.cli.terminal import Terminal
from harness.cli.words.fit import fit_lines
from harness.cli.words.table import compare_devices_lines, describe_baselines, describe_table
from harness.deploy.front import Front
from harness.device.device import Device
from harness.device.profile import load_profile
from harness.effort import QUICK
from harness.errors import FileFormatError, InfeasibleConstraint, TableError, UsageError
from harness.networks.build import build_random
from harness.networks.file import NetworkFile, Preprocessing
from harness.pipeline import steps
from harness.pipeline.benchmark import benchmark
from harness.pipeline.beside import compare_imported, own_times
from harness.pipeline.first_look import latency_of
from harness.pipeline.fit import fit_device, save_fit
from harness.pipeline.import_export import export_published
from harness.pipeline.job import Run
from harness.predictors.block_table import BlockTablePredictor
from harness.reports.benchmark import describe
from harness.runtimes.dpu.architecture import Dpu
from harness.runtimes.dpu.measurements import COLUMNS
from harness.runtimes.dpu.model import network_cost
from harness.runtimes.dpu.options import DpuOptions
from harness.spaces.arch import Arch
from harness.spaces.catalogue import SPACES
from harness.spaces.convolution import convolutions
from harness.spaces.genome import encode
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_2
from harness.spaces.space import Space
from harness.tables.imported import ImportedDevice, ImportedDevices, NetworkTime
from harness.tables.table import Table, evidence
from harness.workspace import Workspace

MBV3 = SPACES["ofa-mbv3-w1.2"].at([160, 224])
RESNET = SPACES["ofa-resnet50"].at([128])
SMALL_DPU = 'title = "Small"\nextends = "zu3eg"\n[dpu]\narchitecture = "B512"\n'
BY_SIZE = "tests.pipeline.test_simulated:by_size"


def by_size(arch: Arch) -> float:
    """A made-up accuracy that rises with everything."""
    return 60 + float(sum(arch.expands)) + sum(arch.depths) / 10 + arch.resolution / 50


def job(root: Path, space: Space) -> Run:
    effort = replace(QUICK, evaluations=4000)
    return Run(Workspace(root), space, Terminal(), effort, accuracy=BY_SIZE)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With tables, and the fronts of two devices."""
    root = tmp_path_factory.mktemp("simulated")
    (root / "devices").mkdir()
    (root / "devices/small.toml").write_text(SMALL_DPU)
    for name, space in (("zu3eg", MBV3), ("small", RESNET)):
        device = Device.find(name, root)
        steps.measure(job(root, space), device)
        steps.search(job(root, space), name)
        steps.verify(job(root, space), device, None)
        steps.report(job(root, space), name)
    return root


def table_of(root: Path, name: str, space: Space) -> Table:
    return Table.load(job(root, space).workspace.table(name, space.name))


def front_of(root: Path, name: str, space: Space) -> Front:
    return Front.load(job(root, space).workspace.front(name, space.name))


def test_a_table_holds_every_block_with_the_time_of_the_cost_model(root: Path) -> None:
    table = table_of(root, "zu3eg", MBV3)
    dpu = Dpu.of(Device.find("zu3eg", root).options.of(DpuOptions))
    values = table.block_values("device")
    assert set(values) == set(MBV3.distinct_blocks())
    for block, value in values.items():
        assert value == dpu.nanoseconds(network_cost(dpu, [block]).cycles)


def test_table_catalogue_front_page_and_terminal_say_what_stands_behind_the_numbers(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, space, word in (("zu3eg", MBV3, "fitted to"), ("small", RESNET, "uncalibrated")):
        table, front = table_of(root, name, space), front_of(root, name, space)
        page = (job(root, space).workspace.report(name, space.name) / "index.html").read_text()
        told = describe_table(steps.table_state(job(root, space), table))
        Terminal().show_front(front)
        shown = [str(table.simulated), evidence(name, root / "tables"), told, page]
        shown += [str(load_profile(name, root).evidence), capsys.readouterr().out]
        for text in shown:
            assert "simulated" in text
            assert word in " ".join(text.split())
        assert not re.search(r"measured on (hardware|the device)|at full speed", page + told)


def imported(root: Path) -> list[str]:
    """Devices of others: one with networks that were timed here too, one without."""
    both = {
        "mobilenet_v2": NetworkTime(21.0, 20.0, 29.0),
        "proxylessnasnet": NetworkTime(33.0, 32.0, 34.0),
    }
    devices = (
        ImportedDevice("board", "A Board", "ncnn", "cpu", both, num_threads=4),
        ImportedDevice("phone", "A Phone", "ncnn", "cpu", {"own": NetworkTime(7.0)}),
    )
    path = Workspace(root).imported / "x-published.jsonl"
    ImportedDevices("x-published", "somebody", devices).save(path)
    return [f"imported:{device.name}" for device in devices]


def test_devices_of_others_stand_beside_a_front_with_source_and_spread(root: Path) -> None:
    steps.measure_baselines(job(root, MBV3), Device.find("zu3eg", root))
    names = imported(root)
    page = Workspace(root).report("zu3eg", MBV3.name) / "index.html"
    assert "On devices of others" not in page.read_text()
    page, *_ = steps.report(job(root, MBV3), "zu3eg", names)
    told = page.read_text().partition("On devices of others")[2].partition("How far can I")[0]
    text = " ".join(re.sub(r"<[^>]+>", " ", told).split())
    assert "A Board, ncnn, cpu, 4 threads; imported from somebody" in text
    assert re.search(r"mobilenet-v2 [\d.]+ 20 20 to 29 &ndash;", text)
    assert "own &ndash; &ndash; 7 " in text  # one number has no spread
    assert "rescaled from the table of zu3eg by 2 networks timed on both" in text
    assert "zu3eg and phone have 0 networks in common" in text
    front = front_of(root, "zu3eg", MBV3)
    times = own_times(Table.load(Workspace(root).table("zu3eg", "baselines")))
    ratios = [20 / times["mobilenet-v2"][0], 32 / times["proxylessnas-mobile"][0]]
    rows = re.findall(r"<td>(\d+)</td><td>([\d.]+)</td><td>([\d.]+)<span", told)
    assert [int(number) for number, _, _ in rows] == list(range(len(front.points)))
    for _, here, there in rows:
        assert min(ratios) * 0.99 < float(there) / float(here) < max(ratios) * 1.01


def test_devices_of_others_are_compared_by_the_networks_that_both_ran(root: Path) -> None:
    steps.measure_baselines(job(root, MBV3), Device.find("zu3eg", root))
    board, phone = imported(root)
    table = str(Workspace(root).table("zu3eg", "baselines"))
    told = "\n".join(compare_devices_lines(compare_imported(job(root, MBV3), table, board)))
    assert "new: A Board, ncnn, cpu, 4 threads, imported from somebody" in told
    assert "2 networks on both, at full speed" in told
    assert "20 ms (20 to 29)" in told
    assert "simulated" in told
    with pytest.raises(TableError, match="no network in common"):
        compare_imported(job(root, MBV3), board, phone)
    blocks = str(Workspace(root).table("zu3eg", MBV3.name))
    with pytest.raises(UsageError, match="harness measure --baselines --device zu3eg"):
        compare_imported(job(root, MBV3), board, blocks)
    words = ["tables", "compare", board, table, "--fail-above", "5%", "--root", str(root)]
    done = CliRunner().invoke(app, words)
    assert "two measured tables" in str(done.exception)
    done = CliRunner().invoke(app, ["report", "--device", board, "--root", str(root)])
    assert "give one, too" in str(done.exception)


def test_verifying_a_front_of_an_older_version_gives_it_intervals_of_today(root: Path) -> None:
    path = job(root, RESNET).workspace.front("small", RESNET.name)
    content = path.read_text()
    front = Front.load(path)
    table = {name: told for name, told in front.table.items() if name != "statements"}
    try:
        replace(front.unverified(), table=table).save(path)
        assert Front.load(path).older
        steps.verify(job(root, RESNET), Device.find("small", root), None)
        assert not Front.load(path).older
    finally:
        path.write_text(content)


def test_a_front_is_verified_by_simulating_its_networks_whole(root: Path) -> None:
    dpu = Dpu.of(Device.find("zu3eg", root).options.of(DpuOptions))
    front = front_of(root, "zu3eg", MBV3)
    for point in front.points:
        whole_ms = network_cost(dpu, MBV3.blocks(point.arch)).cycles / dpu.clock_mhz / 1e3
        assert point.latency_ms_measured == pytest.approx(whole_ms, abs=1e-5)
        assert point.latency_ms == pytest.approx(whole_ms, rel=0.05)
        assert point.latency_ms_wall_median is None


def test_a_block_that_cannot_run_has_no_latency_and_the_search_never_picks_it(root: Path) -> None:
    table = table_of(root, "small", RESNET)
    assert table.infeasible
    assert all("out of BRAM" in why for why in table.infeasible.values())
    assert not {record.blocks[0] for record in table.records if record.role == "block"} & set(
        table.infeasible
    )
    assert {*table.infeasible, *table.blocks("device")} == set(RESNET.distinct_blocks())
    networks = [record.blocks for record in table.records if record.role != "block"]
    networks += [RESNET.blocks(point.arch) for point in front_of(root, "small", RESNET).points]
    assert len(networks) > 20
    assert not any(set(blocks) & set(table.infeasible) for blocks in networks)
    # The accuracy rises with size: it was the memory that kept the largest out.
    largest = RESNET.blocks(RESNET.largest)
    assert set(largest) & set(table.infeasible)
    predictor = latency_of(job(root, RESNET), table)
    assert predictor.predict(encode(RESNET, [RESNET.largest]))[0] == float("inf")


def test_what_cannot_run_at_all_is_said_with_the_reason(root: Path) -> None:
    table = steps.measure_baselines(job(root, MBV3), Device.find("zu3eg", root))
    told = describe_baselines(table)
    assert "no operator: swish" in next(x for x in told.splitlines() if "efficientnet" in x)
    assert "mobilenet-v2 " in told


def test_a_table_of_other_constants_is_replaced_not_mixed(tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    mine = tmp_path / "devices/mine.toml"
    times = []
    for clock_mhz in (200, 100):
        mine.write_text(f'title = "M"\nextends = "zu3eg"\n[dpu]\nclock_mhz = {clock_mhz}\n')
        table = steps.measure(job(tmp_path, MBV3), Device.find("mine", tmp_path))
        assert len(table.campaigns) == 1
        times.append(sum(table.block_values("device").values()))
    assert times[0] < times[1] < 2 * times[0]


def test_a_profile_that_was_changed_is_not_answered_for_by_its_old_table(tmp_path: Path) -> None:
    (tmp_path / "devices").mkdir()
    mine = tmp_path / "devices/mine.toml"
    mine.write_text('title = "M"\nextends = "zu3eg"\n')
    assert "fitted to" in str(load_profile("mine", tmp_path).evidence)
    steps.measure(job(tmp_path, MBV3), Device.find("mine", tmp_path))
    steps.search(job(tmp_path, MBV3), "mine")
    before = (tmp_path / "tables/mine.ofa-mbv3-w1.2.jsonl").read_bytes()
    mine.write_text('title = "M"\nextends = "zu3eg"\n[dpu]\nclock_mhz = 150\n')
    assert "uncalibrated" in str(load_profile("mine", tmp_path).evidence)
    with pytest.raises(TableError, match="makes it anew"):
        steps.search_best(job(tmp_path, MBV3), "mine", steps.Question(), 1.0)
    with pytest.raises(TableError, match="makes it anew"):
        steps.verify(job(tmp_path, MBV3), Device.find("mine", tmp_path), None)
    assert (tmp_path / "tables/mine.ofa-mbv3-w1.2.jsonl").read_bytes() == before


def test_resolutions_can_be_simulated_one_after_the_other(tmp_path: Path) -> None:
    device = Device.find("zu3eg", tmp_path)
    for pixels in (160, 224):
        table = steps.measure(job(tmp_path, MBV3.at([pixels])), device)
    assert set(table.block_values("device")) == set(MBV3.distinct_blocks())
    assert predictor_resolutions(tmp_path, table) == (160, 224)


def predictor_resolutions(root: Path, table: Table) -> tuple[int, ...]:
    predictor = latency_of(job(root, MBV3), table)
    assert isinstance(predictor, BlockTablePredictor)
    return predictor.resolutions


def test_an_exported_table_has_no_row_below_zero(root: Path, tmp_path: Path) -> None:
    for path in export_published(job(root, MBV3), "zu3eg", tmp_path).paths:
        rows = yaml.safe_load(path.read_text())
        assert min(row["mean"] for row in rows.values()) >= 0
    with pytest.raises(UsageError, match="ofa-resnet50"):
        export_published(job(root, RESNET), "small", tmp_path)


def test_a_space_of_which_next_to_nothing_runs_is_refused_with_the_reason(tmp_path: Path) -> None:
    stages = tuple(replace(stage, act="swish") for stage in OFA_MBV3_W1_2.stages)
    space = replace(OFA_MBV3_W1_2, name="swish", resolutions=(160,), stages=stages)
    with pytest.raises(InfeasibleConstraint, match="no operator: swish"):
        steps.measure(job(tmp_path, space), Device.find("zu3eg", tmp_path))


def test_time_changes_nothing_in_a_simulation(root: Path) -> None:
    for step in (steps.refit, steps.refresh):
        with pytest.raises(UsageError, match="zu3eg is simulated"):
            step(job(root, MBV3), Device.find("zu3eg", root))


def test_network_files_are_simulated_too(root: Path, tmp_path: Path) -> None:
    blocks = MBV3.blocks(front_of(root, "zu3eg", MBV3).points[0].arch)
    path = tmp_path / "net.pt"
    weights = dict(build_random(blocks, seed=0).state_dict())
    arch = front_of(root, "zu3eg", MBV3).points[0].arch
    pixels = Preprocessing(arch.resolution, 0.5, 0.5)
    NetworkFile(MBV3.name, arch, blocks, weights, pixels, ("a",) * MBV3.classes, {}).save(path)
    found = benchmark(job(root, MBV3), Device.find("zu3eg", root), path)
    told = describe(found)
    assert "simulated, fitted to" in told
    assert "full speed" not in told
    expected = front_of(root, "zu3eg", MBV3).points[0].latency_ms_measured
    assert found["statistics"]["device"]["value_ns"] / 1e6 == pytest.approx(expected)


def written(path: Path, root: Path, vector_ns: float) -> Path:
    """Measurements of a board that is the model with another constant."""
    dpu = Dpu.of(Device.find("zu3eg", root).options.of(DpuOptions))
    board = replace(dpu, constants=replace(dpu.constants, vector_ns=vector_ns))
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*COLUMNS, "stage"])
        for block in convolutions(MBV3.distinct_blocks()):
            expand = block.mid_channels / block.in_channels
            if block.kind != "mbconv" or expand not in (3, 4, 6) or len(block.key) % 3:
                continue
            ms = network_cost(board, [block]).cycles / board.clock_mhz / 1e3
            shape = [block.in_channels, block.height, block.width, block.out_channels]
            how = [block.kernel, expand, block.stride, block.act, int(block.se_channels > 0)]
            rows.writerow(["mbconv", *shape, *how, ms, f"o{block.out_channels}"])
    return path


def test_a_users_board_is_fitted_and_then_simulated(tmp_path: Path) -> None:
    measured = written(tmp_path / "mine.csv", tmp_path, vector_ns=200.0)
    made = fit_device("my-board", [measured], "zu3eg", tmp_path)
    save_fit(made)
    lines = list(fit_lines(made))
    assert any("left out" in line and "seed 0" in line for line in lines)
    assert any("without o48: mean error  0.0%" in line for line in lines)
    profile = load_profile("my-board", tmp_path)
    assert profile.options.of(DpuOptions).vector_ns == pytest.approx(200, rel=0.01)
    assert "mine.csv" in str(profile.evidence)
    assert profile.options.of(DpuOptions).architecture == "B2304"
    table = steps.measure(job(tmp_path, MBV3), Device.find("my-board", tmp_path))
    assert "mine.csv" in str(table.simulated)
    assert (
        json.loads(json.dumps(table.identity))["dpu"]["vector_ns"]
        == profile.options.of(DpuOptions).vector_ns
    )


def test_rows_of_other_types_are_fitted_without_by_choice_and_counted(tmp_path: Path) -> None:
    measured = written(tmp_path / "mine.csv", tmp_path, vector_ns=200.0)
    columns = measured.read_text().split("\n", 1)[0].count(",")
    with measured.open("a") as file:
        file.write(2 * f"eltwise{',' * columns}\n")
    words = ["devices", "fit", "mine", "--measurements", str(measured), "--root", str(tmp_path)]
    refused = CliRunner().invoke(app, words)
    assert isinstance(refused.exception, FileFormatError)
    assert "--skip eltwise" in str(refused.exception)
    fitted = CliRunner().invoke(app, [*words, "--skip", "eltwise"])
    assert fitted.exit_code == 0
    assert "2 rows of type eltwise left aside" in fitted.output
    options = load_profile("mine", tmp_path).options.of(DpuOptions)
    assert options.vector_ns == pytest.approx(200, rel=0.01)


def test_what_cannot_be_fitted_says_why_and_writes_nothing(tmp_path: Path) -> None:
    measured = written(tmp_path / "mine.csv", tmp_path, vector_ns=200.0)
    few = tmp_path / "few.csv"
    few.write_text("\n".join(measured.read_text().splitlines()[:6]))
    broken = tmp_path / "broken.csv"
    broken.write_text(measured.read_text().replace("mbconv", "mbcnv", 1))
    seconds = tmp_path / "seconds.csv"
    rows = [line.split(",") for line in measured.read_text().splitlines()]
    odd = [[*row[:10], str(float(row[10]) ** 3 * 1e5), *row[11:]] for row in rows[1:]]
    seconds.write_text("\n".join(",".join(row) for row in (rows[0], *odd)))
    wide = tmp_path / "wide.csv"
    wide.write_text(measured.read_text().replace("mbconv,", "mbconv,10000", 1))
    for name, path, error, words in (
        ("mine", few, UsageError, "too few"),
        ("mine", broken, FileFormatError, "broken.csv:2: .*mbcnv"),
        ("cpu", measured, UsageError, "measured, not simulated"),
        ("mine", seconds, UsageError, "of no use"),
        ("mine", wide, FileFormatError, r"wide\.csv:2: .*too many channels"),
        ("no name", measured, UsageError, "no name of a device"),
    ):
        with pytest.raises(error, match=words):
            save_fit(fit_device(name, [path], "zu3eg", tmp_path))
    assert not (tmp_path / "devices").exists()
