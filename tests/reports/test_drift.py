import csv
from pathlib import Path

from harness.reports.drift import save_drift
from harness.tables.journal import Journal, Reading, Visit


def test_the_sentinels_visits_are_drawn_over_time_with_the_temperature(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "campaign.jsonl")
    for minute in range(5):
        journal.append_reading(Reading(minute, {"temperature_c": 40.0 + minute}))
        at_ns = 10**18 + minute * 60 * 10**9
        journal.append(Visit(0, minute, at_ns, {"wall": (1000 + 100 * minute, 5000)}))
        journal.append(Visit(1, minute, at_ns + 1, {"wall": (9, 9)}))
    journal.close()
    *_, data = save_drift(journal, "cpu", "wall", tmp_path)
    with data.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["minutes"]) for row in rows] == [0, 1, 2, 3, 4]
    assert [int(row["fastest_ns"]) for row in rows] == [1000, 1100, 1200, 1300, 1400]
    assert [round(float(row["over_median"]), 3) for row in rows] == [0.833, 0.917, 1, 1.083, 1.167]
    assert [float(row["temperature_c"]) for row in rows] == [40, 41, 42, 43, 44]


def test_the_temperature_beside_a_gpus_visits_is_the_gpus(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "campaign.jsonl")
    journal.append_reading(Reading(0, {"temperature_c": 40.0, "gpu_temperature_c": 71.0}))
    for number in range(2):
        journal.append(Visit(0, 0, 10**18 + number, {"wall": (1000,)}))
    journal.close()
    *_, data = save_drift(journal, "cuda", "wall", tmp_path)
    with data.open(newline="") as file:
        assert {row["temperature_c"] for row in csv.DictReader(file)} == {"71.0"}


def test_nothing_is_drawn_where_the_sentinel_has_no_times_on_this_clock(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "campaign.jsonl")
    journal.append(Visit(0, 0, 1, {"wall": (1000,)}))
    journal.close()
    assert save_drift(journal, "cpu", "device", tmp_path) == []
