"""One page of a network on several devices, such as all runtimes of one machine."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness import files
from harness.reports.benchmark import to_row
from harness.reports.page import templates
from harness.reports.trust import Doubt


def save_benchmark_page(results: Sequence[dict[str, Any]], path: Path) -> None:
    """Of results of `harness benchmark`, the fastest first; a file that needs nothing else."""
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        row = to_row(result)
        row |= {name: result["identity"].get(name, "") for name in ("runtime", "precision")}
        groups[row["model"]].append(row)
    rows = [row for group in groups.values() for row in group]
    page = (
        templates()
        .get_template("benchmark.html")
        .render(
            models=list(groups),
            devices=list(dict.fromkeys(row["device"] for row in rows)),
            groups={
                model: sorted(group, key=lambda row: float(row["full_ms"]))
                for model, group in groups.items()
            },
            longest=max(row["full_ms_high"] or row["full_ms"] for row in rows),
            doubts=_doubts(results),
            starts=max(len((each.get("start") or {}).get("load_ms", ())) for each in results),
            images=max((each.get("accuracy") or {}).get("total", 0) for each in results),
        )
    )
    files.write_text(path, page)


def _doubts(results: Sequence[dict[str, Any]]) -> list[Doubt]:
    """Each reason once, with where it holds; reasons end with how many visits, in brackets."""
    where: dict[str, dict[str, None]] = defaultdict(dict)
    for result in results:
        for reason in result["suspect"]:
            where[reason.partition(" (")[0]][result["device"]] = None
    return [Doubt(reason, ", ".join(devices)) for reason, devices in where.items()]
