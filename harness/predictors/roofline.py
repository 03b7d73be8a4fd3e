"""Operations, time and traffic of networks and blocks: where they lie under a machine's roofs.

The roofline is Williams, Waterman and Patterson's (CACM 2009): a machine computes at most so many
operations a second, and at most so many for each byte that it moves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Protocol

from harness.errors import TableError
from harness.runtimes.dpu.architecture import Dpu
from harness.runtimes.dpu.model import network_cost
from harness.spaces.block import NUMBER_BYTES, Block
from harness.tables.batch import images_per_run

FOUND, V2, MNASNET = "found", "mobilenet-v2", "mnasnet-a1"  # groups of networks


@dataclass(frozen=True)
class RooflinePoint:
    """What one run of a network, or of a block alone, does: all images of its batch."""

    group: str  # one of the three; MobileNetV2 has several widths
    name: str
    macs: int
    latency_ms: float
    traffic_bytes: int

    @property
    def ops(self) -> int:
        """A multiply-accumulate is two."""
        return 2 * self.macs

    @property
    def gops(self) -> float:
        """Billions of operations in a second."""
        return self.ops / self.latency_ms / 1e6

    @property
    def ops_per_byte(self) -> float:
        """Arithmetic intensity."""
        return self.ops / self.traffic_bytes


@dataclass(frozen=True)
class Roof:
    """What nothing exceeds that computes at most `peak_gops` and moves at most `gb_s`."""

    what: str
    peak_gops: float
    gb_s: float

    def gops(self, ops_per_byte: float) -> float:
        return min(self.peak_gops, self.gb_s * ops_per_byte)


@dataclass(frozen=True)
class FarSmaller:
    """Networks of the space take far smaller images than the baselines, which are ImageNet's."""


@dataclass(frozen=True)
class NoFront:
    """Baselines alone."""

    path: Path


@dataclass(frozen=True)
class OtherModel:
    """The front was found with another model of the device; its networks are simulated anew."""

    model: str


@dataclass(frozen=True)
class OfFront:
    """Where latencies of a front's networks are from."""

    measured: int
    predicted: int


@dataclass(frozen=True)
class NoBaselines:
    """Nobody timed them as the device's table was."""

    imported: bool = False  # nor can, without the device
    apart: tuple[str, Any, Any] | None = None  # a setting, of theirs and of the table's


@dataclass(frozen=True)
class LeftOut:
    """Networks or blocks that cannot be told."""

    names: tuple[str, ...]
    why: str


Note = FarSmaller | NoFront | OtherModel | OfFront | NoBaselines | LeftOut


@dataclass(frozen=True)
class Roofline:
    """What is drawn, with all that is needed to judge it."""

    device: str
    space: str
    evidence: str  # what stands behind the times
    traffic: str  # how bytes are counted
    least: bool  # whether more may be moved: then intensities are upper bounds
    roofs: tuple[Roof, ...]  # none where nobody measured the machine's peaks
    networks: tuple[RooflinePoint, ...]
    blocks: tuple[RooflinePoint, ...]  # alone
    notes: tuple[Note, ...]  # what is left out, and what the others are
    images_per_run: int = 1  # that each network and block does

    def group(self, name: str) -> tuple[RooflinePoint, ...]:
        """Its networks; none where nobody timed them."""
        return tuple(work for work in self.networks if work.group == name)


class Machine(Protocol):
    """What tells the time and the traffic of blocks: one alone, or a whole network."""

    @property
    def traffic(self) -> str:
        """How bytes are counted."""

    @property
    def roofs(self) -> tuple[Roof, ...]: ...

    def work(self, group: str, name: str, blocks: Sequence[Block]) -> RooflinePoint:
        """Raises Infeasible where it cannot run them, TableError where nobody timed them."""


@dataclass(frozen=True)
class SimulatedMachine:
    """A DPU by its cost model, which tells what it moves; its peaks are known."""

    dpu: Dpu

    @property
    def traffic(self) -> str:
        return "weights and maps as the cost model moves them; a map that fits stays on the chip"

    @property
    def roofs(self) -> tuple[Roof, ...]:
        """Of the memory as maps get it, and of what its chips could give."""
        peak, share = self.dpu.ddr_gb_s, self.dpu.constants.ddr_share
        return (
            Roof("that maps get of the DDR", self.dpu.peak_gops, share * peak),
            Roof("peak of the DDR", self.dpu.peak_gops, peak),
        )

    def work(self, group: str, name: str, blocks: Sequence[Block]) -> RooflinePoint:
        """Raises Infeasible: the DPU cannot run them."""
        cost = network_cost(self.dpu, blocks)
        latency_ms = self.dpu.nanoseconds(cost.cycles) / 1e6
        return RooflinePoint(group, name, macs_of(blocks), latency_ms, cost.traffic_bytes)


@dataclass(frozen=True)
class MeasuredMachine:
    """Blocks and networks that were timed; their traffic is the least that there can be."""

    identity: Mapping[str, Any]  # of its tables
    times_ms: Mapping[tuple[Block, ...], float]

    @property
    def traffic(self) -> str:
        note = "" if "precision" in self.identity else " (supposed: the table does not tell)"
        return (
            "at least input, output and parameters of each block once, in "
            f"{precision(self.identity)}{note}"
        )

    @property
    def roofs(self) -> tuple[Roof, ...]:
        """None: nobody measured the machine's peaks."""
        return ()

    def work(self, group: str, name: str, blocks: Sequence[Block]) -> RooflinePoint:
        """Raises TableError: nobody timed them."""
        key = tuple(blocks)
        if key not in self.times_ms:
            raise TableError("nobody timed it here")
        batch, size = images_per_run(self.identity), NUMBER_BYTES[precision(self.identity)]
        traffic = sum(least_traffic_bytes(block, size, batch) for block in blocks)
        return RooflinePoint(group, name, batch * macs_of(blocks), self.times_ms[key], traffic)


def precision(identity: Mapping[str, Any]) -> str:
    """Of the numbers that a device moves; an imported table does not tell, and has float32."""
    autocast = identity.get("torch", {}).get("autocast", "off")
    return str(identity.get("precision", "float32") if autocast == "off" else autocast)


def macs_of(blocks: Sequence[Block]) -> int:
    """Of one image."""
    return sum(block.macs for block in blocks)


def least_traffic_bytes(block: Block, bytes_per_number: int, batch: int = 1) -> int:
    """What no execution block by block can avoid: input, output and parameters, each once.

    Maps inside the block may stay in a cache or register. Batch norms that a runtime folded into
    the weights are counted too, a few percent of a block's parameters.
    """
    before, after = prod(block.input_shape), prod(block.output_shape)
    return bytes_per_number * (batch * (before + after) + block.params)
