"""The Python API: what docs and notebook show runs, and values are those of the commands."""

import csv
import inspect
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest

import harness
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from tests.command_line import harness as command

DEVICE = "cpu-onnxruntime"


def accuracy(arch: harness.Arch) -> float:
    return 80 + arch.resolution / 4 + sum(arch.depths)


def macs_m(arch: harness.Arch) -> float:
    return sum(block.macs for block in DIGITS.blocks(arch)) / 1e6


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def table(root: Path) -> harness.Table:
    return harness.measure(DEVICE, "digits", resolutions=[12, 16], quick=True, root=root)


def test_what_the_page_shows_runs(
    table: harness.Table, root: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    names: dict[str, Any] = {}
    text = (repository / "docs/python.md").read_text()
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "docs/python.md", "exec"), names)
    assert names["table"].campaigns == table.campaigns  # measured once
    assert all(each.latency_ms_interval for each in names["front"])
    assert names["fast"]
    assert all(each.latency_ms <= 1.0 for each in names["fast"])
    assert names["prediction"].accuracy == accuracy(names["front"][-1].arch)


def test_the_notebook_runs(
    table: harness.Table, root: Path, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    mpl.use("agg")
    names: dict[str, Any] = {}
    cells = json.loads((repository / "docs/notebook.ipynb").read_text())["cells"]
    for cell in cells:
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), "docs/notebook.ipynb", "exec"), names)
    assert names["table"].campaigns == table.campaigns
    (axes,) = names["figure"].axes
    shown = axes.lines[0].get_xdata()
    assert list(shown) == sorted(shown)
    assert len(shown) == len(names["front"]) > 3


@pytest.mark.usefixtures("table")
def test_predictions_are_those_of_the_command(root: Path) -> None:
    genomes = sample(DIGITS.at([12, 16]), 3, np.random.default_rng(4))
    archs = [decode(DIGITS.at([12, 16]), genome) for genome in genomes]
    paths = [root / f"arch-{number}.json" for number in range(len(archs))]
    for path, arch in zip(paths, archs, strict=True):
        path.write_text(json.dumps(arch.to_json()))
    words = ("predict", *(path.name for path in paths), "--device", DEVICE)
    as_json = command(root, *words, "--json")
    assert as_json.returncode == 0, as_json.stderr
    told = json.loads(as_json.stdout)
    ours = harness.predict(archs, DEVICE, root=root)
    for one, other in zip(told, ours, strict=True):
        assert one["latency_ms"] == pytest.approx(other.latency_ms)
        assert one["latency_ms_interval"] == pytest.approx(other.latency_ms_interval)
        assert (one["macs"], one["params"]) == (other.macs, other.params)
        assert one["accuracy"] is None
    rows = list(csv.DictReader(io.StringIO(command(root, *words, "--csv").stdout)))
    assert [float(row["latency_ms"]) for row in rows] == [each["latency_ms"] for each in told]
    assert [float(row["latency_ms_low"]) for row in rows] == [
        each["latency_ms_interval"][0] for each in told
    ]
    shown = command(root, *words).stdout
    assert f"{told[0]['latency_ms']:.4g}" in shown


def test_a_network_beyond_a_fronts_sizes_is_predicted_where_the_table_covers_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "judging.py").write_text("def top1(arch):\n    return 60 + 2 * sum(arch.depths)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "judging", raising=False)
    harness.measure("zu3eg", root=tmp_path)
    words = "search --device zu3eg --front --resolutions 12 --accuracy judging:top1 --quick"
    assert command(tmp_path, *words.split()).returncode == 0
    arch = decode(DIGITS.at([20]), sample(DIGITS.at([20]), 1, np.random.default_rng(4))[0])
    (prediction,) = harness.predict(arch, "zu3eg", root=tmp_path, accuracy=lambda _: 70.0)
    assert prediction.latency_ms > 0
    (inside,) = harness.predict("front:0", "zu3eg", root=tmp_path, accuracy=lambda _: 70.0)
    assert inside.accuracy == 70.0
    with pytest.raises(harness.HarnessError, match="gave nan"):
        harness.predict("front:0", "zu3eg", root=tmp_path, accuracy=lambda _: float("nan"))


def test_a_search_by_functions_finds_what_they_say_is_best() -> None:
    front = harness.search(
        "digits", latency=lambda arch: float(sum(arch.depths)), accuracy=accuracy, evaluations=3000
    )
    assert [each.accuracy for each in front] == sorted(each.accuracy for each in front)
    # Time follows from depths alone, so that the front has the largest images for each sum.
    assert {each.arch.resolution for each in front} == {max(DIGITS.resolutions)}
    assert all(each.latency_ms_interval is None for each in front)
    small = harness.search(
        "digits",
        latency=lambda arch: float(sum(arch.depths)),
        accuracy=accuracy,
        constraints=["macs:0.5M"],
        evaluations=3000,
    )
    assert max(macs_m(each.arch) for each in small) <= 0.5 < max(macs_m(e.arch) for e in front)


def test_the_whole_way_gives_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    """On a simulated device, where nothing waits; its network leaves with untrained weights."""
    (tmp_path / "judging.py").write_text("def top1(arch):\n    return 60 + 2 * sum(arch.depths)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "judging", raising=False)
    (front,) = harness.run(
        "zu3eg",
        accuracy="judging:top1",
        quick=True,
        root=tmp_path,
        on_progress=lambda step, done, total: told.append(f"{step} {done} of {total}"),
    )
    assert any(each.startswith("search the front of zu3eg") for each in told)
    assert all(point.latency_ms_measured for point in front.points)
    again = harness.verify("zu3eg", root=tmp_path)
    assert again.points == front.points
    page = harness.report("zu3eg", root=tmp_path)
    assert "zu3eg" in page.read_text()
    (first,) = harness.predict("front:0", "zu3eg", root=tmp_path, accuracy=lambda _: 7.0)
    assert first.latency_ms == pytest.approx(front.points[0].latency_ms, rel=0.01)
    assert first.accuracy == 7.0
    command(tmp_path, *["extract", "front:0", "net.pt", "--device", "zu3eg", "--weights", "init"])
    bundle = harness.export(tmp_path / "out", network=tmp_path / "net.pt", formats=["pt2"])
    assert (bundle / "network.pt2").exists()


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: harness.predict("front:0", "cpux"), "ProfileError", "did you mean"),
        (lambda: harness.space("digts"), "UsageError", "did you mean 'digits'"),
        (
            lambda: harness.search("digits", latency=lambda _: 1.0, accuracy=lambda _: 1 / 0),
            "PredictorError",
            "division by zero",
        ),
        (
            lambda: harness.search(
                "digits", latency=lambda _: 9.0, accuracy=accuracy, max_latency_ms=1
            ),
            "InfeasibleConstraint",
            "meets all of these",
        ),
        (
            lambda: harness.search("digits", latency=lambda _: 1 / 0, accuracy=accuracy),
            "PredictorError",
            "the latency's function failed",
        ),
        (
            lambda: harness.search("digits", latency=lambda _: 0.0, accuracy=accuracy),
            "PredictorError",
            "no time in ms",
        ),
        (
            lambda: harness.search(
                "digits", latency=lambda _: 1.0, accuracy=accuracy, max_latency_ms=-1
            ),
            "UsageError",
            "it is above zero",
        ),
        (
            lambda: harness.search("digits", latency=lambda _: 1.0, accuracy=accuracy, at="p90"),
            "UsageError",
            "give both",
        ),
        (lambda: harness.predict("front:0", []), "UsageError", "no device is named"),
        (lambda: harness.export("out"), "UsageError", "export takes network, or device"),
    ],
)
def test_wrong_calls_raise_the_typed_errors(call: Any, error: str, told: str) -> None:
    with pytest.raises(harness.HarnessError, match=told) as raised:
        call()
    assert type(raised.value).__name__ == error


def test_a_table_as_a_data_frame_has_a_row_for_each_record(table: harness.Table) -> None:
    frame = table.to_pandas()
    assert len(frame) == len(table.records)
    blocks = frame[(frame.role == "block") & (frame.clock == table.clock)]
    values = {key.key: value for key, value in table.block_values(table.clock).items()}
    assert dict(zip(blocks.what, (blocks.value_ms * 1e6).round(), strict=True)) == values
    assert (blocks.low_ms <= blocks.high_ms).all()


def test_a_table_is_compared_with_a_later_one(table: harness.Table) -> None:
    # Doubled: whole nanoseconds stay whole.
    slower = replace(
        table,
        records=tuple(
            replace(record, statistics=record.statistics.scaled(2)) for record in table.records
        ),
    )
    assert harness.compare(table, table).shift == 1
    assert harness.compare(table, slower).shift == pytest.approx(2)


def test_a_history_is_a_value(table: harness.Table, tmp_path: Path) -> None:
    (campaign,) = table.campaigns
    later = table.campaigns[campaign] | {"started_at": "2099-01-01"}
    records = [replace(record, campaign="later") for record in table.records]
    table.with_campaign("later", later, records).save(tmp_path / "tables" / "cpu.digits.jsonl")
    (told,) = harness.history(root=tmp_path)
    assert told.levels == pytest.approx((1.0, 1.0))
    assert not told.steps


def test_every_name_is_there_documented_and_imported_late() -> None:
    for name in harness.__all__:
        assert inspect.getdoc(getattr(harness, name)), name
    assert set(harness.__all__) <= set(dir(harness))
    with pytest.raises(AttributeError, match="no attribute 'serch'"):
        harness.serch  # noqa: B018
    heavy = "('numpy', 'pydantic', 'torch')"
    code = f"import sys, harness; print([each for each in {heavy} if each in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
