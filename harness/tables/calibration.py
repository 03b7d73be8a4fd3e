"""From sums over a table to whole networks, and how far that can be trusted.

A network is not the sum of its blocks timed alone: inside it weights are colder, memory is laid
out differently, and the runtime is called once and not once a block. Ten anchor networks, timed in
the same rounds, give three numbers that turn sums into networks; holdout networks that took no part
in it give the error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.errors import TableError
from harness.spaces.block import Block
from harness.tables.record import Record
from harness.tables.table import Table

Floats = npt.NDArray[np.float64]
_NOISE = 0.02  # relative, of one anchor
_PRIOR_SD = np.array([0.3, 0.5, 1.0])  # of scale; of per block and offset in mean blocks


@dataclass(frozen=True)
class Calibration:
    """network = scale * (sum of its blocks) + per_block_ns * (number of blocks) + offset_ns.

    `per_block_ns` is below zero by what one call of the runtime costs: a block timed alone pays
    it, a block inside a network does not.
    """

    scale: float
    per_block_ns: float
    offset_ns: float
    anchors: int

    def block_ns(self, alone_ns: float) -> float:
        """A block's part of a network's time."""
        return self.scale * alone_ns + self.per_block_ns

    def network_ns(self, sums: "Sums") -> Floats:
        return self.scale * sums.block_ns + self.per_block_ns * sums.blocks + self.offset_ns


@dataclass(frozen=True)
class Sums:
    """Networks as a table sees them, each array [networks]."""

    block_ns: Floats  # sum over the blocks
    blocks: Floats  # how many there are


def fit(sums: Sums, measured_ns: Floats) -> Calibration:
    """The calibration with the least squared relative error.

    A ridge regression toward scale 1 and nothing else: sums and numbers of blocks rise together,
    and few noisy anchors alone would not tell them apart.

    Raises:
        TableError: the anchors do not rise with their sums; the measurement is useless.
    """
    mean_block_ns = float((sums.block_ns / sums.blocks).mean())
    columns = [sums.block_ns, sums.blocks * mean_block_ns, np.full_like(sums.blocks, mean_block_ns)]
    design = np.stack(columns, axis=1) / measured_ns[:, None]
    surprise = 1 - design[:, 0]
    stacked = np.concatenate([design / _NOISE, np.diag(1 / _PRIOR_SD)])
    target = np.concatenate([surprise / _NOISE, np.zeros(3)])
    (scale, per_block, offset), *_ = np.linalg.lstsq(stacked, target)
    if 1 + scale <= 0:
        raise TableError(
            "calibration failed: anchor networks with more work were not slower; "
            "repeat with `harness measure --fresh` on a quieter machine"
        )
    return Calibration(
        float(1 + scale),
        float(per_block * mean_block_ns),
        float(offset * mean_block_ns),
        len(measured_ns),
    )


def calibrate(table: Table, clock: str, campaign: str) -> Calibration:
    """The calibration of the table's blocks to the anchors of `campaign`.

    Raises:
        TableError: there are fewer than three anchors, or they contradict the table.
    """
    sums, measured = _networks(table, "anchor", clock, campaign)
    if len(measured) < 3:
        raise TableError(f"campaign {campaign} of {table.device} has fewer than 3 anchor networks")
    return fit(sums, measured)


@dataclass(frozen=True)
class EndToEndError:
    """How calibrated predictions of holdout networks compare with measuring them.

    Shares are of networks within 5 or 10 % of measured. The floor is how well measurements agree
    with themselves: the first half of each network's visits against the second, rescaled. Half the
    visits are noisier than all of them, so predictions can come out below it.
    """

    networks: int
    within_5: float
    within_10: float
    mape: float  # mean absolute relative error, 0..1
    p95: float  # relative error that 95 % of the networks stay below
    spearman: float
    floor_within_5: float
    floor_within_10: float
    floor_mape: float

    def describe(self) -> str:
        return (
            f"{self.within_5:.0%} of {self.networks} holdout networks within 5 % and "
            f"{self.within_10:.0%} within 10 % of measured "
            f"(noise floor, half of the visits against the other half: "
            f"{self.floor_within_5:.0%} and {self.floor_within_10:.0%})"
        )


def end_to_end_error(table: Table, clock: str) -> EndToEndError:
    """The error of the table's blocks on the holdout networks of their campaign.

    Raises:
        TableError: the campaign measured none.
    """
    campaign = table.block_campaign()
    sums, measured = _networks(table, "holdout", clock, campaign)
    if not len(measured):
        raise TableError(f"the table of {table.device} has no holdout networks")
    predicted = calibrate(table, clock, campaign).network_ns(sums)
    errors = np.abs(predicted / measured - 1)
    floor = _halves(table.select("holdout", clock, campaign))
    return EndToEndError(
        networks=len(measured),
        within_5=float(np.mean(errors <= 0.05)),
        within_10=float(np.mean(errors <= 0.10)),
        mape=float(errors.mean()),
        p95=float(np.quantile(errors, 0.95)),
        spearman=spearman(predicted, measured),
        floor_within_5=float(np.mean(floor <= 0.05)),
        floor_within_10=float(np.mean(floor <= 0.10)),
        floor_mape=float(floor.mean()),
    )


def spearman(a: Floats, b: Floats) -> float:
    """Rank correlation; ties get their mean rank. 0 where there is nothing to rank."""
    ranks = [_mean_ranks(values) for values in (a, b)]
    if len(a) < 2 or any(np.ptp(rank) == 0 for rank in ranks):
        return 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _mean_ranks(values: Floats) -> Floats:
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = counts.cumsum()
    return (ends - (counts - 1) / 2)[group]


def _networks(table: Table, role: str, clock: str, campaign: str) -> tuple[Sums, Floats]:
    """Sums over the table's blocks, and measured times [networks] in ns."""
    times = table.block_ns(clock, table.block_campaign())
    records = table.select(role, clock, campaign)
    block_ns = [sum(block_time(times, block) for block in record.blocks) for record in records]
    blocks = [len(record.blocks) for record in records]
    measured = [record.statistics.value_ns for record in records]
    sums = Sums(np.array(block_ns, dtype=float), np.array(blocks, dtype=float))
    return sums, np.array(measured, dtype=float)


def block_time(times: Mapping[Block, int], block: Block) -> int:
    """A block's entry.

    Raises:
        TableError: the table does not have it.
    """
    if block not in times:
        raise TableError(
            f"the table has no block {block.key}; repeat with `harness measure --fresh`"
        )
    return times[block]


def _halves(records: Sequence[Record]) -> Floats:
    """Relative differences between the halves, after taking out their common factor."""
    first = np.array([record.statistics.first_half_ns for record in records], dtype=float)
    second = np.array([record.statistics.second_half_ns for record in records], dtype=float)
    ratio = second / first
    return np.asarray(np.abs(ratio / np.median(ratio) - 1), dtype=float)
