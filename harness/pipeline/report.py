"""Writing pages and figures of what is there: fronts, tables, raw samples, records of runs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from jinja2 import UndefinedError

from harness.carbon.place import Site
from harness.deploy.front import Front
from harness.errors import FileFormatError, TableError, UsageError
from harness.networks.baselines import CLASSES
from harness.pipeline.baselines import NAME as BASELINES
from harness.pipeline.beside import beside
from harness.pipeline.carbon import own_run
from harness.pipeline.job import Run
from harness.pipeline.question import asked_alike
from harness.pipeline.roofline import roofline
from harness.pipeline.supernet import read_evaluated
from harness.predictors.accuracy import AccuracyPredictor
from harness.predictors.breakdown import Network, break_down
from harness.reports.agreement import (
    judged_accuracies,
    judged_latencies,
    save_accuracy_agreement,
    save_latency_agreement,
)
from harness.reports.architectures import save_architectures
from harness.reports.carbon import save_deployments
from harness.reports.choices import save_choices
from harness.reports.content import Shown
from harness.reports.cost import Line, cost
from harness.reports.drift import save_drift
from harness.reports.examples import alike, typical
from harness.reports.page import save_device_page, save_devices_page
from harness.reports.pareto import save_fronts, save_pareto
from harness.reports.references import Reference, references
from harness.reports.roofline import save_roofline
from harness.reports.trials import save_trials
from harness.reports.trust import Doubt, coverage, doubts, is_of
from harness.tables.journal import Journal, packed
from harness.tables.table import Table

MEASURED_ANEW = Doubt(
    "another table",
    "the device's table was measured anew since this front was found, and says nothing of it: "
    "search again",
)


def report(job: Run, device: str, others: Sequence[str] = ()) -> list[Path]:
    """The page and the figures of a device's front; the files written, and last the front.

    `others`: imported devices that are shown beside it.

    Raises:
        FileFormatError: there is no front, or it is broken.
        UsageError: there is no such imported device.
        TableError: its table is broken.
    """
    folder = job.workspace.report(device, job.space.name)
    shown, table = _shown(job, device)
    if others:
        shown = replace(shown, beside=beside(job, device, len(shown.front.points), others))
    try:
        figures = _figures(job, shown, table, folder)
        covered = coverage(table, job.space) if table else None
        page = save_device_page(shown, covered, _cost(job, [shown]), figures, folder)
    except (KeyError, UndefinedError) as error:  # a front of an older version
        raise FileFormatError(
            f"{folder / 'front.json'} does not tell all that a page shows ({error}); "
            f"`harness search --front {shown.where} --fresh` makes it anew"
        ) from error
    return [page, *figures, save_trials(shown.front, folder), folder / "front.json"]


def report_devices(jobs: Mapping[str, Run]) -> list[Path]:
    """The page and the figures of several devices of one space; the files written.

    Raises:
        UsageError: their accuracies are of different supernets or sources.
    """
    shown = [_shown(job, device)[0] for device, job in jobs.items()]
    _check_one_source([each.front for each in shown])
    space = shown[0].space
    folder = next(iter(jobs.values())).workspace.report_across(space.name)
    figures = [
        *save_fronts([each.front for each in shown], folder),
        *save_choices([each.front for each in shown], space, folder),
        *save_architectures(alike(shown), space.name, folder),
        *save_deployments(folder, Site()),
    ]
    spent = _cost(next(iter(jobs.values())), shown)
    return [save_devices_page(shown, spent, figures, folder), *figures]


def _check_one_source(fronts: Sequence[Front]) -> None:
    asked = [asked_alike(front.settings) for front in fronts]
    for front, settings in zip(fronts[1:], asked[1:], strict=True):
        for name in ("supernet", "accuracy"):
            if settings.get(name) != asked[0].get(name):
                raise UsageError(
                    f"no page of both {fronts[0].device} and {front.device}: their accuracies are "
                    f"of different sources ({name}: {fronts[0].settings.get(name)} and "
                    f"{front.settings.get(name)})"
                )


def _cost(job: Run, shown: Sequence[Shown]) -> list[Line]:
    fronts = [each.front for each in shown]
    return list(cost(fronts, own_run(job.workspace.root, fronts[0].settings["supernet"])))


def _shown(job: Run, device: str) -> tuple[Shown, Table | None]:
    """The front, and the table that it was found by where that is still there."""
    front = Front.load(job.workspace.front(device, job.space.name), job.space)
    path = job.workspace.table(device, job.space.name)
    table = Table.load(path) if path.exists() else None
    anew = table is not None and not is_of(front, table)
    if anew:
        table = None
    found = [*doubts(front, table), *([MEASURED_ANEW] if anew else [])]
    parts_ms, others = _parts_ms(job, front, table), _others(job, front)
    return Shown(front, job.space, tuple(found), others, parts_ms, space_text=job.space_text), table


def _others(job: Run, front: Front) -> tuple[Reference, ...]:
    """Published networks, and baselines where they were timed with the front's settings."""
    if job.space.classes != CLASSES:
        return ()
    path = job.workspace.table(front.device, BASELINES)
    baselines = Table.load(path) if path.exists() else None
    if baselines and baselines.identity != front.identity:
        baselines = None
    return references(front.device, baselines)


def _parts_ms(job: Run, front: Front, table: Table | None) -> dict[int, list[float]]:
    """What each block of each network takes; nothing where the table cannot tell."""
    if table is None or not table.has_blocks:
        return {}
    networks = [
        Network(str(number), job.space.blocks(point.arch))
        for number, point in enumerate(front.points)
    ]
    found: dict[int, list[float]] = {number: [] for number in range(len(networks))}
    try:
        parts = break_down(networks, table)
    except TableError:  # other resolutions were measured since
        return {}
    for part in parts:
        if part.place < len(networks[int(part.network)].blocks):
            found[int(part.network)].append(part.latency_ms)
    return found


def _figures(job: Run, shown: Shown, table: Table | None, folder: Path) -> list[Path]:
    front = shown.front
    figures = save_pareto(front, shown.others, folder)
    figures += save_architectures(typical(shown), front.device, folder)
    judged = judged_latencies(front, table)
    if judged:
        figures += save_latency_agreement(judged, front, folder)
    figures += _drift(job, front, table, folder)
    if job.accuracy is None and job.supernet.evaluated.exists() and job.supernet.predictor.exists():
        predictor = AccuracyPredictor.load(job.supernet.predictor, job.space)
        evaluated = judged_accuracies(predictor, *read_evaluated(job), job.seed)
        figures += save_accuracy_agreement(evaluated, front, folder)
    if table is not None and table.has_blocks:
        figures += save_roofline(roofline(job, front.device), folder)
    return figures


def _drift(job: Run, front: Front, table: Table | None, folder: Path) -> list[Path]:
    """Of the campaign that measured the table, where its raw samples are still here."""
    if table is None or table.source is not None or table.simulated is not None:
        return []
    campaign = table.block_campaign() if table.has_blocks else table.first_look()
    path = job.workspace.journal(front.device, front.space, campaign)
    if not packed(path).exists():
        return []
    try:
        journal = Journal(path)
    except (TableError, FileFormatError):  # damaged: the table does not rest on it
        return []
    try:
        return save_drift(journal, front.device, table.clock, folder)
    finally:
        journal.close()
