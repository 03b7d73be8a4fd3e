from typing import Any

from harness.reports.ci import as_markdown, for_action

ROW: dict[str, Any] = {
    "model": "net|1.onnx",
    "device": "cpu",
    "full_ms": 1.25,
    "full_ms_low": 1.2,
    "full_ms_high": 1.3,
    "p90_ms": 1.5,
    "evidence": "measured",
    "suspect": "the machine was busy",
}


def test_the_actions_json_has_the_documented_keys_and_types() -> None:
    """https://github.com/benchmark-action/github-action-benchmark#examples: name, unit and value,
    and as texts range and extra."""
    found = for_action([ROW, ROW | {"p90_ms": None, "full_ms_low": None, "suspect": ""}])
    assert [each["value"] for each in found] == [1.25, 1.5, 1.25]
    for each in found:
        assert each.keys() <= {"name", "unit", "value", "range", "extra"}
        assert all(isinstance(each[key], str) for key in each.keys() - {"value"})
    assert found[0]["range"] == "1.2 to 1.3"
    assert "range" not in found[1]
    assert "suspect: the machine was busy" in found[0]["extra"]


def test_a_row_stays_a_row_whatever_the_file_is_called() -> None:
    *_, row = as_markdown([ROW]).splitlines()
    assert row.count("|") == 7
    assert "suspect: the machine was busy" in row
