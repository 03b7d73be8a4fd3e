"""Where the time and energy of networks go, block by block, from a device's tables."""

from collections.abc import Sequence
from dataclasses import dataclass

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


def break_down(
    networks: Sequence[Network], latency: Table, energy: Table | None = None
) -> list[Part]:
    """The parts of every network; those of one sum up to what the tables predict of it.

    Raises:
        TableError: a table lacks a block, or cannot be calibrated.
    """
    parts = []
    for network in networks:
        names = [*(block.key for block in network.blocks), "besides blocks"]
        times = _values(network, latency)
        energies = _values(network, energy) if energy else [None] * len(names)
        for place, (name, time, used) in enumerate(zip(names, times, energies, strict=True)):
            parts.append(Part(network.name, place, name, time, used))
    return parts


def _values(network: Network, table: Table) -> list[float]:
    """ms, or mJ, of each block and of the rest."""
    calibration = calibrate(table, table.clock)
    values = table.block_values(table.clock)
    parts = [calibration.block_part(b, block_value(values, b)) for b in network.blocks]
    return [network.calls * part / 1e6 for part in [*parts, calibration.offset]]
