"""`harness run`: train, evaluate, measure, search, verify, report; every step resumable.

Each function does one step and returns at once with what is there where the step is done already.
"""

import json
import platform
import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from harness import __version__
from harness.deploy.front import Front, Point, gaps
from harness.devices.device import Device
from harness.effort import Effort
from harness.errors import CheckpointError, MissingExtra, TableError, UsageError
from harness.files import LineLog
from harness.measuring.campaign import Campaign, run_campaign
from harness.measuring.plan import Entry, Plan, calibration_entries, table_entries
from harness.predictors import accuracy
from harness.predictors.accuracy import AccuracyPredictor
from harness.predictors.latency import LatencyPredictor
from harness.progress import Progress
from harness.runtimes.session import Session
from harness.search.archive import search_front
from harness.search.evolution import evolve
from harness.search.objectives import Objectives
from harness.search.pareto import spread
from harness.spaces.cost import CostTable
from harness.spaces.genome import Genomes, decode, encode, sample
from harness.spaces.space import Space
from harness.tables.calibration import end_to_end_error
from harness.tables.table import Table
from harness.workspace import Workspace

if TYPE_CHECKING:  # torch is imported by the functions that need it
    from harness.training.evaluate import SubnetEvaluator
    from harness.training.stages import Recipe

_EVALUATED_SEED = 303


class Console(Protocol):
    """Where a run says what it does."""

    def step(self, title: str) -> AbstractContextManager[Progress]:
        """Show a step that takes long; the progress takes how much is done, of how much."""

    def say(self, text: str) -> None:
        """Show a line."""


@dataclass(frozen=True)
class Run:
    """What stays the same over all steps of a run."""

    workspace: Workspace
    space: Space
    effort: Effort
    seed: int
    fresh: bool
    console: Console

    def recipe(self) -> "Recipe":
        """How the supernet is trained.

        Raises:
            MissingExtra: torch is not installed.
            UsageError: there is no data to train this space on.
        """
        if find_spec("torch") is None:
            raise MissingExtra("training needs torch: pip install '.[train]'")
        if self.space.name != "digits":
            raise UsageError(f"there is no data to train {self.space.name} on; use digits")
        from harness.training.stages import progressive_shrinking

        return progressive_shrinking(self.space, self.effort.training_steps, self.seed)

    def folder(self) -> Path:
        """Where the supernet and what hangs on it is kept."""
        return self.workspace.training(self.space.name, asdict(self.recipe()))

    @property
    def supernet(self) -> Path:
        return self.folder() / "supernet.pt"


def run(job: Run, devices: list[Device]) -> list[Front]:
    """The main job for each device."""
    job.workspace.check_writable()
    evaluator = train(job)
    predictor = fit_accuracy(job, evaluator)
    job.console.say(predictor.quality.describe())
    fronts = []
    for device in devices:
        job.console.say(describe_table(job, device, measure(job, device)))
        search(job, device)
        fronts.append(verify(job, device, evaluator, again=job.fresh))
        report(job, device)
    return fronts


def train(job: Run) -> "SubnetEvaluator":
    """The trained supernet, ready to have sub-networks cut out of it."""
    recipe = job.recipe()
    import torch

    from harness.training import loop
    from harness.training.data import Digits
    from harness.training.evaluate import SubnetEvaluator

    torch.set_num_threads(1)  # a second thread brings nothing to networks this small
    folder = job.folder()
    if job.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    data = Digits.load()
    path = job.supernet
    checkpoint = loop.finished(path, recipe)
    if checkpoint:
        return SubnetEvaluator(checkpoint.supernet(job.space, path), data)
    with job.console.step("train the supernet") as progress:
        return SubnetEvaluator(loop.train(job.space, data, recipe, path, progress), data)


def evaluate_subnets(
    job: Run, evaluator: "SubnetEvaluator"
) -> tuple[Genomes, npt.NDArray[np.float64]]:
    """Random sub-networks [n, genes] and their validation accuracies [n], percent.

    Appended one by one: a killed run goes on with the next.
    """
    rng = np.random.default_rng([job.seed, _EVALUATED_SEED])
    genomes = sample(job.space, job.effort.subnets, rng)
    log = LineLog(job.folder() / "evaluated.jsonl")
    try:
        known = list(log)
        if [line["genome"] for line in known] != genomes[: len(known)].tolist():
            raise CheckpointError(f"{log.path} holds other sub-networks; delete it")
        accuracies = [float(line["accuracy"]) for line in known]
        todo = genomes[len(known) :]
        if len(todo):
            with (
                job.console.step("evaluate sub-networks") as progress,
                ThreadPoolExecutor(2) as pool,
            ):
                values = pool.map(lambda g: evaluator.accuracy(decode(job.space, g)), todo)
                for genome, value in zip(todo, values, strict=True):
                    log.append({"genome": genome.tolist(), "accuracy": value})
                    accuracies.append(value)
                    progress(len(accuracies), len(genomes))
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{log.path} is broken: {error!r}; delete it") from error
    finally:
        log.close()
    return genomes, np.array(accuracies)


def fit_accuracy(job: Run, evaluator: "SubnetEvaluator") -> AccuracyPredictor:
    """The accuracy predictor, trained on evaluated sub-networks."""
    path = job.folder() / "accuracy.npz"
    if path.exists():
        return AccuracyPredictor.load(path, job.space)
    genomes, accuracies = evaluate_subnets(job, evaluator)
    predictor = accuracy.fit(job.space, genomes, accuracies, job.seed)
    predictor.save(path)
    return predictor


def measure(job: Run, device: Device) -> Table:
    """The device's latency table for the space."""
    path = job.workspace.table(device.name, job.space.name)
    with device.open() as session:
        identity = device.identity(session)
        table = _table(path, device, job.space, identity)
        if not job.fresh and _is_measured(table, session, job.effort.table):
            return table
        entries = table_entries(job.space)
        campaign = _campaign(job, device, session, entries, job.effort.table, "measure blocks on")
    table = table.with_campaign(campaign.id, campaign.facts, campaign.records)
    table.save(path)
    return table


def _table(path: Path, device: Device, space: Space, identity: dict[str, Any]) -> Table:
    """The table in the file, or an empty one.

    Raises:
        TableError: the file is broken, or was measured on something else.
    """
    if not path.exists():
        return Table(device.name, space.name, identity, {}, ())
    table = Table.load(path)
    for name, value in identity.items():
        if table.identity.get(name) != value:
            raise TableError(
                f"{path} was measured with {name} = {table.identity.get(name)!r}, this is "
                f"{value!r}: another device. Move the file away, or give this device its own name"
            )
    return table


def _is_measured(table: Table, session: Session, plan: Plan) -> bool:
    """Whether a campaign at least this thorough was made in this environment."""
    measured = {record.campaign for record in table.records if record.role == "block"}
    return any(
        table.campaigns[name]["rounds"] >= plan.rounds
        and table.campaigns[name]["environment"] == dict(session.environment)
        for name in measured
    )


def _campaign(
    job: Run, device: Device, session: Session, entries: list[Entry], plan: Plan, title: str
) -> Campaign:
    with job.console.step(f"{title} {device.name}") as progress:
        return run_campaign(
            session,
            device.identity(session),
            entries,
            plan,
            lambda name: job.workspace.journal(device.name, job.space.name, name),
            job.fresh,
            progress,
        )


def describe_table(job: Run, device: Device, table: Table) -> str:
    """A table's content and quality in a line."""
    blocks = len(table.block_ns(device.clock, table.best_campaign()))
    campaign = table.campaigns[table.best_campaign()]
    return (
        f"{job.workspace.table(device.name, table.space)}: {blocks} blocks, "
        f"measured {campaign['started_at']} in {campaign['rounds']} rounds; "
        f"{end_to_end_error(table, device.clock).describe()}"
    )


def search(job: Run, device: Device) -> Front:
    """The predicted front, in `front.json`.

    Raises:
        FileFormatError: there is no table or no accuracy predictor yet, or one is broken.
    """
    path = job.workspace.front(device.name, job.space.name)
    table = Table.load(job.workspace.table(device.name, job.space.name))
    campaign = table.best_campaign()
    settings = _settings(job, device, table, campaign)
    if path.exists() and not job.fresh:
        front = Front.load(path)
        if front.settings == settings:
            return front
    latency, predictor, objectives = _objectives(job, device, table)
    with job.console.step(f"search the front of {device.name}") as progress:
        found = search_front(objectives, job.effort.evaluations, job.seed, progress)
    chosen = spread(found.latency_ms, job.effort.points)
    error = end_to_end_error(table, device.clock)
    front = Front(
        device=device.name,
        space=job.space.name,
        settings=settings,
        table=asdict(error) | {"campaign": table.campaigns[campaign], "clock": device.clock},
        accuracy_predictor=asdict(predictor.quality),
        points=_points(
            job.space,
            found.genomes[chosen],
            found.latency_ms[chosen],
            found.accuracy[chosen],
            error.p95,
            1.96 * predictor.quality.rmse,
        ),
        cloud=_cloud(job, latency),
    )
    front.save(path)
    return front


def _objectives(
    job: Run, device: Device, table: Table
) -> tuple[LatencyPredictor, AccuracyPredictor, Objectives]:
    """The twins, and what a search makes of them."""
    latency = LatencyPredictor.from_table(table, job.space, device.clock)
    predictor = AccuracyPredictor.load(job.folder() / "accuracy.npz", job.space)
    objectives = Objectives(job.space, latency.latency_ms, predictor.accuracy, *latency.smallest())
    return latency, predictor, objectives


def search_constrained(job: Run, device: Device, max_latency_ms: float) -> str:
    """The most accurate network within a latency, as a line of JSON.

    Raises:
        InfeasibleConstraint: no network is that fast.
    """
    table = Table.load(job.workspace.table(device.name, job.space.name))
    *_, objectives = _objectives(job, device, table)
    found = evolve(objectives, max_latency_ms, seed=job.seed)
    best = {
        "arch": decode(job.space, found.genomes[0]).to_json(),
        "latency_ms": round(float(found.latency_ms[0]), 5),
        "accuracy": round(float(found.accuracy[0]), 2),
    }
    return json.dumps(best)


def _settings(job: Run, device: Device, table: Table, campaign: str) -> dict[str, Any]:
    """All that is needed to repeat the front."""
    effort = asdict(job.effort)
    quick = " --quick" if job.effort.name == "quick" else ""
    return {
        "command": f"harness run --device {device.name} --seed {job.seed}{quick}",
        "harness": __version__,
        "python": platform.python_version(),
        "seed": job.seed,
        "effort": effort,
        "supernet": job.folder().name,
        "recipe": _jsonable(asdict(job.recipe())),
        "device": {"title": device.profile.title, "identity": table.identity},
        "table_campaign": campaign,
    }


def _jsonable(value: Any) -> Any:
    """As it comes back from a JSON file."""
    if isinstance(value, dict):
        return {name: _jsonable(item) for name, item in value.items()}
    return [_jsonable(item) for item in value] if isinstance(value, list | tuple) else value


def _points(
    space: Space,
    genomes: Genomes,
    latency_ms: npt.NDArray[np.float64],
    accuracies: npt.NDArray[np.float64],
    latency_error: float,
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
            latency_ms_interval=(float(ms / (1 + latency_error)), float(ms * (1 + latency_error))),
            accuracy=float(top1),
            accuracy_interval=(float(top1 - accuracy_error), float(top1 + accuracy_error)),
        )
        for row, (genome, ms, top1) in enumerate(zip(genomes, latency_ms, accuracies, strict=True))
    )


def _cloud(job: Run, latency: LatencyPredictor) -> tuple[dict[str, float], ...]:
    """The random sub-networks that were evaluated, with their predicted latencies."""
    log = LineLog(job.folder() / "evaluated.jsonl")
    lines = list(log)
    log.close()
    latency_ms = latency.latency_ms(np.array([line["genome"] for line in lines], dtype=np.int16))
    return tuple(
        {"latency_ms": float(ms), "accuracy": float(line["accuracy"])}
        for ms, line in zip(latency_ms, lines, strict=True)
    )


def verify(job: Run, device: Device, evaluator: "SubnetEvaluator", again: bool = False) -> Front:
    """The front with its networks extracted, evaluated and timed on the device.

    `again` measures anew what was verified already.
    """
    from harness.deploy.verify import judge, verified

    path = job.workspace.front(device.name, job.space.name)
    front = Front.load(path)
    if front.verification is not None and not again:
        return front
    networks = extract_front(job, evaluator, front)
    entries = [
        *calibration_entries(job.space),
        *(
            Entry("network", network, job.space.blocks(point.arch), point.arch)
            for network, point in zip(networks, front.points, strict=True)
        ),
    ]
    table_path = job.workspace.table(device.name, job.space.name)
    with device.open() as session:
        table = _table(table_path, device, job.space, device.identity(session))
        plan = job.effort.verification
        campaign = _campaign(
            replace(job, fresh=again), device, session, entries, plan, "time the front on"
        )
        log = job.workspace.labels(device.name, job.space.name, campaign.id)
        with job.console.step(f"evaluate the front on {device.name}") as progress:
            judged = judge(session, networks, evaluator.data.test, log, progress)
    table = table.with_campaign(campaign.id, campaign.facts, campaign.records)
    table.save(table_path)
    points = verified(front, job.space, table, device.clock, campaign.id, campaign.records, judged)
    facts = {
        "campaign": campaign.facts,
        "test_images": len(evaluator.data.test.labels),
        "test_originals": len(evaluator.data.test.originals.unique()),
        "networks": [str(network.relative_to(job.workspace.root)) for network in networks],
    }
    front = replace(front, points=points, verification=facts | gaps(points))
    front.save(path)
    return front


def extract_point(job: Run, device: str, name: str, output: Path) -> None:
    """Write the network file of `front:NUMBER`.

    Raises:
        UsageError: `name` is no point of the device's front.
    """
    from harness.deploy.extract import extract

    word, _, number = name.partition(":")
    if word != "front" or not number.isdecimal():
        raise UsageError(f"{name!r} is not a point; write front:7 for the eighth of the front")
    front = Front.load(job.workspace.front(device, job.space.name))
    arch = front.point(int(number)).arch
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
