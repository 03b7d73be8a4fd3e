"""How far a table's calibrated predictions can be trusted: holdout networks tell."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.errors import TableError
from harness.tables.calibration import Floats, calibrate, fit, left_out, measured_networks
from harness.tables.record import Record
from harness.tables.repeat import Repeat
from harness.tables.statements import AT, SILENT, Statements, statements
from harness.tables.table import Table


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
    spearman: float
    floor_within_5: float
    floor_within_10: float
    floor_mape: float
    simulated: bool = False  # so were the networks, whole

    def describe(self) -> str:
        if self.simulated:
            return (
                f"{self.within_5:.0%} of {self.networks} holdout networks within 5 % and "
                f"{self.within_10:.0%} within 10 % of simulating them whole"
            )
        return (
            f"{self.within_5:.0%} of {self.networks} holdout networks within 5 % and "
            f"{self.within_10:.0%} within 10 % of measured "
            f"(noise floor, half of the visits against the other half: "
            f"{self.floor_within_5:.0%} and {self.floor_within_10:.0%})"
        )


def end_to_end_error(table: Table, clock: str) -> EndToEndError:
    """The error of the table's blocks on the holdout networks of the newest calibration.

    Raises:
        TableError: none were measured.
    """
    if table.source is not None:
        raise TableError(f"the table of {table.device} is imported: its error was never measured")
    campaign = table.calibrating_campaign()
    sums, measured = measured_networks(table, "holdout", clock, campaign)
    if not len(measured):
        raise TableError(f"the table of {table.device} has no holdout networks")
    predicted = calibrate(table, clock, campaign).network(sums)
    errors = np.abs(predicted / measured - 1)
    floor = _halves(table.select("holdout", clock, campaign))
    return EndToEndError(
        networks=len(measured),
        within_5=float(np.mean(errors <= 0.05)),
        within_10=float(np.mean(errors <= 0.10)),
        mape=float(errors.mean()),
        spearman=spearman(predicted, measured),
        floor_within_5=float(np.mean(floor <= 0.05)),
        floor_within_10=float(np.mean(floor <= 0.10)),
        floor_mape=float(floor.mean()),
        simulated=table.simulated is not None,
    )


def calibrated_statements(table: Table, clock: str, campaign: str | None) -> Statements:
    """What the table's calibrated sums say of networks, with errors of networks left out of fits.

    Those are the holdouts, and each anchor by a calibration to the others. For the machine as it
    was during `campaign`, or (None) whenever it will be measured. A campaign that has no holdouts
    is judged by its own anchors alone: those of the table's were measured on another day.
    """
    if table.source is not None or table.simulated is not None:
        return SILENT
    calibrating = campaign or table.calibrating_campaign()
    predicted, records = _unseen(table, clock, calibrating)
    walls = {
        (record.campaign, record.role, record.blocks): record.statistics
        for record in table.records
        if record.clock == "wall" and record.role in ("anchor", "holdout")
    }
    full = [record.statistics for record in records]
    wall = [walls.get((record.campaign, record.role, record.blocks)) for record in records]
    # What campaigns of energies or memories differ by, nobody has measured.
    absolute = campaign is None and table.quantity == "latency"
    repeats = {at: Repeat.of(table, at) for at in AT} if absolute else {}
    return statements(predicted, full, wall, repeats)


def _unseen(table: Table, clock: str, campaign: str) -> tuple[Floats, list[Record]]:
    """Predictions of the campaign's networks by fits that had not seen them, and their records."""
    sums, measured = measured_networks(table, "anchor", clock, campaign)
    predictions = left_out(sums, measured)
    judging, judged = measured_networks(table, "holdout", clock, campaign)
    if len(judged):
        predictions = np.concatenate([predictions, fit(sums, measured).network(judging)])
    records = (table.select(role, clock, campaign) for role in ("anchor", "holdout"))
    return predictions, [record for of_role in records for record in of_role]


def spearman(a: Floats, b: Floats) -> float:
    """Rank correlation; ties get their mean rank. 0 where there is nothing to rank."""
    from scipy.stats import spearmanr

    if len(a) < 2 or any(np.ptp(values) == 0 for values in (a, b)):
        return 0.0
    return float(spearmanr(a, b).statistic)


def _halves(records: Sequence[Record]) -> Floats:
    """Relative differences between the halves, after taking out their common factor."""
    first = np.array([record.statistics.first_half for record in records], dtype=float)
    second = np.array([record.statistics.second_half for record in records], dtype=float)
    ratio = second / first
    return np.asarray(np.abs(ratio / np.median(ratio) - 1), dtype=float)
