"""Networks of others that a front is shown beside."""

import math
from dataclasses import dataclass

from harness.networks.baselines import BASELINES
from harness.networks.released_fronts import released_front
from harness.tables.table import Table

RELEASED = "published OFA networks"
BASELINE = "baselines"


@dataclass(frozen=True)
class Reference:
    """One of them, on the front's device."""

    group: str
    name: str
    latency_ms: float
    accuracy: float  # ImageNet top-1 as published, percent
    source: str


def references(device: str, baselines: Table | None) -> tuple[Reference, ...]:
    """What the OFA authors published for the device, and baselines that were timed on it.

    For spaces of ImageNet: accuracies are of its images.
    """
    epochs = "the authors' name of the network; fine-tuned for {} epochs"
    found = [
        Reference(
            RELEASED,
            f"OFA, {each.latency_ms:g} ms",
            each.latency_ms,
            each.top1,
            epochs.format(each.epochs),
        )
        for each in released_front(device)
    ]
    if baselines is not None:
        group = f"{BASELINE}, {'simulated' if baselines.simulated else 'timed here'}"
        newest = baselines.newest()
        records = baselines.select("network", baselines.clock, newest)
        times_ms = {record.blocks: record.statistics.value / 1e6 for record in records}
        for each in BASELINES:
            latency_ms = times_ms.get(each.blocks, math.inf)
            if math.isfinite(latency_ms):  # some devices cannot run all
                found.append(Reference(group, each.name, latency_ms, each.top1, each.source))
    return tuple(found)
