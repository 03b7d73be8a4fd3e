"""`harness report --compare`: what a regenerated table says, and does to the front."""

import math
import shlex
from pathlib import Path

from harness.deploy.front import Front
from harness.errors import (
    CheckpointError,
    FileFormatError,
    InfeasibleConstraint,
    PredictorError,
    TableError,
    UsageError,
)
from harness.pipeline.breakdown import networks
from harness.pipeline.job import Run
from harness.pipeline.search import search_table
from harness.predictors.accuracy_source import is_function
from harness.predictors.breakdown import Network, break_down
from harness.predictors.choice import latency_predictor
from harness.reports.comparison import (
    Affected,
    ComparisonPage,
    Fronts,
    best_within,
    moved_in,
    save_comparison,
)
from harness.tables.compare import Comparison, compare
from harness.tables.table import Table


def report_over_time(
    job: Run,
    names: tuple[str, str],
    old: Table,
    new: Table,
    shipped: str | None,
    function: str | None = None,
) -> list[Path]:
    """The page of two tables of a device; the files written.

    `shipped`: the network in use, as `front:7` or a file with an arch or a network. `function`: the
    one that a front's accuracies come from, which is only called where the user names it.

    Raises:
        TableError: the tables are not of one device and setting, or cannot be compared.
        UsageError: `shipped` is no network, or `function` is not the front's.
    """
    if new.space != job.space.name:
        raise TableError(f"the tables are of {new.space}, not of {job.space.name}: say --space")
    for table in (old, new):
        if table.quantity != "latency":
            raise TableError(f"a page compares latencies, and a table is of {table.quantity}")
    found = compare(old, new, old.clock)
    path = job.workspace.front(new.device, new.space)
    where = "--device", new.device, "--space", job.space_text or new.space
    again = shlex.join(["harness", "search", "--front", *where])
    front = Front.load(path, job.space) if path.exists() else None
    error = _error(job, old, new)
    fronts, why = _fronts(job, front, old, new, function)
    compared = ComparisonPage(
        names=names,
        old=old,
        new=new,
        blocks=found,
        fronts=fronts,
        why_no_fronts=why,
        search=front.command(job.space_text) if front else again,
        networks=_affected(job, front, fronts, found, (old, new), shipped, error),
        error=error,
    )
    return save_comparison(compared, job.workspace.report(new.device, new.space))


def _fronts(
    job: Run, front: Front | None, old: Table, new: Table, function: str | None
) -> tuple[Fronts | None, str]:
    """Found by each table as the front was, or why not."""
    if function not in (None, job.accuracy):
        raise UsageError(
            f"--accuracy {function}: accuracies of the front come from {job.accuracy or 'its run'}"
        )
    if front is None:
        return None, f"there is none of {new.device}"
    if job.accuracy is not None and is_function(job.accuracy) and function is None:
        return None, (
            f"its accuracies come from {job.accuracy}, which is called only where you name it: "
            f"--accuracy {job.accuracy}"
        )
    if front.settings.get("second"):
        return None, f"this front also keeps {front.settings['second']} low"
    limits = tuple(
        (str(name), float(value), at[0] if at else None)
        for name, value, *at in front.settings.get("limits", ())
    )
    try:
        return Fronts(search_table(job, old, limits), search_table(job, new, limits)), ""
    except (
        CheckpointError,
        FileFormatError,
        InfeasibleConstraint,
        PredictorError,
        UsageError,  # one of them does not tell the time that is limited
    ) as error:
        return None, str(error)


def _affected(
    job: Run,
    front: Front | None,
    fronts: Fronts | None,
    found: Comparison,
    tables: tuple[Table, Table],
    shipped: str | None,
    error: float | None,
) -> tuple[Affected, ...]:
    """What both tables predict of the front's networks and of the one that is shipped."""
    points = front.points if front else ()
    asked = [Network(f"front:{n}", job.space.blocks(p.arch)) for n, p in enumerate(points)]
    accuracies: list[float | None] = [point.accuracy for point in points]
    if shipped is not None and shipped not in [each.name for each in asked]:
        (network,) = networks(job, tables[1].device, [shipped])
        if network.calls != 1:
            raise UsageError(f"--arch {shipped}: a page compares one call of a network")
        asked.append(network)
        accuracies.append(None)
    before, after = (_latencies_ms(asked, table) for table in tables)
    sure = 1 / (1 + (error or 0.0))
    return tuple(
        Affected(
            name=network.name,
            old_ms=before[network.name],
            new_ms=after[network.name],
            accuracy=accuracy,
            best_now=best_within(fronts.new, after[network.name]) if fronts else None,
            best_surely=best_within(fronts.new, after[network.name] * sure) if fronts else None,
            moved=moved_in(network.blocks, found),
            shipped=network.name == shipped,
        )
        for network, accuracy in zip(asked, accuracies, strict=True)
    )


def _error(job: Run, *tables: Table) -> float | None:
    """Of both predictions together; they are off independently."""
    # Each for its own campaign: what the levels of both differ by is the shift, told apart.
    campaigns = [t.calibrating_campaign() if t.has_blocks else t.first_look() for t in tables]
    errors = [
        latency_predictor(table, job.space, (), campaign).statements["full"].log_error
        for table, campaign in zip(tables, campaigns, strict=True)
    ]
    known = [error for error in errors if error is not None]
    return math.expm1(math.hypot(*known)) if len(known) == len(errors) else None


def _latencies_ms(asked: list[Network], table: Table) -> dict[str, float]:
    """By name; sums of the parts that a table predicts."""
    if not asked:
        return {}
    parts = break_down(asked, table)
    return {
        network.name: math.fsum(p.latency_ms for p in parts if p.network == network.name)
        for network in asked
    }
