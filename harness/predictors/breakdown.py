"""Where the time and energy of networks go, block by block, from a device's tables.

A request runs each network once, or as often as it says, on a batch of the device's size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import TableError
from harness.spaces.block import Block
from harness.tables.calibration import block_value, calibrate
from harness.tables.table import Table


@dataclass(frozen=True)
class Network:
    """A network of a pipeline, and how often one request calls it."""

    name: str
    blocks: tuple[Block, ...]
    calls: int = 1


@dataclass(frozen=True)
class Part:
    """What one block of a network takes in one request, over all its calls."""

    network: str
    place: int  # in the network; after the last block what runs take besides blocks
    what: str
    latency_ms: float
    energy_mj: float | None  # None: nobody measured it
    images_per_run: int = 1  # of one request, too


def break_down(
    networks: Sequence[Network], latency: Table, energy: Table | None = None
) -> list[Part]:
    """The parts of every network, none below zero; those of one sum up to what the tables predict.

    Raises:
        TableError: a table lacks a block, or cannot be calibrated; or the two are of other batches.
    """
    images = latency.images_per_run
    if energy is not None and energy.images_per_run != images:
        raise TableError(
            f"energies of {energy.device} are of {energy.images_per_run} images a run, its "
            f"latencies of {images}: measure one of them again"
        )
    times = _values(networks, latency)
    energies = _values(networks, energy) if energy else None
    parts = []
    for number, network in enumerate(networks):
        for place, latency_ms in enumerate(times[number]):
            last = place == len(network.blocks)
            what = "besides blocks" if last else network.blocks[place].key
            energy_mj = energies[number][place] if energies else None
            parts.append(Part(network.name, place, what, latency_ms, energy_mj, images))
    return parts


def _values(networks: Sequence[Network], table: Table) -> list[list[float]]:
    """ms, or mJ, of each network's blocks and of the rest."""
    calibration = calibrate(table, table.clock)
    values = table.block_values(table.clock)
    found = []
    for network in networks:
        parts = [calibration.block_part(b, block_value(values, b)) for b in network.blocks]
        shared = shares([*parts, calibration.offset])
        found.append([network.calls * part / 1e6 for part in shared])
    return found


def shares(parts: Sequence[float]) -> list[float]:
    """The same sum in parts that are not below zero; the last is what runs take besides blocks.

    A calibration fits networks. Of a block that costs next to nothing it may take away more than
    there is, and what is below zero besides blocks is saved by all of them: it is taken from the
    other parts in proportion.
    """
    above = [max(0.0, part) for part in parts]
    total, whole = sum(parts), sum(above)
    scale = total / whole if 0 < total < whole < math.inf else 1.0
    return [part * scale for part in above]
