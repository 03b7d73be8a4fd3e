"""What a campaign visits, and how thoroughly."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.runtimes.session import Workload
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.cost import CostTable
from harness.spaces.genome import decode, sample
from harness.spaces.space import Space

ANCHORS, HOLDOUTS = 10, 20
_ANCHOR_SEED, _HOLDOUT_SEED = 101, 202


@dataclass(frozen=True)
class Plan:
    """How thoroughly a campaign measures."""

    rounds: int  # visits of each workload
    runs: int  # timed runs of a visit
    duration_s: float  # rounds are spread over at least this time
    seed: int = 0  # of the order; the same work with another seed is another campaign


@dataclass(frozen=True)
class Entry:
    """One workload of a campaign and what its record will be."""

    role: str
    workload: Workload
    blocks: tuple[Block, ...]
    arch: Arch | None = None


def table_entries(space: Space) -> list[Entry]:
    """What a latency table is measured from: sentinel, all blocks, anchors, holdouts."""
    blocks = [Entry("block", (block,), (block,)) for block in space.distinct_blocks()]
    rng = np.random.default_rng(_HOLDOUT_SEED)
    holdouts = [decode(space, genome) for genome in sample(space, HOLDOUTS, rng)]
    return [
        *calibration_entries(space),
        *blocks,
        *(network_entry("holdout", space, arch) for arch in holdouts),
    ]


def calibration_entries(space: Space) -> list[Entry]:
    """What every campaign visits to be comparable with others: the sentinel and the anchors.

    Anchors are the smallest network and random ones from the least to the most MACs, as many
    between any two; the sentinel is the smallest network, which is cheap to visit often.
    """
    macs = CostTable.of(space, lambda block: block.macs)
    smallest = macs.cheapest()[1]
    drawn = sample(space, 40 * ANCHORS, np.random.default_rng(_ANCHOR_SEED))
    drawn = drawn[np.argsort(macs.total(drawn))]
    spread = drawn[np.linspace(0, len(drawn) - 1, ANCHORS - 1).astype(int)]
    anchors = [decode(space, genome) for genome in (smallest, *spread)]
    return [
        network_entry("sentinel", space, anchors[0]),
        *(network_entry("anchor", space, arch) for arch in anchors),
    ]


def network_entry(role: str, space: Space, arch: Arch) -> Entry:
    blocks = space.blocks(arch)
    return Entry(role, blocks, blocks, arch)


def campaign_id(
    identity: Mapping[str, Any],
    environment: Mapping[str, str],
    entries: Sequence[Entry],
    plan: Plan,
) -> str:
    """A name that is equal exactly when visits of two runs may stand in one journal."""
    content = {
        "identity": dict(identity),
        "environment": dict(environment),
        "plan": asdict(plan),
        "entries": [[entry.role, *_names(entry)] for entry in entries],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _names(entry: Entry) -> list[str]:
    if isinstance(entry.workload, Path):
        return [entry.workload.name]
    return [block.key for block in entry.blocks]
