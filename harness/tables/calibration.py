"""From sums over a table to whole networks.

A network is not the sum of its blocks timed alone: inside it weights are colder, memory is laid
out differently, and the runtime is called once and not once a block. Anchor networks, timed in the
same rounds, give the few numbers that turn sums into networks.

Numbers are in the table's unit, ns of latency or nJ of energy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.errors import TableError
from harness.spaces.block import Block

if TYPE_CHECKING:
    from harness.tables.table import Table

Floats = npt.NDArray[np.float64]
STAGES_FROM = 20  # anchors; with fewer, one scale serves all stages
_NOISE = 0.02  # relative, of one anchor
_EDGE, _ITERATIONS = 3.0, 30  # of the noise, in standard deviations; Huber's weights settle sooner
# Of the scale; of the cost per block and the offset, in mean blocks; of what weights cost, as a
# share of the mean network; of a stage's own scale.
_SCALE_SD, _PER_BLOCK_SD, _OFFSET_SD, _WEIGHTS_SD, _STAGE_SD = 0.3, 0.5, 1.0, 0.1, 0.05


@dataclass(frozen=True)
class Calibration:
    """network = offset + sum over its blocks of (scale of its stage * block alone
    + per_block + per_parameter * its parameters).

    `per_block` is below zero by what one call of the runtime costs: a block timed alone pays
    it, a block inside a network does not. `per_parameter` is above zero by what it costs to
    fetch weights: those of a block that runs alone, again and again, are in the cache already.
    """

    scales: Mapping[str, float]  # by stage
    scale: float  # of blocks that are in no stage
    per_block: float
    per_parameter: float
    offset: float
    anchors: int  # 0: not calibrated

    def block_part(self, block: Block, alone: float) -> float:
        """A block's part of a network."""
        return self.part(block, alone, block.params)

    def part(self, block: Block, alone: float, params: float) -> float:
        """The same, where so many of its parameters are fetched."""
        own = self.scales.get(stage_of(block), self.scale) * alone
        return own + self.per_block + self.per_parameter * params

    def network(self, sums: "Sums") -> Floats:
        scales = np.array([self.scales.get(stage, self.scale) for stage in sums.stages])
        alone = sums.stage_values @ scales + self.per_block * sums.blocks
        return np.asarray(alone + self.per_parameter * sums.params + self.offset)


UNCALIBRATED = Calibration({}, 1.0, 0.0, 0.0, 0.0, 0)


def stage_of(block: Block) -> str:
    """The stage that a block belongs to; those of stem and head share one."""
    return block.stage or "other"


@dataclass(frozen=True)
class Sums:
    """Networks as a table sees them."""

    stages: tuple[str, ...]
    stage_values: Floats  # [networks, stages], sums over the blocks of each stage
    blocks: Floats  # [networks], how many there are
    params: Floats  # [networks], their parameters

    @classmethod
    def of(cls, networks: Sequence[Sequence[Block]], block_values: Mapping[Block, float]) -> "Sums":
        """Raises TableError where a block is not in the table."""
        stages = tuple(sorted({stage_of(block) for blocks in networks for block in blocks}))
        stage_values = np.zeros((len(networks), len(stages)))
        for row, blocks in enumerate(networks):
            for block in blocks:
                stage_values[row, stages.index(stage_of(block))] += block_value(block_values, block)
        params = [float(sum(block.params for block in blocks)) for blocks in networks]
        counts = [float(len(blocks)) for blocks in networks]
        return cls(stages, stage_values, np.array(counts), np.array(params))

    def only(self, rows: npt.NDArray[np.bool_]) -> "Sums":
        """Some of the networks."""
        return Sums(self.stages, self.stage_values[rows], self.blocks[rows], self.params[rows])

    @property
    def total(self) -> Floats:
        """[networks]"""
        return np.asarray(self.stage_values.sum(axis=1))


def left_out(sums: Sums, measured: Floats) -> Floats:
    """What each network [n] is predicted to take by a fit to all others.

    Raises:
        TableError: they do not rise with their sums.
    """
    own_stages = len(measured) >= STAGES_FROM
    predicted = np.empty(len(measured))
    for number in range(len(measured)):
        others = np.arange(len(measured)) != number
        fitted = fit(sums.only(others), measured[others], own_stages)
        predicted[number] = fitted.network(sums.only(~others))[0]
    return predicted


def fit(
    sums: Sums, measured: Floats, own_stages: bool | None = None, offset: float | None = None
) -> Calibration:
    """The calibration with the least squared relative error; `offset` is its own where it is known.

    A ridge regression toward scale 1 and nothing else: sums and numbers of blocks rise together,
    and few noisy anchors alone would not tell them apart. From 20 anchors on each stage has its
    own scale, drawn toward the common one. An anchor far from all others (measured while the
    machine was at another speed) pulls no harder than one at the edge of their noise.

    Raises:
        TableError: the anchors do not rise with their sums; the measurement is useless.
    """
    mean_block = float((sums.total / sums.blocks).mean())
    mean_parameter = float(sums.total.mean() / max(1.0, sums.params.mean()))
    columns = [
        sums.total,
        sums.blocks * mean_block,
        np.full_like(sums.blocks, mean_block if offset is None else 0.0),
        sums.params * mean_parameter,
    ]
    prior_sd = [_SCALE_SD, _PER_BLOCK_SD, _OFFSET_SD, _WEIGHTS_SD]
    if len(measured) >= STAGES_FROM if own_stages is None else own_stages:
        columns += list(sums.stage_values.T)
        prior_sd += [_STAGE_SD] * len(sums.stages)
    design = np.stack(columns, axis=1) / measured[:, None]
    surprise = 1 - design[:, 0] - (offset or 0.0) / measured
    common, per_block, more, weights, *own = _robust(design, surprise, np.array(prior_sd))
    scales = {
        stage: float(1 + common + each) for stage, each in zip(sums.stages, own, strict=False)
    }
    if 1 + common <= 0 or any(scale <= 0 for scale in scales.values()):
        raise TableError(
            "calibration failed: anchor networks with more work were not slower; "
            "repeat with `harness measure --fresh` on a quieter machine"
        )
    return Calibration(
        scales,
        float(1 + common),
        float(per_block * mean_block),
        float(weights * mean_parameter),
        float(more * mean_block) if offset is None else offset,
        len(measured),
    )


def _robust(design: Floats, surprise: Floats, prior_sd: Floats) -> Floats:
    """The ridge with Huber's weights (1964), found by solving it again and again."""
    weight = np.ones(len(design))
    for _ in range(_ITERATIONS):
        rows = np.sqrt(weight) / _NOISE
        stacked = np.concatenate([design * rows[:, None], np.diag(1 / prior_sd)])
        target = np.concatenate([surprise * rows, np.zeros(len(prior_sd))])
        found, *_ = np.linalg.lstsq(stacked, target)
        errors = np.abs(surprise - design @ found)
        edge = _EDGE * max(_NOISE, 1.4826 * float(np.median(errors)))
        weight = np.minimum(1.0, edge / np.maximum(errors, edge))
        if weight.min() == 1.0:
            break
    return np.asarray(found)


def calibrate(table: "Table", clock: str, campaign: str | None = None) -> Calibration:
    """The calibration of the table's blocks to the anchors of `campaign` (default: the newest).

    Imported tables have no anchors: their sums are taken as they are.

    Raises:
        TableError: there are fewer than three anchors, or they contradict the table.
    """
    if table.source is not None:
        return UNCALIBRATED
    campaign = campaign or table.calibrating_campaign()
    sums, measured = measured_networks(table, "anchor", clock, campaign)
    if len(measured) < 3:
        raise TableError(f"campaign {campaign} of {table.device} has fewer than 3 anchor networks")
    return fit(sums, measured)


def measured_networks(table: "Table", role: str, clock: str, campaign: str) -> tuple[Sums, Floats]:
    """Sums over the table's blocks, and what was measured, [networks]."""
    records = table.select(role, clock, campaign)
    if not records:
        return Sums((), np.zeros((0, 0)), np.zeros(0), np.zeros(0)), np.zeros(0)
    sums = Sums.of([record.blocks for record in records], table.block_values(clock))
    return sums, np.array([record.statistics.value for record in records], dtype=float)


def block_value(values: Mapping[Block, float], block: Block) -> float:
    """A block's entry.

    Raises:
        TableError: the table does not have it.
    """
    if block not in values:
        raise TableError(f"the table has no block {block.key}; repeat with `harness measure`")
    return values[block]
