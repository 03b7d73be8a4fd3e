"""Searching: the front of a table, or the best network within limits."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from harness import files
from harness.deploy.front import Front, Point, Seen, float_accuracies, seen_ms
from harness.errors import UsageError
from harness.hints import command, nearest
from harness.pipeline.costs import cost_of_networks
from harness.pipeline.first_look import latency_of
from harness.pipeline.job import Run
from harness.pipeline.question import (
    Limits,
    Question,
    asked_alike,
    held_by,
    latencies,
    settings_of,
    table_of,
)
from harness.pipeline.supernet import read_evaluated
from harness.predictors.accuracy import AccuracyPredictor
from harness.predictors.accuracy_source import AccuracySource, accuracy_source
from harness.predictors.latency import LatencyPredictor
from harness.searching.archive import search_front
from harness.searching.objectives import Cost, Found, Limit, Objectives
from harness.searching.pareto import spread
from harness.spaces.arch import Arch
from harness.spaces.cost import CostTable
from harness.spaces.genome import Genomes, decode, encode, sample
from harness.spaces.space import Space
from harness.tables.record import SHOWN
from harness.tables.repeat import Interval
from harness.tables.statements import WORDS
from harness.tables.table import Table
from harness.tables.versions import uses

_CLOUD = 400  # random networks to show, where none were evaluated
_CLOUD_SEED = 505
_OUTCOME = ("rounds", "search_s")  # what a front's settings say of its search, not for it


@dataclass(frozen=True)
class Predictors:
    """What a search looks at: latencies from a table, and accuracies."""

    table: Table
    latency: LatencyPredictor
    accuracy: AccuracySource

    def accuracy_interval(self, top1: float) -> tuple[float, float] | None:
        judges = self.accuracy.judges
        return None if judges is None else judges.interval(top1)


def search(job: Run, device: str, question: Question | None = None, further: bool = False) -> Front:
    """The predicted front of a device's table, in `front.json`.

    `further` goes on from the front that is there, as often as it is asked for.

    Raises:
        FileFormatError: there is no table or no source of accuracies yet, or one is broken.
        InfeasibleConstraint: no network meets the limits.
        PredictorError: the source of accuracies gives what is no number.
    """
    with files.changing(job.workspace.front(device, job.space.name)):
        return _search(job, device, question or Question(), further)


def _search(job: Run, device: str, question: Question, further: bool) -> Front:
    path = job.workspace.front(device, job.space.name)
    table = Table.load(job.workspace.table(device, job.space.name))
    campaign = table.block_campaign() if table.has_blocks else table.first_look()
    settings = settings_of(job, table, campaign, question)
    known, rounds, searched_s = None, 1, 0.0
    if path.exists() and not job.fresh:
        front = Front.load(path, job.space)
        outcome = {name: front.settings[name] for name in _OUTCOME if name in front.settings}
        outcome["latencies"] = latencies(job, table, question, front.points)
        same = asked_alike(settings | outcome) == asked_alike(front.settings)
        if same and not further:
            if settings | outcome != front.settings:  # its accuracies lie elsewhere now
                front = replace(front, settings=settings | outcome)
                front.save(path)
            return front
        if same:
            rounds += front.settings["rounds"]
            searched_s = front.settings.get("search_s", 0.0)
            known = encode(job.space, [point.arch for point in front.points])
    predictors = _predictors(job, table)
    objectives = _objectives(job, predictors, question)
    with job.listener.step(f"search the front of {device}") as progress:
        seed = [job.seed, rounds]
        started = time.monotonic()
        found = search_front(objectives, job.effort.evaluations, seed, progress, known)
        took = {"rounds": rounds, "search_s": round(searched_s + time.monotonic() - started, 1)}
    shown = _spread(found, objectives, job.effort.points)
    points = _points(job.space, shown, predictors, _costs(job, predictors, question))
    front = Front(
        device=device,
        space=job.space.name,
        settings=settings | took | {"latencies": latencies(job, table, question, points)},
        table=predictors.latency.facts()
        | {"campaign": _facts_of(table, campaign), "clock": table.clock, "source": table.source}
        | {"environments": uses(table)},
        accuracy_predictor=predictors.accuracy.facts()
        | {"describe": predictors.accuracy.describe(), "int8": float_accuracies(table.identity)},
        points=points,
        cloud=_cloud(job, predictors),
    )
    front.save(path)
    return front


def search_table(job: Run, table: Table, limits: Limits) -> Found:
    """The whole front by any table, found as `harness search` finds it, and kept nowhere."""
    return search_by(job, _predictors(job, table), Question(limits))


def search_by(job: Run, predictors: Predictors, question: Question) -> Found:
    """The whole front by these predictors, kept nowhere.

    Raises:
        InfeasibleConstraint: no network meets the limits.
        PredictorError: the source of accuracies gives what is no number.
    """
    objectives = _objectives(job, predictors, question)
    with job.listener.step(f"search the front of {predictors.table.device}") as progress:
        return search_front(objectives, job.effort.evaluations, [job.seed, 1], progress)


@dataclass(frozen=True)
class Candidate:
    """A network that a search found; its intervals are of 95 %, None where nobody knows."""

    arch: Arch
    latency_ms: float  # of one run, at full speed
    latency_ms_interval: Interval | None
    seen_ms: Seen  # as users see it, on the wall clock
    accuracy: float  # percent
    accuracy_interval: Interval | None


def candidates(job: Run, predictors: Predictors, question: Question) -> list[Candidate]:
    """What `search_by` finds, network by network."""
    found, statements = search_by(job, predictors, question), predictors.latency.statements
    return [
        Candidate(
            arch=decode(job.space, genome),
            latency_ms=float(latency_ms),
            latency_ms_interval=statements["full"].interval(float(latency_ms)),
            seen_ms=seen_ms(float(latency_ms), statements),
            accuracy=float(top1),
            accuracy_interval=predictors.accuracy_interval(float(top1)),
        )
        for genome, latency_ms, top1 in zip(found.genomes, found.cost, found.accuracy, strict=True)
    ]


def search_best(job: Run, device: str, question: Question, weight: float | None) -> dict[str, Any]:
    """The most accurate network within the limits, as a value of JSON; limits are of runs.

    With a weight w: that with the least (error + w * latency / the largest latency of the front),
    errors from 0 to 1, as Deep-n-Cheap has it (Dey et al., 2020, section 2). That network is
    always on the front.

    Raises:
        InfeasibleConstraint: no network meets the limits.
    """
    table = Table.load(job.workspace.table(device, job.space.name))
    predictors = _predictors(job, table)
    objectives = _objectives(job, predictors, question)
    found = search_front(objectives, job.effort.evaluations, [job.seed, 1])
    row = int(found.accuracy.argmax())
    if weight is not None:
        loss = 1 - found.accuracy / 100 + weight * found.cost / found.cost.max()
        row = int(loss.argmin())
    latency_ms, top1 = float(found.cost[row]), _percent(found.accuracy[row])
    statements = predictors.latency.statements
    best = {
        "arch": decode(job.space, found.genomes[row]).to_json(),
        "latency_ms": round(latency_ms, 5),
        "latency_ms_interval": statements["full"].interval(latency_ms),
        "seen_ms": seen_ms(latency_ms, statements),
        "latency_from": table.simulated or predictors.latency.describe(),
        "accuracy": round(top1, 2),
        "accuracy_interval": predictors.accuracy_interval(top1),
        "accuracy_from": predictors.accuracy.describe(),
    }
    one = found.genomes[row : row + 1]
    best["limits"] = [
        f"{limit.cost.name} at most {limit.at_most:g} {limit.cost.unit}: "
        f"{float(limit.cost.of(one)[0]):.5g}"
        for limit in objectives.limits
    ]
    best["costs"] = {
        f"{name}, {cost.unit}": round(float(cost.of(one)[0]), 5)
        for name, cost in _costs(job, predictors, question).items()
    }
    images = table.images_per_run
    if images > 1:
        best |= {"images_per_run": images, "latency_ms_an_image": round(latency_ms / images, 5)}
    if note := float_accuracies(table.identity):
        best["accuracy_caveat"] = note
    return best


def _predictors(job: Run, table: Table) -> Predictors:
    latency = latency_of(job, table)
    if job.accuracy is not None:
        return Predictors(table, latency, accuracy_source(job.accuracy, job.space))
    return Predictors(table, latency, AccuracyPredictor.load(job.supernet.predictor, job.space))


def _objectives(job: Run, predictors: Predictors, question: Question) -> Objectives:
    limits = tuple(
        Limit(_limited(job, predictors, name, at), value) for name, value, at in question.limits
    )
    second = _cost(job, predictors, question.second) if question.second else None
    primary = _cost(job, predictors, predictors.table.device)
    return Objectives(job.space, predictors.accuracy.accuracy, primary, second, limits)


def _costs(job: Run, predictors: Predictors, question: Question) -> dict[str, Cost]:
    """What is asked about besides accuracy and the device's latency."""
    names = dict.fromkeys(name for name, *_ in question.limits)
    names |= {question.second: None} if question.second else {}
    return {name: _cost(job, predictors, name) for name in names}


def _limited(job: Run, predictors: Predictors, name: str, at: str | None) -> Cost:
    """What a limit is held against: of what is predicted with an error, the upper end.

    Raises:
        UsageError: nobody knows that time of the device.
    """
    cost = _cost(job, predictors, name)
    if not cost.statements:
        if at is not None:
            raise UsageError(f"{name} has no times: write {name} without @{at}")
        return cost
    statement = held_by(cost.name, cost.statements, at)
    words = [WORDS[statement.at]] if cost.unit == "ms" else []
    words += [] if statement.log_error is None else ["upper end"]
    return replace(
        cost,
        name=f"{cost.name} ({', '.join(words)})" if words else cost.name,
        of=lambda genomes: cost.of(genomes) * statement.upper_ratio,
        least=cost.least * statement.upper_ratio,
    )


def _cost(job: Run, predictors: Predictors, name: str) -> Cost:
    """What an objective is about.

    Raises:
        UsageError: it is neither a cost of ours nor a device with a table.
    """
    space = job.space
    if cost := cost_of_networks(space, name):
        return cost
    device, _, quantity = where = table_of(job, name, predictors.table.device)
    if (device, quantity) == (predictors.table.device, "latency"):
        predictor = predictors.latency
    else:
        path = job.workspace.table(*where)
        if not path.exists() and quantity in ("energy", "memory"):
            maps = "; activations:2MB limits their maps alone" if quantity == "memory" else ""
            todo = command("measure", f"--{quantity}", "--device", device, "--space", space.name)
            raise UsageError(
                f"there is no {quantity} of networks on {device} (no {path}): {todo} measures "
                f"it{maps}"
            )
        if not path.exists():
            others = ("macs", "params", "activations", "sram", "flash", "memory", "energy")
            hint = nearest(name, (*others, *job.workspace.devices(space.name)))
            raise UsageError(
                f"{name!r} is no device with a table of {space.name} (no {path}), nor another "
                f"cost; {hint}"
            )
        predictor = latency_of(job, Table.load(path))
    unit = SHOWN[quantity]
    least = predictor.smallest()
    return Cost(f"{quantity} on {device}", unit, predictor.predict, *least, predictor.statements)


def _facts_of(table: Table, campaign: str) -> dict[str, Any]:
    """A campaign's facts; which blocks it left to be filled in is the table's own matter."""
    facts = table.campaigns[campaign]
    return {name: fact for name, fact in facts.items() if name != "left_out"}


def _spread(found: Found, objectives: Objectives, count: int) -> Found:
    """As many networks as are shown, evenly over the costs."""
    costs = [found.cost]
    if objectives.second:
        costs.append(objectives.second.of(found.genomes))
    chosen = spread(np.stack(costs, axis=1), count)
    return Found(found.genomes[chosen], found.cost[chosen], found.accuracy[chosen])


def _percent(accuracy: float) -> float:
    """An accuracy as it is shown: a predictor may reach beyond what there is."""
    return min(100.0, max(0.0, float(accuracy)))


def _points(
    space: Space, found: Found, predictors: Predictors, costs: Mapping[str, Cost]
) -> tuple[Point, ...]:
    macs = CostTable.of(space, lambda block: block.macs).total(found.genomes)
    params = CostTable.of(space, lambda block: block.params).total(found.genomes)
    others = {name: cost.of(found.genomes) for name, cost in costs.items()}
    statements = predictors.latency.statements
    points = []
    for row, genome in enumerate(found.genomes):
        latency_ms, top1 = float(found.cost[row]), _percent(found.accuracy[row])
        points.append(
            Point(
                arch=decode(space, genome),
                macs=int(macs[row]),
                params=int(params[row]),
                costs={name: float(values[row]) for name, values in others.items()},
                latency_ms_searched=latency_ms,
                latency_ms=latency_ms,
                latency_ms_interval=statements["full"].interval(latency_ms),
                seen_ms=seen_ms(latency_ms, statements),
                accuracy=top1,
                accuracy_interval=predictors.accuracy_interval(top1),
            )
        )
    return tuple(points)


def _cloud(job: Run, predictors: Predictors) -> tuple[dict[str, float], ...]:
    """Random sub-networks with their predicted latencies; accuracies as evaluated, or predicted."""
    if job.accuracy is None:
        genomes, accuracies = read_evaluated(job)
    else:
        genomes, accuracies = _some(job.space, predictors)
    latencies = predictors.latency.predict(genomes)
    return tuple(
        {"latency_ms": float(ms), "accuracy": _percent(top1)}
        for ms, top1 in zip(latencies, accuracies, strict=True)
        if np.isfinite(ms)
    )


def _some(space: Space, predictors: Predictors) -> tuple[Genomes, npt.NDArray[np.float64]]:
    genomes = sample(space, _CLOUD, np.random.default_rng(_CLOUD_SEED))
    return genomes, predictors.accuracy.accuracy(genomes)
