"""Searching a front, verifying it on the device, reporting it, and taking networks out of it."""

import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from harness import __version__
from harness.deploy.front import Front, Point, gaps, verification_entries
from harness.devices.device import Device
from harness.errors import FileFormatError, UsageError
from harness.pipeline.first_look import known_tables
from harness.pipeline.job import Run
from harness.pipeline.supernet import read_evaluated, train
from harness.pipeline.table import load_or_start, run_on_terminal, work
from harness.predictors.accuracy import AccuracyPredictor
from harness.predictors.choice import latency_predictor
from harness.predictors.latency import LatencyPredictor, interval_ms
from harness.search.archive import search_front
from harness.search.evolution import evolve
from harness.search.objectives import Objectives
from harness.search.pareto import spread
from harness.spaces.cost import CostTable
from harness.spaces.genome import Genomes, decode, encode
from harness.spaces.space import Space
from harness.tables.table import Table

if TYPE_CHECKING:  # torch is imported where it is needed
    from harness.training.evaluate import SubnetEvaluator


def search(job: Run, device: Device) -> Front:
    """The predicted front, in `front.json`.

    Raises:
        FileFormatError: there is no table or no accuracy predictor yet, or one is broken.
    """
    path = job.workspace.front(device.name, job.space.name)
    table = Table.load(job.workspace.table(device.name, job.space.name))
    campaign = table.block_campaign() if table.has_blocks else table.first_look()
    settings = _settings(job, device, table, campaign)
    if path.exists() and not job.fresh:
        front = Front.load(path)
        if front.settings == settings:
            return front
    latency, predictor, objectives = _objectives(job, table)
    with job.console.step(f"search the front of {device.name}") as progress:
        found = search_front(objectives, job.effort.evaluations, job.seed, progress)
    chosen = spread(found.latency_ms, job.effort.points)
    front = Front(
        device=device.name,
        space=job.space.name,
        settings=settings,
        table=latency.facts() | {"campaign": table.campaigns[campaign], "clock": device.clock},
        accuracy_predictor=asdict(predictor.quality),
        points=_points(
            job.space,
            found.genomes[chosen],
            found.latency_ms[chosen],
            found.accuracy[chosen],
            latency.relative_error,
            1.96 * predictor.quality.rmse,
        ),
        cloud=_cloud(job, latency),
    )
    front.save(path)
    return front


def _objectives(job: Run, table: Table) -> tuple[LatencyPredictor, AccuracyPredictor, Objectives]:
    """The twins, and what a search makes of them."""
    latency = latency_predictor(table, job.space, known_tables(job, table))
    predictor = AccuracyPredictor.load(job.predictor, job.space)
    objectives = Objectives(job.space, latency.latency_ms, predictor.accuracy, *latency.smallest())
    return latency, predictor, objectives


def search_constrained(job: Run, device: Device, max_latency_ms: float) -> str:
    """The most accurate network within a latency, as a line of JSON.

    Raises:
        InfeasibleConstraint: no network is that fast.
    """
    table = Table.load(job.workspace.table(device.name, job.space.name))
    latency, _, objectives = _objectives(job, table)
    found = evolve(objectives, max_latency_ms, seed=job.seed)
    best = {
        "arch": decode(job.space, found.genomes[0]).to_json(),
        "latency_ms": round(float(found.latency_ms[0]), 5),
        "latency_ms_interval": interval_ms(float(found.latency_ms[0]), latency.relative_error),
        "accuracy": round(float(found.accuracy[0]), 2),
    }
    return json.dumps(best)


def _settings(job: Run, device: Device, table: Table, campaign: str) -> dict[str, Any]:
    """All that is needed to repeat the front."""
    effort = asdict(job.effort)
    distill = f" --distill {job.distill:g}" if job.distill else ""
    quick = " --quick" if job.effort.name == "quick" else ""
    return {
        "command": f"harness run --device {device.name} --seed {job.seed}{distill}{quick}",
        "harness": __version__,
        "python": platform.python_version(),
        "seed": job.seed,
        "distill": job.distill,
        "effort": effort,
        "supernet": job.folder().name,
        "recipe": job.recipe().settings,
        "device": {"title": device.profile.title, "identity": table.identity},
        "table_campaign": campaign,
    }


def _points(
    space: Space,
    genomes: Genomes,
    latency_ms: npt.NDArray[np.float64],
    accuracies: npt.NDArray[np.float64],
    latency_error: float | None,
    accuracy_error: float,
) -> tuple[Point, ...]:
    macs = CostTable.of(space, lambda block: block.macs).total(genomes)
    params = CostTable.of(space, lambda block: block.params).total(genomes)
    return tuple(
        Point(
            arch=decode(space, genome),
            macs=int(macs[row]),
            params=int(params[row]),
            latency_ms_searched=float(ms),
            latency_ms=float(ms),
            latency_ms_interval=interval_ms(float(ms), latency_error),
            accuracy=float(top1),
            accuracy_interval=(
                float(top1 - accuracy_error),
                min(100.0, float(top1 + accuracy_error)),
            ),
        )
        for row, (genome, ms, top1) in enumerate(zip(genomes, latency_ms, accuracies, strict=True))
    )


def _cloud(job: Run, latency: LatencyPredictor) -> tuple[dict[str, float], ...]:
    """The random sub-networks that were evaluated, with their predicted latencies."""
    genomes, accuracies = read_evaluated(job)
    return tuple(
        {"latency_ms": float(ms), "accuracy": float(top1)}
        for ms, top1 in zip(latency.latency_ms(genomes), accuracies, strict=True)
    )


def verify(job: Run, device: Device, evaluator: "SubnetEvaluator", again: bool = False) -> Front:
    """The front with its networks extracted, evaluated and timed on the device.

    `again` measures anew what was verified already.
    """
    from harness.deploy.verify import judge, verified

    path = job.workspace.front(device.name, job.space.name)
    front = _front(job, device)
    if front.verification is not None:
        if not again:
            return front
        front = front.unverified()
        front.save(path)  # a killed run goes on here, also without `again`
    networks = extract_front(job, evaluator, front)
    plan = job.effort.verification
    entries = verification_entries(front, job.space, networks, plan.anchors)
    table_path = job.workspace.table(device.name, job.space.name)
    with device.open() as session:
        table = load_or_start(table_path, device, job.space, device.identity(session))
        todo = work(job, device, session, entries, plan)
        campaign = run_on_terminal(job, device, session, todo, "time the front", again)
        log = job.workspace.labels(device.name, job.space.name, campaign.id)
        with job.console.step(f"evaluate the front on {device.name}") as progress:
            judged = judge(session, networks, evaluator.data.test, log, progress)
        table = table.with_campaign(campaign.id, campaign.facts, campaign.records)
        table.save(table_path)
    restated = latency_predictor(table, job.space, known_tables(job, table), campaign.id)
    points = verified(front, job.space, restated, device.clock, campaign.records, judged)
    facts = {
        "campaign": campaign.facts,
        "test_images": len(evaluator.data.test.labels),
        "test_originals": len(evaluator.data.test.originals.unique()),
        "networks": [str(network.relative_to(job.workspace.root)) for network in networks],
    }
    front = replace(front, points=points, verification=facts | gaps(points))
    front.save(path)
    return front


def _front(job: Run, device: Device) -> Front:
    """The front of the device.

    Raises:
        FileFormatError: there is none, it is broken, or it was found with another supernet.
    """
    path = job.workspace.front(device.name, job.space.name)
    front = Front.load(path)
    if front.settings["supernet"] != job.folder().name:
        raise FileFormatError(
            f"{path} was found with another supernet, {front.settings['supernet']}; "
            "repeat with `harness run`"
        )
    return front


def extract_point(job: Run, device: Device, name: str, output: Path) -> None:
    """Write the network file of `front:NUMBER`.

    Raises:
        UsageError: `name` is no point of the device's front.
    """
    from harness.deploy.extract import extract

    word, _, number = name.partition(":")
    if word != "front" or not number.isdecimal():
        raise UsageError(f"{name!r} is not a point; write front:7 for the eighth of the front")
    arch = _front(job, device).point(int(number)).arch
    extract(train(job), arch, job.recipe()).save(output)


def extract_front(job: Run, evaluator: "SubnetEvaluator", front: Front) -> list[Path]:
    """A network file for each point."""
    from harness.deploy.extract import extract

    paths = []
    genomes = encode(job.space, [point.arch for point in front.points])
    with job.console.step("extract the front's networks") as progress:
        for done, (point, genome) in enumerate(zip(front.points, genomes, strict=True), start=1):
            name = genome.astype(np.uint8).tobytes().hex()
            path = job.folder() / "networks" / f"{job.folder().name}-{name}.pt"
            if not path.exists():
                extract(evaluator, point.arch, job.recipe()).save(path)
            paths.append(path)
            progress(done, len(front.points))
    return paths


def report(job: Run, device: Device) -> Iterable[Path]:
    """The page, the plot and the front of a device; the files written."""
    from harness.reports.figures import save_pareto
    from harness.reports.page import save_page

    folder = job.workspace.report(device.name, job.space.name)
    front = Front.load(folder / "front.json")
    figures = save_pareto(front, folder)
    page = save_page(front, job.space, folder)
    return [page, *figures, folder / "front.json"]
