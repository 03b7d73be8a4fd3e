"""Which predictor a table gives: its blocks where it has them, else what few networks tell."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from harness.errors import TableError
from harness.predictors.block_table import BlockTablePredictor
from harness.predictors.few_shot import FEWEST, FewShotPredictor, Floats, fit_networks
from harness.predictors.transfer import Transferred, transfer
from harness.spaces.genome import Genomes, encode
from harness.spaces.space import Space
from harness.tables.repeat import Repeat
from harness.tables.statements import AT, Statements, statements
from harness.tables.table import Table

_WHICH = ("processor", "gpu", "power_mode", "battery_saver", "conditions")
"""Parts of the identity that say which device of its kind it is, and at what speed it is kept."""


def latency_predictor(
    table: Table, space: Space, known: Sequence[Table] = (), campaign: str | None = None
) -> BlockTablePredictor | FewShotPredictor | Transferred:
    """The best predictor that the table gives, for the machine as it was during `campaign`.

    A table that has whole networks and no blocks yet is completed by what is believed of every
    device, or by one of the `known` tables, whichever is the more certain.

    Raises:
        TableError: the table holds too little for any of them.
    """
    if table.has_blocks:
        return BlockTablePredictor.from_table(table, space, table.clock, campaign)
    look = table.first_look()
    first_look = _first_look(table, space, known)
    error = _log_error(first_look)
    if campaign is None:
        # Of a device that others measured nobody here will start another campaign.
        repeats = {} if table.source else {at: Repeat.of(table, at) for at in AT}
        return replace(first_look, statements=_stated(table, look, error, repeats))
    restated = transfer(first_look, *_anchors(table, space, campaign), table.device)
    anew = _log_error(restated)
    # A fitted model has seen most of these anchors: they cannot make it more certain.
    if isinstance(first_look, FewShotPredictor):
        anew = max(error, anew)
    return replace(restated, statements=_stated(table, campaign, anew, {}))


def _stated(table: Table, campaign: str, error: float, repeats: Mapping[str, Repeat]) -> Statements:
    """What is known of networks predicted with that error, in logarithms, at full speed.

    What users see follows from its ratio to full speed on the campaign's own networks.
    """
    records = table.select("anchor", table.clock, campaign)
    walls = {
        record.blocks: record.statistics for record in table.select("anchor", "wall", campaign)
    }
    full = [record.statistics for record in records]
    measured = np.array([each.value for each in full], dtype=float)
    wall = [walls.get(record.blocks) for record in records]
    return statements(measured, full, wall, repeats, error)


def _first_look(
    table: Table, space: Space, known: Sequence[Table]
) -> FewShotPredictor | Transferred:
    records = table.select("anchor", table.clock, table.first_look())
    found: list[FewShotPredictor | Transferred] = [
        transfer(
            BlockTablePredictor.from_table(other, space, other.clock),
            *_anchors(table, space, table.first_look()),
            other.device,
        )
        for other in known
    ]
    if len(records) >= FEWEST:
        measured_ms = np.array([record.statistics.value for record in records]) / 1e6
        found.append(fit_networks(space, [record.blocks for record in records], measured_ms))
    if not found:
        raise TableError(
            f"the table of {table.device} has {len(records)} networks and no blocks; "
            "make it whole with `harness measure`"
        )
    return min(found, key=_log_error)


def _log_error(predictor: FewShotPredictor | Transferred) -> float:
    error = predictor.statements["full"].log_error
    assert error is not None, "what was fitted to networks judges itself"
    return error


def _anchors(table: Table, space: Space, campaign: str) -> tuple[Genomes, Floats]:
    """The networks that the campaign measured, and their latencies in ms."""
    records = table.select("anchor", table.clock, campaign)
    archs = [record.arch for record in records if record.arch is not None]
    return encode(space, archs), np.array([r.statistics.value for r in records]) / 1e6


def alike(table: Table, identity: dict[str, object], space: Space) -> bool:
    """Whether a table has all blocks of the space, of a device whose latencies are proportional to
    those of one of `identity`: of its kind, and set like it."""
    return (
        _kind(table.identity) == _kind(identity)
        and table.has_blocks
        and set(space.distinct_blocks()) <= table.block_values(table.clock).keys()
    )


def _kind(identity: dict[str, object]) -> dict[str, object]:
    """What does the work (a CPU of this instruction set, a GPU, a delegate, a DPU) and how.

    All that an identity holds counts unless it is known not to: runtime, clock, batch, threads,
    precision, memory format, CUDA graphs, autocast, delegate, and what comes to be told later.
    """
    found = {name: value for name, value in identity.items() if name not in _WHICH}
    machine = re.search(r", (\w+), \d+ processors$", str(identity.get("processor", "")))
    return found | {"machine": machine[1] if machine else None}  # phones tell none: all are ARM
