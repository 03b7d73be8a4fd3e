"""The specialised networks that the OFA authors published: latency and ImageNet top-1 by device.

As their names say (`note10_lat@22ms_top1@76.6_finetune@25`), in han-cai/files, ofa_specialized;
`harness fetch specialized:NAME` brings their weights. Latencies are of a whole batch. The networks
are in `released_fronts.csv`.
"""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PUBLISHED_TABLES = {"note10-published": "galaxy-note10"}  # of one of their devices


@dataclass(frozen=True)
class ReleasedNetwork:
    """One of them."""

    latency_ms: float
    top1: float  # percent
    epochs: int  # fine-tuned


@cache
def released_fronts() -> dict[str, tuple[ReleasedNetwork, ...]]:
    """By device of our catalogue; the fastest first."""
    found: dict[str, tuple[ReleasedNetwork, ...]] = {}
    with Path(__file__).with_suffix(".csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            figures = float(row["latency_ms"]), float(row["top1"]), int(row["epochs"])
            found[row["device"]] = (*found.get(row["device"], ()), ReleasedNetwork(*figures))
    return found


def released_front(device: str) -> tuple[ReleasedNetwork, ...]:
    """Those of a device of our catalogue, or of its published table."""
    return released_fronts().get(PUBLISHED_TABLES.get(device, device), ())
