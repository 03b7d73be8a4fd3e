"""The commands of the main job. Each hands over to `pipeline` and imports what it needs then."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import (
    CPU,
    HERE,
    NO_LIMITS,
    Accuracy,
    BenchmarkModel,
    Data,
    DeviceName,
    DeviceNames,
    Distill,
    FailAbove,
    Fresh,
    Quick,
    RangeImages,
    Resolutions,
    Root,
    Seed,
    SpaceName,
    check_known,
    devices_named,
    job_for,
    job_of_front,
    terminal,
)
from harness.errors import Regression, UsageError

app = typer.Typer(
    name="harness",
    help="Once-for-all networks on real devices: measure, search, verify, report.",
    epilog="Add --debug to any command for tracebacks. Exit codes: docs/errors.md.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def run(
    device: DeviceNames = CPU,
    space: SpaceName = "digits",
    accuracy: Accuracy = None,
    resolutions: Resolutions = None,
    benchmark_model: BenchmarkModel = None,
    images: RangeImages = None,
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

    job = job_for(space, root, quick, fresh, seed, distill, resolutions, accuracy=accuracy)
    devices = devices_named(device, root, benchmark_model, images)
    fronts = pipeline.run(job, devices)
    for front in fronts:
        terminal().show_front(front)
    for front in fronts:
        page = job.workspace.report(front.device, front.space) / "index.html"
        terminal().say(f"report of {front.device}: {page}")


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
    benchmark_model: BenchmarkModel = None,
    quick: Quick = False,
    fresh: Fresh = False,
    root: Root = HERE,
) -> None:
    """Measure a device's latency table; goes on where it was stopped."""
    from harness import pipeline
    from harness.quantities import deadline_s

    if refit + refresh + fresh > 1 or (baselines and refit + refresh):
        raise UsageError("--refit, --refresh, --fresh and --baselines exclude each other")
    if energy and (baselines or refresh):
        raise UsageError("--energy makes a table or, with --refit, calibrates one anew")
    job = job_for(
        space,
        root,
        quick,
        fresh,
        resolutions=resolutions,
        deadline_s=deadline_s(budget),
        quantity="energy" if energy else "latency",
    )
    step = pipeline.refit if refit else pipeline.refresh if refresh else pipeline.measure
    chosen = devices_named(device, root, benchmark_model)
    if baselines:
        for table in pipeline.on_each(chosen, lambda one: pipeline.measure_baselines(job, one)):
            terminal().say(pipeline.describe_baselines(table))
        return
    for table in pipeline.on_each(chosen, lambda one: step(job, one)):
        terminal().say(pipeline.describe_table(job, table))


@app.command()
def benchmark(
    model: Annotated[
        Path, typer.Argument(help="A network file, or what its runtime takes: .onnx, .tflite.")
    ],
    device: DeviceName,
    output: Annotated[Path | None, typer.Option(help="Keep the result in this file.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="A kept result to compare with.")] = None,
    fail_above: FailAbove = None,
    ops: Annotated[
        bool,
        typer.Option(
            "--ops", help="Where the time goes, by type of operator, if the runtime tells."
        ),
    ] = False,
    benchmark_model: BenchmarkModel = None,
    images: RangeImages = None,
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
    (chosen,) = devices_named([device], root, benchmark_model, images)
    if ops:
        step.check_profiles(chosen)
    result = step.benchmark(job_for("digits", root), chosen, model)
    terminal().say(step.describe(result))
    if output is not None:
        write_json(output, result)
    if ops:
        for each in step.profile_ops(chosen, model.resolve()):
            terminal().say(f"{each.op:<28} {each.count:>4}  {each.mean_ms:10.4f} ms")
    if old is not None:
        compared = step.compare(old, result)
        terminal().say(compared.describe())
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
    further: Annotated[
        bool, typer.Option("--further", help="Go on from the front that is there.")
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

    job = job_for(space, root, quick, fresh, seed, distill, resolutions, accuracy=accuracy)
    check_known(device, job)
    limits = [parse_limit(text) for text in constraint]
    if max_latency_ms is not None:
        limits.append((device, max_latency_ms))
    question = pipeline.Question(tuple(limits), objective)
    if front and complexity_weight is not None:
        raise UsageError("--complexity-weight takes one network, --front all of them: give one")
    one = bool(limits) or complexity_weight is not None
    if one and not front:
        terminal().say(pipeline.search_best(job, device, question, complexity_weight))
        return
    terminal().show_front(pipeline.search(job, device, question, further))
    *_, path = pipeline.report(job, device)
    terminal().say(f"page, plots and front: {path.parent}")


@app.command()
def verify(
    device: DeviceName = "cpu",
    space: SpaceName = "digits",
    benchmark_model: BenchmarkModel = None,
    images: RangeImages = None,
    fresh: Fresh = False,
    root: Root = HERE,
) -> None:
    """Extract the networks of a front, evaluate and time them on the device."""
    from harness import pipeline

    (chosen,) = devices_named([device], root, benchmark_model, images)
    job = job_of_front(chosen.name, space, root)
    evaluator = None if job.accuracy else pipeline.train(job)
    terminal().show_front(pipeline.verify(job, chosen, evaluator, again=fresh))
    pipeline.report(job, chosen.name)


@app.command()
def breakdown(
    device: DeviceName,
    arch: Annotated[
        list[str],
        typer.Option(help="`front:7`, an arch or network file; `@3` for three calls; repeat."),
    ],
    space: SpaceName = "digits",
    ops: Annotated[
        bool, typer.Option("--ops", help="By type of operator too, profiled on the device.")
    ] = False,
    benchmark_model: BenchmarkModel = None,
    root: Root = HERE,
) -> None:
    """Where the time and energy of a network, or of a request to several, go."""
    from harness.pipeline import breakdown as step
    from harness.pipeline.benchmark import check_profiles

    job = job_for(space, root)
    check_known(device, job)
    if ops:
        (chosen,) = devices_named([device], root, benchmark_model)
        check_profiles(chosen)
    parts = step.breakdown(job, device, arch)
    for line in step.describe(parts):
        terminal().say(line)
    for path in step.save(job, device, parts):
        terminal().say(str(path))
    if ops:
        for line in step.describe_ops(job, chosen, arch):
            terminal().say(line)


@app.command()
def roofline(device: DeviceName, space: SpaceName = "digits", root: Root = HERE) -> None:
    """How much is computed for each byte moved, and how fast: found networks and baselines."""
    from harness.pipeline import roofline as step

    job = job_for(space, root)
    check_known(device, job)
    shown = step.roofline(job, device)
    for line in step.describe(shown):
        terminal().say(line)
    for path in step.save(job, shown):
        terminal().say(str(path))


@app.command()
def extract(
    network: Annotated[
        str, typer.Argument(help="`front:7` (the eighth point), an arch file or a net.config.")
    ],
    output: Annotated[Path, typer.Argument(help="The network file to write.")],
    device: DeviceName = "cpu",
    space: SpaceName = "digits",
    supernet: Annotated[
        Path | None, typer.Option(help="A supernet of ours, or as the OFA authors release them.")
    ] = None,
    weights: Annotated[Path | None, typer.Option(help="Of a net.config: its `init`.")] = None,
    resolution: Annotated[int | None, typer.Option(min=1, help="Of a net.config, pixels.")] = None,
    data: Data = None,
    root: Root = HERE,
) -> None:
    """Take one network out of a front, a supernet or a published file, into a network file."""
    from harness import pipeline

    asked = pipeline.Asked(network, device, supernet, weights, resolution, data)
    job = (
        job_of_front(device, space, root) if network.startswith("front:") else job_for(space, root)
    )
    terminal().say(pipeline.extract_network(job, asked, output))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="Where the bundle goes.")],
    network: Annotated[Path | None, typer.Option(help="A network file.")] = None,
    device: Annotated[str | None, typer.Option(help="Else from this device's front.")] = None,
    max_latency_ms: Annotated[
        float | None, typer.Option(min=0, help="What it takes there at most, surely.")
    ] = None,
    supernet: Annotated[
        Path | None, typer.Option(help="Its weights, where the front was found without training.")
    ] = None,
    space: SpaceName = "digits",
    data: Data = None,
    root: Root = HERE,
) -> None:
    """A network as .pt2, .onnx and .tflite (float and int8), checked, with a card."""
    from harness.pipeline.export import Bundle
    from harness.pipeline.export import export as step

    if (network is None) == (device is None):
        raise UsageError("export takes --network FILE, or --device (with --max-latency-ms)")
    if supernet is not None and device is None:
        raise UsageError("--supernet is for --device: a network file has weights of its own")
    job = job_for(space, root) if device is None else job_of_front(device, space, root)
    bundle = Bundle(folder, network, device, max_latency_ms, supernet, data)
    terminal().say(step(job, bundle))


@app.command()
def carbon(
    device: Annotated[str | None, typer.Option(help="Of a network that is deployed.")] = None,
    arch: Annotated[str | None, typer.Option(help="That network: `front:7`, or a file.")] = None,
    inferences: Annotated[float, typer.Option(min=1, help="How often it is used.")] = 1e6,
    space: SpaceName = "digits",
    watts: Annotated[
        float | None, typer.Option(min=0, help="Assumed of each rank of runs without a counter.")
    ] = None,
    gpu_watts: Annotated[float | None, typer.Option(min=0, help="Of a GPU in Table 2.")] = None,
    pue: Annotated[float | None, typer.Option(min=1, help="Of the data centre (1.58).")] = None,
    grid: Annotated[float | None, typer.Option(min=0, help="lb CO2e a kWh (0.954).")] = None,
    price: Annotated[float | None, typer.Option(min=0, help="Dollars a GPU hour (3.06).")] = None,
    root: Root = HERE,
) -> None:
    """What finding networks costs: the paper's table, our own runs, and what inferences add."""
    from harness.pipeline import carbon as step
    from harness.reports.carbon import Place

    if (device is None) != (arch is None):
        raise UsageError("--device and --arch say together which network is used")
    asked = {
        "gpu_w": gpu_watts,
        "pue": pue,
        "grid_lb_per_kwh": grid,
        "gpu_usd_per_h": price,
    }
    place = Place(**{name: value for name, value in asked.items() if value is not None})
    job = job_for(space, root)
    for line in step.describe_table(place):
        terminal().say(line)
    for line in step.describe_runs(step.own_runs(root, watts, place)):
        terminal().say(line)
    if device is not None and arch is not None:
        deployed = step.Deployed(device, arch, inferences)
        terminal().say(step.describe_inferences(job, deployed, place))
    for path in step.save(job, place):
        terminal().say(str(path))


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="ofa-mbv3-w1.2, acc-predictor, note10, ...")],
    root: Root = HERE,
) -> None:
    """Download what the OFA authors published: weights, tables, predictor, networks."""
    from harness import pipeline

    terminal().say(pipeline.fetch(terminal(), name, root / "published"))


@app.command()
def report(
    device: DeviceNames = CPU,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Two tables of a device instead, old and new: files, or git's REVISION:PATH."
        ),
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="The network you ship, for --compare: `front:7`, or a file.")
    ] = None,
    space: SpaceName = "digits",
    root: Root = HERE,
) -> None:
    """Write the page and figures of a device's front anew; of several, also one of them all."""
    from harness import pipeline

    if compare is not None:
        from harness.tables.compare import load_revision

        old, new = (load_revision(text, root) for text in compare)
        named = space if space != "digits" else new.space
        job = job_for(named, root)
        if job.workspace.front(new.device, job.space.name).exists():
            job = job_of_front(new.device, named, root)
        for path in pipeline.report_over_time(job, compare, old, new, arch):
            terminal().say(str(path))
        return
    if arch is not None:
        raise UsageError("--arch says which network you ship: it is for --compare")
    jobs = {}
    for name in device:
        check_known(name, job_for(space, root))
        jobs[name] = job_of_front(name, space, root)
    paths = [path for name, job in jobs.items() for path in pipeline.report(job, name)]
    if len(jobs) > 1:
        paths += pipeline.report_devices(jobs)
    for path in paths:
        terminal().say(str(path))
