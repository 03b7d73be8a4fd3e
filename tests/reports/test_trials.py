import csv
from pathlib import Path

from harness.deploy.front import Front
from harness.reports.trials import save_trials


def test_a_front_is_rows_with_the_columns_of_optuna_s_trials(front: Front, tmp_path: Path) -> None:
    path = save_trials(front, tmp_path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["number"]) for row in rows] == list(range(len(front.points)))
    first, arch = front.points[0], front.points[0].arch.to_json()
    assert float(rows[0]["values_latency_ms"]) == first.latency_ms_measured
    assert float(rows[0]["values_accuracy"]) == first.accuracy_measured
    assert int(rows[0]["params_r"]) == arch["r"]
    assert [int(rows[0][f"params_d_{n}"]) for n in range(len(arch["d"]))] == list(arch["d"])
    assert all(
        name.startswith(("number", "values_", "params_", "user_attrs_", "state"))
        for name in rows[0]
    )


def test_pandas_reads_it_without_help(front: Front, tmp_path: Path) -> None:
    import pandas

    frame = pandas.read_csv(save_trials(front, tmp_path))
    assert frame["values_latency_ms"].is_monotonic_increasing
    assert len(frame) == len(front.points)
