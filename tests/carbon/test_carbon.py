import csv
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.carbon import recording
from harness.carbon.account import account, inferences_kg
from harness.carbon.place import DATA_CENTRE, EDGE, OFFICE, Site, pue_of
from harness.carbon.table_2 import METHODS, table_2, two_digits
from harness.cli import app
from harness.errors import UsageError
from harness.pipeline.carbon import own_run
from harness.reports.carbon import save_deployments
from harness.reports.cost import energy
from harness.training.distributed import Ranks
from tests.command_line import harness

KG_A_KWH = 0.954 * 0.45359237  # of the US grid
SESSION: dict[str, Any] = {
    "seconds": 1800.0,
    "energy_mj": 3.6e8,
    "meters": ["RAPL of 1 package"],
    "silent": [],
}


def test_table_2_comes_out_as_printed_but_for_the_cells_that_say_why() -> None:
    rows = table_2()
    assert sum(row.co2e_as_printed for row in rows) == 13
    assert sum(row.cost_as_printed for row in rows) == 12
    for row in rows:
        assert (row.co2e_as_printed and row.cost_as_printed) == (not row.method.misprint)


def test_the_factors_are_those_of_the_notes() -> None:
    assert Site().co2e_lb(1) == pytest.approx(0.28360, abs=5e-6)
    assert Site().cost_usd(1) == pytest.approx(3.06)


def test_only_methods_that_train_anew_cost_more_with_every_deployment() -> None:
    grows = {method.name for method in METHODS if method.gpu_h(2) > method.gpu_h(1)}
    assert "OFA w/ PS" not in grows
    assert {"NASNet-A", "FBNet-C", "OFA w/ PS #75"} <= grows


@pytest.mark.parametrize(
    ("hours", "rounded"),
    [(1240, 1200), (2240, 2200), (16_608, 17_000), (12_180, 12_000), (1_920_000, 1_920_000)],
)
def test_hours_are_rounded_as_the_table_prints_them(hours: float, rounded: float) -> None:
    assert two_digits(hours) == rounded


def test_each_kind_of_place_has_its_own_pue_and_a_stated_one_wins() -> None:
    assert Site().pue == DATA_CENTRE == pue_of("data-centre", None, OFFICE)
    assert (DATA_CENTRE.value, OFFICE.value, EDGE.value) == (1.58, 1, 1)
    assert pue_of(None, None, EDGE).why == EDGE.why
    assert str(pue_of("data-centre", 1.1, OFFICE)) == "PUE 1.1 (as stated)"
    with pytest.raises(UsageError, match="data-centre, office, edge"):
        pue_of("moon", 1.1, OFFICE)


def test_a_missing_counter_is_unknown_and_only_a_stated_assumption_fills_it() -> None:
    silent = SESSION | {"energy_mj": None, "meters": [], "silent": ["no RAPL"]}
    measured = account([SESSION, SESSION], 50.0, Site())
    assert measured.hours == 1
    assert measured.energy_kwh == pytest.approx(0.2)
    assert measured.assumed_kwh is None
    assert measured.co2e_kg == pytest.approx(0.2 * 1.58 * 0.954 * 0.45359237)
    unknown = account([SESSION, silent], None, Site())
    assert (unknown.energy_kwh, unknown.co2e_kg, unknown.assumed_kwh) == (None, None, None)
    assumed = account([SESSION, silent], 50.0, replace(Site(), pue=OFFICE))
    assert assumed.energy_kwh is None
    assert assumed.assumed_kwh == pytest.approx(0.05)
    assert assumed.co2e_kg == pytest.approx(0.05 * 0.954 * 0.45359237)


def test_inferences_add_up() -> None:
    assert inferences_kg(3.6, 1e9, replace(Site(), pue=OFFICE, grid_lb_per_kwh=1)) == pytest.approx(
        0.45359237
    )


def test_the_figure_comes_with_its_data(tmp_path: Path) -> None:
    png, svg, pdf, data = save_deployments(tmp_path, Site())
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<script" not in svg.read_text()
    assert "mathdefault" not in svg.read_text()  # what an axis writes where nobody says how
    with data.open(newline="") as file:
        rows = {(row["method"], row["deployments"]): row for row in csv.DictReader(file)}
    assert float(rows["OFA w/ PS #25", "40"]["gpu_h"]) == 2240
    before = [path.read_bytes() for path in (png, svg, pdf, data)]
    assert [path.read_bytes() for path in save_deployments(tmp_path, Site())] == before


def test_the_command_shows_table_runs_and_what_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "runs/digits-1").mkdir(parents=True)
    record = tmp_path / "runs/digits-1/emissions.rank-0.json"
    record.write_text(json.dumps([SESSION | {"energy_mj": None, "silent": ["no RAPL"]}]))

    def carbon(*words: str) -> subprocess.CompletedProcess[str]:
        return harness(tmp_path, "carbon", *words)

    ended = carbon()
    assert ended.returncode == 0, ended.stderr
    assert "13 of 14 CO2e and 12 of 14 costs" in ended.stdout
    assert "digits-1: 0.5 h; energy unknown (RAPL of 1 package; no RAPL)" in ended.stdout
    assert "0.05 kWh ASSUMED" in carbon("runs", "--watts", "100").stdout
    record.write_text("[{}]")
    broken = carbon()
    assert (broken.returncode, len(broken.stderr.splitlines())) == (3, 1)
    lonely = carbon("inferences", "--device", "cpu")
    assert lonely.returncode == 2


def test_own_runs_are_in_a_data_centre_only_where_somebody_says_so(tmp_path: Path) -> None:
    (tmp_path / "runs/digits-1").mkdir(parents=True)
    record = tmp_path / "runs/digits-1/emissions.rank-0.json"
    # Older records have the CO2e of a data centre, wherever they were made.
    older = SESSION | {"co2e_kg": 0.1 * 1.58 * KG_A_KWH, "pue": 1.58, "grid_kg_per_kwh": KG_A_KWH}
    record.write_text(json.dumps([older]))

    def own(*words: str) -> str:
        ended = CliRunner().invoke(app, ["carbon", "runs", "--root", str(tmp_path), *words])
        assert ended.exit_code == 0, ended.output
        (line,) = (each for each in ended.output.splitlines() if "digits-1: " in each)
        return line

    assert f"{0.1 * KG_A_KWH:.3g} kg CO2e with PUE 1 (an office or home: no overhead" in own()
    centre = own("--place", "data-centre")
    assert f"{0.158 * KG_A_KWH:.3g} kg CO2e with PUE 1.58 (a data centre, Strubell" in centre
    assert f"{0.1 * KG_A_KWH:.3g} kg CO2e with PUE 1 (an edge" in own("--place", "edge")
    stated = own("--place", "data-centre", "--pue", "1.2")
    assert f"{0.12 * KG_A_KWH:.3g} kg CO2e with PUE 1.2 (as stated)" in stated
    read = own_run(tmp_path, "digits-1")  # for pages
    assert read is not None
    assert read.co2e_kg == pytest.approx(0.1 * KG_A_KWH)
    assert "with PUE 1 (an office or home" in energy(read)


def test_what_a_run_records_has_the_pue_that_its_co2e_is_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings = iter((0.0, 3.6e8))  # mJ: the machine need not have a counter
    read: dict[str, Callable[[], float | None]] = {"a counter": lambda: next(readings)}
    monkeypatch.setattr(recording, "_meters", lambda _: (read, (), "a computer"))
    used = recording.Recording(tmp_path, "training", Ranks(0, 1, "cpu"))
    used.write()
    (kept,) = json.loads((tmp_path / "emissions.rank-0.json").read_text())
    assert (kept["pue"], kept["pue_is"]) == (1, OFFICE.why)
    assert kept["co2e_kg"] == pytest.approx(0.1 * KG_A_KWH)
    assert f"with {OFFICE}" in used.describe()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--hardware", "v100-sxm2"), "x PUE 1 (an office or home"),
        (("--hardware", "v100-sxm2", "--place", "data-centre"), "x PUE 1.58 (a data centre"),
        (("--hardware", "jetson-agx-xavier"), "x PUE 1 (an edge device"),
        (("--hardware", "jetson-agx-xavier", "--pue", "1.1"), "x PUE 1.1 (as stated)"),
    ],
)
def test_hours_are_counted_by_where_they_were_spent(words: tuple[str, ...], told: str) -> None:
    ended = CliRunner().invoke(app, ["carbon", "work", "1", *words])
    assert told in ended.output


def test_hours_on_hardware_in_a_region_are_accounted_for_with_their_sources(tmp_path: Path) -> None:
    def carbon(*words: str) -> subprocess.CompletedProcess[str]:
        return harness(tmp_path, "carbon", *words)

    words = ("work", "100", "--hardware", "v100-sxm2", "--count", "8", "--pue", "1.1")
    told = carbon(*words, "--region", "fra")
    assert told.returncode == 0, told.stderr
    assert "240 kWh" in told.stdout
    assert "56.04 g CO2e a kWh (FRA, 2023, Our World in Data" in told.stdout
    assert "14.79 kg CO2e" in told.stdout  # 240 kWh x 1.1 x 56.039 g
    assert "data sheets" in told.stdout
    stated = carbon("work", "1", "--watts", "1000", "--pue", "1", "--grid", "1")
    assert "0.4536 kg CO2e" in stated.stdout
    for wrong, why in (
        (("work", "1"), "either --hardware or --watts"),
        (("work", "1", "--hardware", "v100"), "did you mean 'p100'?"),
        ((*words, "--region", "ATL"), "not in the list"),
        ((*words, "--region", "FRA", "--grid", "1"), "give one"),
        (("work", "--hardware", "t4"), "hours"),
    ):
        done = carbon(*wrong)
        assert done.returncode == 2
        assert why in done.stderr
