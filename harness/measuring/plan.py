"""What a campaign visits, and how thoroughly."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.errors import UsageError
from harness.runtimes import model_files
from harness.runtimes.session import Workload
from harness.spaces.arch import Arch
from harness.spaces.block import Block
from harness.spaces.cost import CostTable
from harness.spaces.genome import Genomes, decode, sample
from harness.spaces.space import Space
from harness.tables.table import FEWEST_IN_COMMON

HOLDOUTS = 20
USUAL_ANCHORS, FEWEST_ANCHORS = 20, 3
IN_COMMON = 5  # anchors of campaigns that share a table
_ANCHOR_SEED, _HOLDOUT_SEED = 101, 202
# Runs for long come after the visits and change nothing in them; entries tell what is left out.
_TOLD_ELSEWHERE = ("sustain_s", "fill_error")


@dataclass(frozen=True)
class Plan:
    """How thoroughly a campaign measures.

    Each workload is visited at least `min_visits` times, and then until the interval of its time is
    narrow or it has had `max_visits`.
    """

    min_visits: int
    max_visits: int
    runs: int  # timed runs of a visit
    interval: float  # relative half width at which a workload's time is known well enough
    duration_s: float  # the first `min_visits` rounds are spread over at least this time
    anchors: int  # networks that calibrate
    sustain_s: float = 0.0  # at most so long are networks run back to back; 0: they are not
    fill_error: float = 0.0  # that blocks left out may add to networks'; 0: all are visited
    seed: int = 0  # of the order; the same work with another seed is another campaign


@dataclass(frozen=True)
class Entry:
    """One workload of a campaign and what its record will be."""

    role: str
    workload: Workload
    blocks: tuple[Block, ...]
    arch: Arch | None = None


def table_entries(
    space: Space,
    anchors: int,
    blocks: Sequence[Block] | None = None,
    share: tuple[int, int] = (0, 1),
) -> list[Entry]:
    """What a latency table is measured from: sentinel, anchors, holdouts, blocks (None: all).

    `share`: the first of so many devices of one model, the second, ...: each has a part of them,
    and all have the sentinel and some anchors, which bring them to one level.

    Raises:
        UsageError: the space has too few networks to calibrate, or to compare devices by.
    """
    first, of = share
    guard, *networks = refit_entries(space, anchors)
    calibrating = [entry for entry in networks if entry.role == "anchor"]
    common = []
    if of > 1:
        places = _evenly(len(calibrating), min(IN_COMMON, len(calibrating)))
        common = [calibrating[place] for place in places]
        if 1 + len(common) < FEWEST_IN_COMMON:
            raise UsageError(
                f"{space.name} has only {len(common)} networks to compare devices by: measure it "
                "on one of them"
            )
    others = [entry for entry in networks if entry not in common]
    chosen = space.distinct_blocks() if blocks is None else blocks
    return [guard, *common, *others[first::of], *block_entries(chosen[first::of])]


def block_entries(blocks: Sequence[Block]) -> list[Entry]:
    return [Entry("block", (block,), (block,)) for block in blocks]


def refit_entries(space: Space, anchors: int) -> list[Entry]:
    """What calibrates a table anew and judges it: sentinel, anchors, holdouts."""
    calibrating = calibration_entries(space, anchors)
    known = {entry.blocks for entry in calibrating}
    drawn = sample(space, 4 * HOLDOUTS, np.random.default_rng(_HOLDOUT_SEED))
    judges = [entry for entry in _networks("holdout", space, drawn) if entry.blocks not in known]
    return [*calibrating, *judges[:HOLDOUTS]]


def first_look_entries(space: Space, networks: int) -> list[Entry]:
    """The sentinel, and as many networks as given; one alone is of middle size."""
    if networks > 1:
        return calibration_entries(space, networks)
    drawn = _by_macs(space)
    return [sentinel(space), network_entry("anchor", space, decode(space, drawn[len(drawn) // 2]))]


def calibration_entries(space: Space, anchors: int) -> list[Entry]:
    """What every campaign visits to be comparable with others: the sentinel and the anchors.

    Anchors are the smallest network and random ones from the least to the most MACs, as many
    between any two; fewer are some of the usual ones, so that campaigns have networks in common.
    The sentinel, which is visited all the time, is a rather small block.
    """
    smallest = CostTable.of(space, lambda block: block.macs).cheapest()[1]
    drawn = _by_macs(space)
    drawn = drawn[(drawn != smallest).any(axis=1)]
    if len(drawn):
        drawn = drawn[_evenly(len(drawn), max(USUAL_ANCHORS, anchors) - 1)]
    spread = drawn[_evenly(len(drawn), anchors - 1)]
    entries = _networks("anchor", space, [smallest, *spread])
    if len(entries) < FEWEST_ANCHORS:
        raise UsageError(
            f"{space.name} has only {len(entries)} different networks: measure them one by one "
            "with `harness benchmark`"
        )
    return [sentinel(space), *entries]


def _evenly(count: int, chosen: int) -> npt.NDArray[np.int64]:
    """Which of `count` to take, from the first to the last."""
    return np.linspace(0, count - 1, chosen if count else 0).astype(np.int64)


def _by_macs(space: Space) -> Genomes:
    """Random networks that calibrate, in order of rising MACs."""
    drawn = np.unique(sample(space, 400, np.random.default_rng(_ANCHOR_SEED)), axis=0)
    return drawn[np.argsort(CostTable.of(space, lambda block: block.macs).total(drawn))]


def sentinel(space: Space) -> Entry:
    """The elastic block that a quarter of the space's have fewer MACs than."""
    blocks = [block for block in space.distinct_blocks() if block.stage is not None]
    blocks = blocks or list(space.distinct_blocks())
    chosen = sorted(blocks, key=lambda block: (block.macs, block))[len(blocks) // 4]
    return Entry("sentinel", (chosen,), (chosen,))


def _networks(role: str, space: Space, genomes: Iterable[Genomes]) -> list[Entry]:
    """An entry for each network that differs; a small space has fewer than are drawn."""
    entries = (network_entry(role, space, decode(space, genome)) for genome in genomes)
    return list({entry.blocks: entry for entry in entries}.values())


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
        "plan": {name: each for name, each in asdict(plan).items() if name not in _TOLD_ELSEWHERE},
        "entries": [[entry.role, *_names(entry)] for entry in entries],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]


def _names(entry: Entry) -> list[str]:
    if isinstance(entry.workload, Path):  # a file of the same name may hold other weights
        return [entry.workload.name, model_files.digest(entry.workload)]
    return [block.key for block in entry.blocks]
