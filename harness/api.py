"""The same as the commands, from Python: thin functions over `pipeline`, values in and out.

Every expected error is a `HarnessError` (docs/errors.md). `root` is the folder with devices,
tables, reports and runs; `on_progress` is called with what is being done and how far it is.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from harness.deploy.front import Front
from harness.device.device import Device
from harness.device.profile import full_name, profile_paths
from harness.effort import NORMAL
from harness.errors import HarnessError, UsageError
from harness.pipeline import starting, steps
from harness.pipeline.callback import Callback, OnProgress, nobody
from harness.pipeline.export import Bundle
from harness.pipeline.export import export as write_bundle
from harness.pipeline.first_look import latency_of
from harness.pipeline.history import histories
from harness.pipeline.job import Run
from harness.pipeline.networks import NamedNetwork, network_named, of_arch
from harness.pipeline.predict import Prediction, accuracies
from harness.pipeline.predict import predict as predict_on
from harness.pipeline.question import Question, limits_asked
from harness.pipeline.search import Candidate, Predictors, candidates
from harness.pipeline.supernet_folder import Training
from harness.predictors.accuracy_source import AccuracySource, OwnFunction, accuracy_source
from harness.predictors.latency import LatencyPredictor
from harness.predictors.latency_function import LatencyFunction
from harness.spaces.arch import Arch
from harness.spaces.catalogue import find_space
from harness.spaces.space import Space
from harness.tables.compare import Comparison
from harness.tables.compare import compare as compare_tables
from harness.tables.history import History
from harness.tables.statements import check_time
from harness.tables.table import Table
from harness.workspace import Workspace

__all__ = [
    "Arch",
    "Candidate",
    "Comparison",
    "Device",
    "Front",
    "HarnessError",
    "History",
    "Prediction",
    "Space",
    "Table",
    "compare",
    "devices",
    "export",
    "history",
    "measure",
    "predict",
    "report",
    "run",
    "search",
    "space",
    "train",
    "verify",
]

Network = Arch | str | Path


def devices(root: Path | str = ".") -> list[str]:
    """Names of all devices that there are profiles of; `Device.find(name, root)` reads one."""
    return sorted(profile_paths(Path(root)))


def space(name: str) -> Space:
    """The family of networks called so, or a user's own as `package.module:SPACE`.

    Raises:
        UsageError: there is none.
    """
    return find_space(name)


def run(
    device: str | Sequence[str] = "cpu",
    space: str | None = None,
    *,
    data: Path | str | None = None,
    accuracy: str | None = None,
    quick: bool = False,
    fresh: bool = False,
    seed: int = 0,
    root: Path | str = ".",
    on_progress: OnProgress = nobody,
) -> list[Front]:
    """The main job: train, measure, search, verify and report; the front of each device."""
    training = None if data is None else Training(Path(data))
    job = starting.job_for(
        Callback(on_progress),
        space,
        Path(root),
        quick,
        fresh=fresh,
        seed=seed,
        accuracy=accuracy,
        training=training,
    )
    return steps.run(job, starting.devices_named(_names(device), Path(root)))


def train(
    space: str | None = None,
    *,
    data: Path | str | None = None,
    recipe: str | None = None,
    quick: bool = False,
    fresh: bool = False,
    seed: int = 0,
    root: Path | str = ".",
    on_progress: OnProgress = nobody,
) -> Path:
    """The file of the space's trained supernet, on digits or on a folder of images.

    Raises:
        UsageError: there is no data to train the space on, or no such recipe.
        MissingExtra: what training needs is not installed.
    """
    from harness.pipeline.training import train as step

    asked = None if data is None else Training(Path(data), recipe)
    if recipe is not None and asked is None:
        raise UsageError("recipe is for data: digits have theirs")
    listener = Callback(on_progress)
    job = starting.job_for(
        listener, space, Path(root), quick, fresh=fresh, seed=seed, training=asked
    )
    return step(job)


def measure(
    device: str,
    space: str = "digits",
    *,
    resolutions: Sequence[int] | None = None,
    energy: bool = False,
    memory: bool = False,
    quick: bool = False,
    effort: str | None = None,
    fresh: bool = False,
    wait: bool = False,
    root: Path | str = ".",
    on_progress: OnProgress = nobody,
) -> Table:
    """The device's table of the space; what is measured already is kept.

    effort: "quick" (the same as `quick`), "normal" or "full": how many blocks are filled in from
    others instead of visited.

    Raises:
        DeviceError: the device cannot be used.
        TableError: the table that is there is of another device.
    """
    job = starting.job_for(
        Callback(on_progress),
        space,
        Path(root),
        quick,
        effort=effort,
        fresh=fresh,
        resolutions=None if resolutions is None else ",".join(map(str, resolutions)),
    )
    (chosen,) = starting.devices_named([device], Path(root), wait=wait)
    if energy and memory:
        raise UsageError("energies and memory are tables of their own: ask for one")
    quantity = "energy" if energy else "memory" if memory else "latency"
    return steps.measure(job, chosen, quantity)


def predict(
    network: Network | Sequence[Network],
    device: str | Sequence[str],
    space: str | None = None,
    *,
    accuracy: str | Callable[[Arch], float] | None = None,
    root: Path | str = ".",
) -> list[Prediction]:
    """What networks take on devices with a table, without running them: one value for each.

    A network is an arch, `front:7` of the first device, or a file.

    Raises:
        UsageError, FileFormatError: a network is none, or no sub-network of the space.
        TableError: a table is missing, or lacks a block.
    """
    where = Path(root)
    first, space = starting.found_there(_names(device)[0], space, where)
    named_source = accuracy if isinstance(accuracy, str) else None
    job = starting.job_to_predict(Callback(nobody), first, space, where, named_source)
    source = _by(job.space, accuracy) if callable(accuracy) else accuracies(job)
    wanted = [network] if isinstance(network, Arch | str | Path) else list(network)
    named = [_named(job, first, each) for each in wanted]
    names = [starting.found_there(each, space, where)[0] for each in _names(device)]
    return [each for name in names for each in predict_on(job, named, name, source)]


def search(
    space: str | Space,
    *,
    latency: str | Table | Callable[[Arch], float],
    accuracy: str | Callable[[Arch], float],
    max_latency_ms: float | None = None,
    at: str | None = None,
    constraints: Sequence[str] = (),
    evaluations: int = 20_000,
    seed: int = 0,
    root: Path | str = ".",
    on_progress: OnProgress = nobody,
) -> list[Candidate]:
    """The front of accuracy against latency, from the fastest network to the most accurate.

    latency: a device with a table, a table, or a function of an arch, ms. accuracy: a function of
    an arch, percent, or a .npz, .pth or .csv file. `max_latency_ms` is held against the upper end
    of the interval of the time `at` ("full", "p90", ...; by default p90, where that is known).
    `constraints` are as those of `harness search`: "macs:300M", "pixel-1:30ms@p90", "stm32f746".

    Raises:
        InfeasibleConstraint: no network is fast enough.
        PredictorError: a function fails, or gives what is no number.
    """
    if max_latency_ms is None and at is not None:
        raise UsageError("at says which time max_latency_ms is about: give both")
    if max_latency_ms is not None and not 0 < max_latency_ms < math.inf:
        raise UsageError(f"max_latency_ms = {max_latency_ms!r} is no time: it is above zero")
    if seed < 0 or evaluations < 1:
        raise UsageError("seed is not below zero, evaluations are at least one")
    check_time(at)
    chosen = find_space(space) if isinstance(space, str) else space
    effort = replace(NORMAL, evaluations=evaluations)
    job = Run(Workspace(Path(root)), chosen, Callback(on_progress), effort, seed)
    if isinstance(latency, str):
        device = full_name(latency, Path(root))
        latency = Table.load(job.workspace.table(device, chosen.name))
    predictor: LatencyPredictor
    if isinstance(latency, Table):
        table, predictor = latency, latency_of(job, latency)
    else:
        table = Table("function", chosen.name, {}, {}, ())
        predictor = LatencyFunction(chosen, latency)
    source = (
        accuracy_source(accuracy, chosen) if isinstance(accuracy, str) else _by(chosen, accuracy)
    )
    limits = list(limits_asked(constraints, Path(root)))
    if max_latency_ms is not None:
        limits.append((table.device, max_latency_ms, at))
    return candidates(job, Predictors(table, predictor, source), Question(tuple(limits)))


def verify(
    device: str,
    space: str | None = None,
    *,
    fresh: bool = False,
    wait: bool = False,
    root: Path | str = ".",
    on_progress: OnProgress = nobody,
) -> Front:
    """The device's front with its networks timed there, and evaluated where they were trained here.

    Raises:
        FileFormatError: there is no front.
        DeviceError: the device cannot be used.
    """
    job = _of_front(device, space, root, on_progress)
    (chosen,) = starting.devices_named([device], Path(root), wait=wait)
    evaluator = None if job.accuracy else steps.train(job)
    return steps.verify(job, chosen, evaluator, again=fresh)


def compare(old: Table, new: Table) -> Comparison:
    """What a regenerated table of a device says: how far everything moved, and what beyond that.

    Raises:
        TableError: the tables are not of one device and setting, or have no block in common.
    """
    return compare_tables(old, new, old.clock)


def history(paths: Sequence[Path | str] = (), *, root: Path | str = ".") -> tuple[History, ...]:
    """What became of tables, and of benchmarks that were kept, over campaigns and git's commits.

    `paths`: tables and results; none: all tables below `root`. One value for each device and space
    or model: points, the machine's levels, steps with what came with them, updates.

    Raises:
        TableError: nothing was measured twice.
        FileFormatError: a file as it is now cannot be read.
    """
    return histories(Path(root), [Path(each) for each in paths]).found


def export(
    folder: Path | str,
    *,
    network: Path | str | None = None,
    device: str | None = None,
    max_latency_ms: float | None = None,
    at: str | None = None,
    space: str | None = None,
    formats: Sequence[str] | None = None,
    data: Path | str | None = None,
    root: Path | str = ".",
    on_progress: OnProgress = nobody,
) -> Path:
    """A network file, or the best of a device's front, as a bundle of files; its folder.

    Raises:
        UsageError: it is not said which network.
        InfeasibleConstraint: no verified network of the front is fast enough.
        ConversionFailed: a file does not compute what the network does.
    """
    if (network is None) == (device is None):
        raise UsageError("export takes network, or device (with max_latency_ms)")
    check_time(at)
    if device is None:
        listener = Callback(on_progress)
        job = starting.job_for(listener, space or "digits", Path(root))
    else:
        device = full_name(device, Path(root))
        job = _of_front(device, space, root, on_progress)
    asked = Bundle(
        Path(folder),
        None if network is None else Path(network),
        device,
        max_latency_ms,
        at,
        data=None if data is None else Path(data),
        formats=None if formats is None else ",".join(formats),
    )
    write_bundle(job, asked)
    return asked.folder


def report(
    device: str,
    space: str | None = None,
    *,
    root: Path | str = ".",
    on_progress: OnProgress = nobody,
) -> Path:
    """The page of a device's front, written anew with its figures.

    Raises:
        FileFormatError: there is no front.
    """
    name = full_name(device, Path(root))
    page, *_ = steps.report(_of_front(name, space, root, on_progress), name)
    return page


def _names(device: str | Sequence[str]) -> list[str]:
    """Raises UsageError where there is none."""
    names = [device] if isinstance(device, str) else list(device)
    if not names:
        raise UsageError("no device is named")
    return names


def _named(job: Run, device: str, network: Network) -> NamedNetwork:
    if isinstance(network, Arch):
        return of_arch(job, str(network.to_json()), network)
    return network_named(job, device, str(network))


def _by(space: Space, function: Callable[[Arch], float]) -> AccuracySource:
    return OwnFunction(space, getattr(function, "__name__", "a function"), function)


def _of_front(device: str, space: str | None, root: Path | str, on_progress: OnProgress) -> Run:
    name, found = starting.found_there(device, space, Path(root))
    return starting.job_of_front(Callback(on_progress), name, found, Path(root))
