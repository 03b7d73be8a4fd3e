"""The commands of the main job. Each hands over to `pipeline` and imports what it needs then."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from harness import __version__
from harness.cli.group import Commands
from harness.cli.options import (
    CPU,
    HERE,
    NOTHING,
    Accuracy,
    At,
    BenchmarkModel,
    Constraint,
    Data,
    DeviceName,
    DeviceNames,
    Distill,
    Fresh,
    OptionalSpaceName,
    Quick,
    RangeImages,
    Resolutions,
    Root,
    Seed,
    SpaceName,
    SpaceThere,
    Wait,
    devices_named,
    found_there,
    job_for,
    job_of_front,
    quantity_asked,
    terminal,
)
from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.device.device import Device
    from harness.tables.table import Table

app = typer.Typer(
    cls=Commands,
    name="harness",
    help="Once-for-all networks on real devices: measure, search, verify, report.",
    epilog="Add --debug to any command for tracebacks. Exit codes: docs/errors.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _say_version(asked: bool) -> None:
    if asked:
        terminal().say(f"harness {__version__}")
        raise typer.Exit


@app.callback()
def options_in_front(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_say_version, is_eager=True, help="Say it, and end."),
    ] = False,
) -> None:
    """Once-for-all networks on real devices: measure, search, verify, report."""
    del version


@app.command()
def run(
    device: DeviceNames = CPU,
    data: Data = None,
    space: OptionalSpaceName = None,
    accuracy: Accuracy = None,
    resolutions: Resolutions = None,
    constraint: Constraint = NOTHING,
    benchmark_model: BenchmarkModel = None,
    images: RangeImages = None,
    quick: Quick = False,
    fresh: Fresh = False,
    seed: Seed = 0,
    distill: Distill = 0.0,
    wait: Wait = False,
    root: Root = HERE,
) -> None:
    """The main job: train, measure, search, verify on the device, report.

    On digits, or on a folder of images of your own. With --accuracy nothing is trained: networks
    are found and timed, not evaluated.
    """
    from harness.pipeline import steps
    from harness.pipeline.supernet_folder import Training

    if data is not None and accuracy is not None:
        raise UsageError("--data is to train on, with --accuracy nothing is trained: give one")
    training = Training(data, distill=distill or None) if data else None
    job = job_for(
        space,
        root,
        quick,
        fresh=fresh,
        seed=seed,
        distill=distill,
        resolutions=resolutions,
        accuracy=accuracy,
        training=training,
    )
    devices = devices_named(device, root, benchmark_model, images, wait)
    fronts = steps.run(job, devices, steps.Question(steps.limits_asked(constraint, root)))
    for front in fronts:
        terminal().show_front(front)
    for front in fronts:
        page = job.workspace.report(front.device, front.space) / "index.html"
        terminal().say(f"report of {front.device}: {page}")
    if len(fronts) > 1:
        page = job.workspace.report_across(job.space.name) / "index.html"
        terminal().say(f"report of all of them: {page}")
    if data is not None:
        terminal().say(
            f"networks: {job.supernet.path / 'networks'}; as .onnx and others: `harness export "
            f"FOLDER --device {fronts[0].device} --space {job.space.name} --max-latency-ms ...`"
        )


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
    energy: Annotated[
        bool, typer.Option("--energy", help="Energies instead, where the device has a counter.")
    ] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="Peak memories instead, each in a process of its own.")
    ] = False,
    kernels: Annotated[
        bool,
        typer.Option("--kernels", help="Single operators instead, to predict any model file from."),
    ] = False,
    benchmark_model: BenchmarkModel = None,
    effort: Annotated[
        str | None,
        typer.Option(
            help="quick, normal or full: how many blocks are filled in from their neighbours "
            "instead of visited (default: normal)."
        ),
    ] = None,
    quick: Quick = False,
    fresh: Fresh = False,
    wait: Wait = False,
    root: Root = HERE,
) -> None:
    """Measure a device's latency table; goes on where it was stopped."""
    from harness.cli.words.table import describe_baselines
    from harness.pipeline import steps
    from harness.predictors.kernel_fit import fitted
    from harness.predictors.kernel_networks import NAME
    from harness.quantities import deadline_in

    if refit + refresh + fresh > 1 or (baselines and refit + refresh):
        raise UsageError("--refit, --refresh, --fresh and --baselines exclude each other")
    if baselines and resolutions is not None:
        raise UsageError("--resolutions are of a space: --baselines are networks as published")
    if (energy or memory) and (baselines or refresh):
        raise UsageError("--energy and --memory make a table or, with --refit, calibrate one anew")
    if kernels and (baselines or refit or refresh or energy or memory or resolutions or effort):
        raise UsageError("--kernels makes a table of its own, of latencies: with --fresh anew")
    if effort and (baselines or refit or refresh or energy or memory):
        raise UsageError(
            "--effort is of a table of latencies: leave it out, or with less to do give --quick"
        )
    job = job_for(space, root, quick, effort=effort, fresh=fresh, resolutions=resolutions)
    chosen = devices_named(device, root, benchmark_model, wait=wait)
    simulated = [one.name for one in chosen if one.profile.simulated]
    if effort and simulated:
        raise UsageError(
            f"--effort says how many blocks are visited: {simulated[0]} is simulated, and all are"
        )
    deadline_s, quantity = deadline_in(budget), quantity_asked(energy, memory)

    def step(one: "Device") -> "Table":
        if kernels:
            return steps.measure_kernels(job, one, deadline_s)
        if baselines:
            return steps.measure_baselines(job, one, deadline_s)
        if refresh:
            return steps.refresh(job, one, deadline_s)
        return (steps.refit if refit else steps.measure)(job, one, quantity, deadline_s)

    for table in steps.on_each(chosen, step):
        if kernels:
            terminal().say(fitted(job.workspace.table(table.device, NAME)).describe())
        elif baselines:
            terminal().say(describe_baselines(table))
        else:
            terminal().tell(steps.table_state(job, table))


@app.command()
def search(
    device: DeviceName = "cpu",
    constraint: Constraint = NOTHING,
    max_latency_ms: Annotated[
        float | None, typer.Option(min=0, help="The same for the latency of --device, of a run.")
    ] = None,
    at: At = None,
    complexity_weight: Annotated[
        float | None, typer.Option(min=0, help="The network with least error + weight * latency.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="A third objective: a device, macs, params, activations, memory, sram or flash."
        ),
    ] = None,
    front: Annotated[
        bool, typer.Option("--front", help="A whole front and its page, also within limits.")
    ] = False,
    further: Annotated[
        bool, typer.Option("--further", help="Go on from the front that is there.")
    ] = False,
    accuracy: Accuracy = None,
    space: SpaceThere = None,
    resolutions: Resolutions = None,
    quick: Quick = False,
    fresh: Fresh = False,
    seed: Seed = 0,
    distill: Annotated[
        float, typer.Option(min=0, help="The supernet that was trained with these soft labels.")
    ] = 0.0,
    root: Root = HERE,
) -> None:
    """Find the predicted front, or the best network within limits.

    The device needs a latency table, measured or imported, and nothing else.
    """
    from harness.pipeline import steps
    from harness.tables.statements import check_time

    device, space = found_there(device, space, root)
    job = job_for(
        space,
        root,
        quick,
        fresh=fresh,
        seed=seed,
        distill=distill,
        resolutions=resolutions,
        accuracy=accuracy,
    )
    if at is not None and max_latency_ms is None:
        raise UsageError("--at is for --max-latency-ms; a --constraint says it as cpu:30ms@p90")
    limits = steps.limits_asked(constraint, root)
    if max_latency_ms is not None:
        limits += ((device, max_latency_ms, check_time(at)),)
    question = steps.Question(limits, objective)
    if front and complexity_weight is not None:
        raise UsageError("--complexity-weight takes one network, --front all of them: give one")
    one = bool(limits) or complexity_weight is not None
    if one and further and not front:
        raise UsageError("--further goes on from a front: with limits, --front asks for one")
    if one and not front:
        best = steps.search_best(job, device, question, complexity_weight)
        terminal().say(json.dumps(best))
        return
    terminal().show_front(steps.search(job, device, question, further))
    *_, path = steps.report(job, device)
    terminal().say(f"page, plots and front: {path.parent}")


@app.command()
def verify(
    device: DeviceName = "cpu",
    space: SpaceThere = None,
    benchmark_model: BenchmarkModel = None,
    images: RangeImages = None,
    fresh: Fresh = False,
    wait: Wait = False,
    root: Root = HERE,
) -> None:
    """Extract the networks of a front, evaluate and time them on the device."""
    from harness.pipeline import steps

    (chosen,) = devices_named([device], root, benchmark_model, images, wait)
    job = job_of_front(*found_there(device, space, root), root)
    evaluator = None if job.accuracy else steps.train(job)
    terminal().show_front(steps.verify(job, chosen, evaluator, again=fresh))
    steps.report(job, chosen.name)
