"""Benchmarks in the forms that continuous integration takes."""

from collections.abc import Mapping, Sequence
from typing import Any

from harness.reports.markdown import cell

_SHOWN = {"full_ms": "full speed", "p90_ms": "p90 on the wall clock"}


def for_action(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """`customSmallerIsBetter` of https://github.com/benchmark-action/github-action-benchmark."""
    return [
        {
            "name": f"{row['model']} on {row['device']}, {words}",
            "unit": "ms",
            "value": row[name],
            **_range(row, name),
            "extra": "; ".join(filter(None, (row["evidence"], _doubt(row)))),
        }
        for row in rows
        for name, words in _SHOWN.items()
        if row[name] is not None
    ]


def _range(row: Mapping[str, Any], name: str) -> dict[str, str]:
    """What another campaign may give, of the time of which that is known."""
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    return {} if low is None or high is None else {"range": f"{low:.4g} to {high:.4g}"}


def as_markdown(rows: Sequence[Mapping[str, Any]], compared: str = "") -> str:
    """A table for a summary or a comment, and what a comparison says."""
    lines = [
        "| model | device | full speed, ms | measured again (95 %) | p90, ms | |",
        "|---|---|---:|---:|---:|---|",
    ]
    for row in rows:
        ends = _range(row, "full_ms").get("range", "")
        p90 = "" if row["p90_ms"] is None else f"{row['p90_ms']:.4g}"
        doubt = cell("; ".join(filter(None, (row["evidence"], _doubt(row)))))
        lines.append(
            f"| {cell(row['model'])} | {cell(row['device'])} | {row['full_ms']:.4g} | {ends} "
            f"| {p90} | {doubt} |"
        )
    return "\n".join([*lines, *(["", cell(compared)] if compared else [])])


def _doubt(row: Mapping[str, Any]) -> str:
    return f"suspect: {row['suspect']}" if row["suspect"] else ""
