"""The commands. Each hands over to `pipeline` at once and imports what it needs when it runs."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from harness.errors import HarnessError, Interrupted, Regression, UsageError

if TYPE_CHECKING:
    from harness.console import Terminal
    from harness.devices.device import Device
    from harness.pipeline import Run

app = typer.Typer(
    name="harness",
    help="Once-for-all networks on real devices: measure, search, verify, report.",
    epilog="Add --debug to any command for tracebacks. Exit codes: docs/errors.md.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
devices_app = typer.Typer(help="The catalogue of devices.", no_args_is_help=True)
tables_app = typer.Typer(help="Measured latency tables.", no_args_is_help=True)
accuracy_app = typer.Typer(help="The accuracy predictor.", no_args_is_help=True)
app.add_typer(devices_app, name="devices")
app.add_typer(tables_app, name="tables")
app.add_typer(accuracy_app, name="accuracy")

Root = Annotated[Path, typer.Option(help="Folder with devices, tables, reports and runs.")]
DeviceNames = Annotated[
    list[str], typer.Option("--device", help="Name of a device; repeat for several.")
]
DeviceName = Annotated[str, typer.Option("--device", help="Name of a device.")]
SpaceName = Annotated[
    str, typer.Option("--space", help="Family of networks; your own as package.module:SPACE.")
]
Resolutions = Annotated[
    str | None, typer.Option(help="Image sizes, such as 160,192,224 (default: all of the space).")
]
Quick = Annotated[bool, typer.Option("--quick", help="A first look in two minutes.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start over instead of going on.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same networks.")]
Distill = Annotated[
    float, typer.Option(min=0, help="Weight of the largest network's soft labels in training.")
]
FailAbove = Annotated[
    str | None, typer.Option(help="Exit with 8 where it is slower by more than this, such as 5%.")
]
Accuracy = Annotated[
    str | None,
    typer.Option(help="Where accuracies come from: .npz, .pth, .csv or package.module:function."),
]
HERE, CPU = Path(), ["cpu"]
NO_LIMITS: list[str] = []


@app.command()
def run(
    device: DeviceNames = CPU,
    space: SpaceName = "digits",
    accuracy: Accuracy = None,
    resolutions: Resolutions = None,
    quick: Quick = False,
    fresh: Fresh = False,
    seed: Seed = 0,
    distill: Distill = 0.0,
    root: Root = HERE,
) -> None:
    """The main job: train, measure, search, verify on the device, report.

    With --accuracy nothing is trained: networks are found and timed, not evaluated.
    """
    from harness import pipeline

    job = _job(space, root, quick, fresh, seed, distill, resolutions, accuracy=accuracy)
    devices = _devices(device, root)
    fronts = pipeline.run(job, devices)
    for front in fronts:
        _terminal().show_front(front)
    for front in fronts:
        page = job.workspace.report(front.device, front.space) / "index.html"
        _terminal().say(f"report of {front.device}: {page}")


@app.command()
def train(
    space: SpaceName = "digits",
    quick: Quick = False,
    fresh: Fresh = False,
    seed: Seed = 0,
    distill: Distill = 0.0,
    root: Root = HERE,
) -> None:
    """Train the supernet by progressive shrinking."""
    from harness import pipeline

    job = _job(space, root, quick, fresh, seed, distill)
    pipeline.train(job)
    _terminal().say(f"supernet: {job.supernet}")


@accuracy_app.command("fit")
def accuracy_fit(
    space: SpaceName = "digits",
    quick: Quick = False,
    seed: Seed = 0,
    distill: Distill = 0.0,
    root: Root = HERE,
) -> None:
    """Evaluate random sub-networks and train the accuracy predictor on them."""
    from harness import pipeline

    job = _job(space, root, quick, seed=seed, distill=distill)
    _terminal().say(pipeline.fit_accuracy(job, pipeline.train(job)).quality.describe())


@app.command()
def measure(
    device: DeviceNames = CPU,
    space: SpaceName = "digits",
    resolutions: Resolutions = None,
    budget: Annotated[
        str | None, typer.Option(help="Be done by then, with fewer visits: 90s, 45m, 1h30m.")
    ] = None,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Published networks instead, to compare with.")
    ] = False,
    refit: Annotated[
        bool, typer.Option("--refit", help="Only calibrate a table anew, for today's machine.")
    ] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Measure again only what has changed.")
    ] = False,
    quick: Quick = False,
    fresh: Fresh = False,
    root: Root = HERE,
) -> None:
    """Measure a device's latency table; goes on where it was stopped."""
    from harness import pipeline
    from harness.quantities import deadline_s

    if refit + refresh + fresh > 1 or (baselines and refit + refresh):
        raise UsageError("--refit, --refresh, --fresh and --baselines exclude each other")
    job = _job(space, root, quick, fresh, resolutions=resolutions, deadline_s=deadline_s(budget))
    step = pipeline.refit if refit else pipeline.refresh if refresh else pipeline.measure
    chosen = _devices(device, root)
    if baselines:
        for table in pipeline.on_each(chosen, lambda one: pipeline.measure_baselines(job, one)):
            _terminal().say(pipeline.describe_baselines(table))
        return
    for table in pipeline.on_each(chosen, lambda one: step(job, one)):
        _terminal().say(pipeline.describe_table(job, table))


@app.command()
def benchmark(
    model: Annotated[Path, typer.Argument(help="A .onnx or .tflite file (or a network file).")],
    device: DeviceName,
    output: Annotated[Path | None, typer.Option(help="Keep the result in this file.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="A kept result to compare with.")] = None,
    fail_above: FailAbove = None,
    root: Root = HERE,
) -> None:
    """Time a model file of yours, and tell whether it became slower."""
    from harness.files import write_json
    from harness.pipeline import benchmark as step
    from harness.quantities import parse_share

    limit = parse_share(fail_above)
    if limit is not None and baseline is None:
        raise UsageError("--fail-above needs a --baseline to compare with")
    old = None if baseline is None else step.load(baseline)
    (chosen,) = _devices([device], root)
    result = step.benchmark(_job("digits", root), chosen, model)
    _terminal().say(step.describe(result))
    if output is not None:
        write_json(output, result)
    if old is not None:
        compared = step.compare(old, result)
        _terminal().say(compared.describe())
        if limit is not None and compared.surely > 1 + limit:
            raise Regression(f"{model} became slower by more than {fail_above}")


@app.command()
def search(
    device: DeviceName = "cpu",
    constraint: Annotated[
        list[str], typer.Option(help="Such as pixel-1:30ms, macs:300M, params:5M, memory:2MB.")
    ] = NO_LIMITS,
    max_latency_ms: Annotated[
        float | None, typer.Option(min=0, help="The same for the latency of --device.")
    ] = None,
    complexity_weight: Annotated[
        float | None, typer.Option(min=0, help="The network with least error + weight * latency.")
    ] = None,
    objective: Annotated[
        str | None, typer.Option(help="A third objective: a device, macs, params or memory.")
    ] = None,
    front: Annotated[
        bool, typer.Option("--front", help="A whole front and its page, also within limits.")
    ] = False,
    accuracy: Accuracy = None,
    space: SpaceName = "digits",
    resolutions: Resolutions = None,
    quick: Quick = False,
    fresh: Fresh = False,
    seed: Seed = 0,
    distill: Distill = 0.0,
    root: Root = HERE,
) -> None:
    """Find the predicted front, or the best network within limits.

    The device needs a latency table, measured or imported, and nothing else.
    """
    from harness import pipeline
    from harness.quantities import parse_limit

    job = _job(space, root, quick, fresh, seed, distill, resolutions, accuracy=accuracy)
    _check_known(device, job)
    limits = [parse_limit(text) for text in constraint]
    if max_latency_ms is not None:
        limits.append((device, max_latency_ms))
    question = pipeline.Question(tuple(limits), objective)
    one = bool(limits) or complexity_weight is not None
    if one and not front:
        _terminal().say(pipeline.search_best(job, device, question, complexity_weight))
        return
    _terminal().show_front(pipeline.search(job, device, question))
    *_, path = pipeline.report(job, device)
    _terminal().say(f"page, plots and front: {path.parent}")


@app.command()
def verify(
    device: DeviceName = "cpu",
    space: SpaceName = "digits",
    fresh: Fresh = False,
    root: Root = HERE,
) -> None:
    """Extract the networks of a front, evaluate and time them on the device."""
    from harness import pipeline

    (chosen,) = _devices([device], root)
    job = _job_of_front(device, space, root)
    evaluator = None if job.accuracy else pipeline.train(job)
    _terminal().show_front(pipeline.verify(job, chosen, evaluator, again=fresh))
    pipeline.report(job, device)


@app.command()
def extract(
    network: Annotated[
        str, typer.Argument(help="`front:7` (the eighth point), an arch file or a net.config.")
    ],
    output: Annotated[Path, typer.Argument(help="The network file to write.")],
    device: DeviceName = "cpu",
    space: SpaceName = "digits",
    supernet: Annotated[
        Path | None, typer.Option(help="A supernet as the OFA authors release them.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Of a net.config: its `init`.")] = None,
    resolution: Annotated[int | None, typer.Option(min=1, help="Of a net.config, pixels.")] = None,
    root: Root = HERE,
) -> None:
    """Take one network out of a front, a supernet or a published file, into a network file."""
    from harness import pipeline

    asked = pipeline.Asked(network, device, supernet, weights, resolution)
    job = _job_of_front(device, space, root) if network.startswith("front:") else _job(space, root)
    _terminal().say(pipeline.extract_network(job, asked, output))


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="ofa-mbv3-w1.2, acc-predictor, note10, ...")],
    root: Root = HERE,
) -> None:
    """Download what the OFA authors published: weights, tables, predictor, networks."""
    from harness import pipeline

    _terminal().say(pipeline.fetch(_terminal(), name, root / "published"))


@app.command()
def report(device: DeviceName = "cpu", space: SpaceName = "digits", root: Root = HERE) -> None:
    """Write the page and the plot of a front anew."""
    from harness import pipeline

    _check_known(device, _job(space, root))
    for path in pipeline.report(_job_of_front(device, space, root), device):
        _terminal().say(str(path))


@devices_app.command("list")
def devices_list(root: Root = HERE) -> None:
    """All devices, and what stands behind their numbers."""
    from harness.devices.profile import load_profile, profile_paths
    from harness.tables.table import evidence

    for name in sorted(profile_paths(root)):
        title = load_profile(name, root).title
        _terminal().say(f"{name:<20} {title:<40} {evidence(name, root / 'tables')}")


@devices_app.command("check")
def devices_check(
    device: Annotated[str, typer.Argument(help="Name of a device.")], root: Root = HERE
) -> None:
    """Open a device and show what it says of itself."""
    (chosen,) = _devices([device], root)
    with chosen.open() as session:
        facts = chosen.identity(session) | dict(session.environment) | session.conditions()
    for name, value in facts.items():
        _terminal().say(f"{name:<22} {'unknown' if value is None else value}")


@tables_app.command("show")
def tables_show(
    device: Annotated[str, typer.Argument(help="Name of a device.")],
    space: SpaceName = "digits",
    root: Root = HERE,
) -> None:
    """A table's campaigns, error and floor."""
    from harness import pipeline
    from harness.tables.table import Table

    job = _job(space, root)
    table = Table.load(job.workspace.table(device, space))
    _terminal().say(pipeline.describe_table(job, table))


@tables_app.command("import")
def tables_import(
    paths: Annotated[list[Path], typer.Argument(help="Published .yaml files, or their folder.")],
    device: Annotated[
        str, typer.Option("--device", help="Name to give, such as note10-published.")
    ],
    source: Annotated[str, typer.Option(help="Where the files come from.")],
    space: SpaceName = "ofa-mbv3-w1.2",
    root: Root = HERE,
) -> None:
    """Read a latency table that the OFA authors (or others, in their format) published."""
    from harness import pipeline

    _terminal().say(pipeline.import_published(_job(space, root), paths, device, source))


@tables_app.command("export")
def tables_export(
    device: Annotated[str, typer.Argument(help="Name of a device.")],
    folder: Annotated[Path, typer.Argument(help="Where the .yaml files go.")],
    space: SpaceName = "ofa-mbv3-w1.2",
    root: Root = HERE,
) -> None:
    """Write a table in the OFA authors' format, one file a resolution."""
    from harness import pipeline

    for path in pipeline.export_published(_job(space, root), device, folder):
        _terminal().say(str(path))


@tables_app.command("compare")
def tables_compare(
    old: Annotated[str, typer.Argument(help="A table, or git's REVISION:PATH.")],
    new: Annotated[str, typer.Argument(help="A table, or git's REVISION:PATH.")],
    fail_above: FailAbove = None,
    root: Root = HERE,
) -> None:
    """What changed: everything together, and single blocks beyond noise."""
    from harness import pipeline
    from harness.quantities import parse_share

    limit = parse_share(fail_above)
    compared = pipeline.compare_tables(_job("digits", root), old, new, limit)
    _terminal().say(compared.text)
    if compared.regressed:
        raise Regression(f"{new} is slower than {old} by more than {fail_above}")


def _job(
    space: str,
    root: Path,
    quick: bool = False,
    fresh: bool = False,
    seed: int = 0,
    distill: float = 0.0,
    resolutions: str | None = None,
    deadline_s: float | None = None,
    accuracy: str | None = None,
) -> "Run":
    from harness.effort import FULL, QUICK
    from harness.pipeline import Run
    from harness.spaces.catalogue import find_space, part_of
    from harness.workspace import Workspace

    chosen = part_of(find_space(space), resolutions)
    effort = QUICK if quick else FULL
    return Run(
        Workspace(root),
        chosen,
        effort,
        seed,
        distill,
        fresh,
        _terminal(),
        deadline_s,
        accuracy,
        space if space != chosen.name else None,
        resolutions,
    )


def _job_of_front(device: str, space: str, root: Path) -> "Run":
    """The settings that made the front of the device."""
    from harness.deploy.front import Front
    from harness.workspace import Workspace

    settings = Front.load(Workspace(root).front(device, space)).settings
    quick = settings["effort"].get("name") == "quick"
    source = (settings.get("accuracy") or {}).get("source")
    seed, distill = settings["seed"], settings["distill"]
    return _job(space, root, quick, seed=seed, distill=distill, accuracy=source)


def _check_known(device: str, job: "Run") -> None:
    """Raises ProfileError, naming the nearest, for what is neither a device nor has a table."""
    if not job.workspace.table(device, job.space.name).exists():
        _devices([device], job.workspace.root)


def _devices(names: list[str], root: Path) -> "list[Device]":
    from harness.devices.device import Device

    return [Device.find(name, root) for name in dict.fromkeys(names)]


def _terminal() -> "Terminal":
    from harness.console import Terminal

    return Terminal()


def _interrupt(_signum: int, _frame: object) -> NoReturn:
    raise Interrupted("stopped; start the same command again, without --fresh, to go on")


def main() -> None:
    """The entry point: expected errors become one line and their exit code."""
    debug = "--debug" in sys.argv
    signal.signal(signal.SIGINT, _interrupt)
    try:
        app(args=[argument for argument in sys.argv[1:] if argument != "--debug"])
    except (HarnessError, Interrupted) as error:
        if debug:
            raise
        _fail(str(error), error.exit_code)
    except OSError as error:
        if debug:
            raise
        where = f"{error.filename}: " if error.filename else ""
        _fail(f"{where}{error.strerror or error}", 6)


def _fail(message: str, exit_code: int) -> NoReturn:
    sys.stderr.write(f"harness: {' '.join(message.split())}\n")
    raise SystemExit(exit_code)
