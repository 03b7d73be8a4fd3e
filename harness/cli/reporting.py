"""The commands that show what there is: pages, figures, where time goes."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.commands import app
from harness.cli.options import (
    CPU,
    HERE,
    NOTHING,
    Accuracy,
    AsCsv,
    AsJson,
    BenchmarkModel,
    DeviceName,
    DeviceNames,
    FailAbove,
    Root,
    SpaceThere,
    Wait,
    devices_named,
    found_there,
    job_for,
    job_of_front,
    show_values,
    terminal,
)
from harness.errors import Regression, UsageError

if TYPE_CHECKING:
    from harness.predictors.model_prediction import ModelPrediction


@app.command()
def report(
    device: Annotated[
        list[str] | None,
        typer.Option(
            help="Name of a device (cpu); repeat for several. imported:NAME is shown beside them."
        ),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option(
            help="Two tables of a device instead, old and new: files, or git's REVISION:PATH."
        ),
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="The network you ship, for --compare: `front:7`, or a file.")
    ] = None,
    accuracy: Annotated[
        str | None,
        typer.Option(
            help="For --compare: the front's own package.module:function, which is called anew."
        ),
    ] = None,
    space: Annotated[
        str | None,
        typer.Option(help="Family of networks (default: what there is, else digits)."),
    ] = None,
    pdf: Annotated[
        bool, typer.Option("--pdf", help="Each page also as PDF, for a paper's appendix.")
    ] = False,
    root: Root = HERE,
) -> None:
    """Write the page and figures of a device's front anew; of several, also one of them all."""
    from harness.pipeline import steps
    from harness.tables.imported import PREFIX

    if compare is not None:
        if pdf:
            raise UsageError("--pdf is of a front's page, not of --compare")
        if device is not None:
            raise UsageError("--compare takes tables, which tell their device: leave out --device")
        _compare(compare, arch, accuracy, space, root)
        return
    if arch is not None:
        raise UsageError("--arch says which network you ship: it is for --compare")
    if accuracy is not None:
        raise UsageError("--accuracy is for --compare: a page shows accuracies that the front has")
    others = [given for given in device or () if given.startswith(PREFIX)]
    own = [given for given in device or CPU if given not in others]
    if not own:
        raise UsageError(f"{others[0]} is shown beside a device of yours: give one, too")
    there = [found_there(given, space, root) for given in own]
    jobs = {name: job_of_front(name, family, root) for name, family in there}
    paths = [path for name, job in jobs.items() for path in steps.report(job, name, others)]
    if len(jobs) > 1:
        paths += steps.report_devices(jobs)
    if pdf:
        from harness.reports.pdf import save_pdf

        paths += [save_pdf(path) for path in paths if path.name == "index.html"]
    terminal().say(*map(str, paths))


def _compare(
    names: tuple[str, str], arch: str | None, accuracy: str | None, space: str | None, root: Path
) -> None:
    from harness.pipeline.over_time import report_over_time
    from harness.tables.compare import load_revision

    old, new = (load_revision(text, root) for text in names)
    family = space or new.space
    job = job_for(family, root)
    if job.workspace.front(new.device, job.space.name).exists():
        job = job_of_front(new.device, family, root)
    terminal().say(*map(str, report_over_time(job, names, old, new, arch, accuracy)))


@app.command()
def history(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Tables and benchmarks' --output files (default: all tables)."),
    ] = None,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="For a pull request's comment.")
    ] = False,
    fail_above: FailAbove = None,
    root: Root = HERE,
) -> None:
    """What was measured over time and over git's commits: steps, and what came with them.

    A page with lines for each device, regressions first.
    """
    from harness.pipeline.history import histories
    from harness.quantities import parse_share
    from harness.reports.history import lines, markdown, save_history

    limit = parse_share(fail_above)
    result = histories(root, paths or [])
    page = save_history(result.found, result.notes, root / "reports" / "history")
    if as_markdown:
        terminal().say(markdown(result.found, result.notes).rstrip())
    else:
        terminal().say(*lines(result.found, result.notes))
        terminal().say(str(page))
    slower = [one for each in result.found for one in each.newest_regressions(limit)]
    if slower:
        raise Regression(f"slower by more than {fail_above} since the newest: {', '.join(slower)}")


@app.command(name="list")
def list_(
    as_json: AsJson = False,
    root: Root = HERE,
) -> None:
    """The tables, fronts, supernets and networks that are here."""
    from harness.cli.words.listing import describe_item
    from harness.pipeline.listing import listing

    found = [
        {"kind": each.kind, "path": str(each.path), "what": describe_item(each)}
        for each in listing(root)
    ]
    if as_json:
        terminal().say(json.dumps(found))
        return
    for each in found:
        terminal().say(f"{each['kind']:<10} {each['path']}  {each['what']}")
    if not found:
        terminal().say(f"nothing in {root.absolute()} yet: `harness run` makes a table and a front")


@app.command()
def roofline(device: DeviceName, space: SpaceThere = None, root: Root = HERE) -> None:
    """How much is computed for each byte moved, and how fast: found networks and baselines."""
    from harness.cli.words.roofline import roofline_lines
    from harness.pipeline import roofline as step

    device, space = found_there(device, space, root)
    job = job_for(space, root)
    shown = step.roofline(job, device)
    terminal().say(*roofline_lines(shown))
    terminal().say(*map(str, step.save(job, shown)))


@app.command()
def predict(
    networks: Annotated[
        list[str],
        typer.Argument(
            help="`front:7`, or files with an arch or a network; any .onnx or .pt2 file, where a "
            "device has a table of kernels; of an imported device also a name in its source."
        ),
    ],
    device: DeviceNames = CPU,
    space: SpaceThere = None,
    accuracy: Accuracy = None,
    from_device: Annotated[
        str | None,
        typer.Option(help="Of --device imported:NAME: a device of yours to rescale from."),
    ] = None,
    shape: Annotated[
        list[str], typer.Option(help="Sizes of a model file's input: NAME=1,3,320,320.")
    ] = NOTHING,
    dim: Annotated[
        list[str], typer.Option(help="An open size of a model file: height=320.")
    ] = NOTHING,
    input_: Annotated[
        list[str], typer.Option("--input", help="Values of an input: NAME=ids.npy, or a number.")
    ] = NOTHING,
    budget: Annotated[
        str | None,
        typer.Option(help="Of a model file, 30ms: which kernels to narrow where it takes longer."),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="Another model file, to tell the difference to.")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Of model files: a page with their kernels drawn, such as mine.html."),
    ] = None,
    node_data: Annotated[
        Path | None,
        typer.Option(help="Of an .onnx file: times of its nodes, for Google's Model Explorer."),
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    root: Root = HERE,
) -> None:
    """What networks take on devices with a table, without running them.

    Latency as measured again and as users see it, energy, memory of activations, accuracy. A point
    of a front is one of the first device's. Of a device that is not here (imported:NAME) the
    latency at full speed, by the devices of its runtime or rescaled from one of yours.
    """
    from harness.pipeline.predict_model import are_models, predict_models
    from harness.quantities import parse_milliseconds
    from harness.runtimes.model_inputs.asked import parse_asked
    from harness.workspace import Workspace

    if as_json and as_csv:
        raise UsageError("--json and --csv both say how the answer is written: give one")
    if are_models(networks):
        if space or accuracy or from_device:
            raise UsageError("--space, --accuracy and --from-device are not for model files")
        asked = parse_asked(shape, dim, input_, None)
        models = [*networks, *([str(compare)] if compare is not None else [])]
        if node_data is not None:
            _check_node_data(node_data, models, device)
        limit_ms = None if budget is None else parse_milliseconds(budget)
        predictions = predict_models(Workspace(root), models, device, asked, limit_ms)
        if page is not None:
            from harness.reports.prediction_page import save_prediction_page

            save_prediction_page(predictions, page, limit_ms)
        _show_models(predictions, limit_ms, as_json, as_csv)
        if node_data is not None:
            from harness.reports.node_data import save_predicted

            saved = save_predicted(node_data, predictions[0])
            typer.echo(saved, err=as_json or as_csv)
        return
    if shape or dim or input_ or budget or compare or page or node_data:
        raise UsageError(
            "--shape, --dim, --input, --budget, --compare, --page and --node-data are for model "
            "files alone"
        )
    from harness.pipeline import starting
    from harness.pipeline.networks import network_named
    from harness.pipeline.predict import accuracies
    from harness.pipeline.predict import predict as step

    if from_device is not None or any(name.startswith("imported:") for name in device):
        if len(device) > 1 or not device[0].startswith("imported:"):
            raise UsageError("what is predicted of an imported device is of it alone: give one")
        if accuracy is not None:
            raise UsageError("--accuracy is for devices with a table: of others, latency is told")
        _elsewhere(networks, device[0], from_device, space, root, as_json, as_csv)
        return
    first, space = found_there(device[0], space, root)
    say = terminal(quiet=as_json or as_csv)
    job = starting.job_to_predict(say, first, space, root, accuracy)
    named = [network_named(job, first, each) for each in networks]
    source = accuracies(job)
    names = dict.fromkeys(found_there(each, space, root)[0] for each in device)
    found = [each for name in names for each in step(job, named, name, source)]
    if as_json or as_csv:
        rows = [each.to_row() for each in found]
        show_values(rows, [each.to_json() for each in found], as_json)
    else:
        terminal().show_predictions(found)


def _check_node_data(path: Path, models: list[str], devices: list[str]) -> None:
    if len(models) > 1 or len(devices) > 1 or not models[0].lower().endswith(".onnx"):
        raise UsageError("--node-data is of one .onnx file on one device")
    if path == Path(models[0]):
        raise UsageError(f"--node-data {path} would replace the model: name another file")


def _show_models(
    found: "list[ModelPrediction]", budget_ms: float | None, as_json: bool, as_csv: bool
) -> None:
    from harness.cli.words.model_prediction import describe

    if as_json or as_csv:
        rows = [row for each in found for row in each.to_rows()]
        show_values(rows, [each.to_json() for each in found], as_json)
        return
    for line in describe(found, budget_ms):
        typer.echo(line)


def _elsewhere(
    networks: list[str],
    device: str,
    here: str | None,
    space: str | None,
    root: Path,
    as_json: bool,
    as_csv: bool,
) -> None:
    from harness.cli.words.network import describe_elsewhere
    from harness.pipeline import elsewhere as step

    quiet = terminal(quiet=as_json or as_csv)
    if here is None:
        found = step.published_or_alike(job_for(space, root, listener=quiet), networks, device)
    else:
        here, space = found_there(here, space, root)
        job = job_for(space, root, listener=quiet)
        found = step.from_own_device(job, networks, device, here)
    if as_json or as_csv:
        show_values([each.to_row() for each in found], [each.to_json() for each in found], as_json)
        return
    for each in found:
        terminal().say(describe_elsewhere(each))


@app.command()
def breakdown(
    device: DeviceName,
    arch: Annotated[
        list[str],
        typer.Option(help="`front:7`, an arch or network file; `@3` for three calls; repeat."),
    ],
    space: SpaceThere = None,
    ops: Annotated[
        bool, typer.Option("--ops", help="By type of operator too, profiled on the device.")
    ] = False,
    benchmark_model: BenchmarkModel = None,
    wait: Wait = False,
    root: Root = HERE,
) -> None:
    """Where the time and energy of a network, or of a request to several, go."""
    from harness.cli.words.breakdown import breakdown_lines, no_profile, profile_lines
    from harness.pipeline import breakdown as step

    if benchmark_model and not ops:
        raise UsageError("--benchmark-model runs networks for --ops")
    device, space = found_there(device, space, root)
    job = job_for(space, root)
    if ops:
        (chosen,) = devices_named([device], root, benchmark_model, wait=wait)
    found = step.breakdown(job, device, arch)
    terminal().say(*breakdown_lines(found))
    terminal().say(*map(str, step.save(job, found)))
    if ops and not chosen.profile.runs_on.profiles_operators:
        terminal().say(no_profile(chosen.profile.runtime))
    elif ops:
        for network in step.profile_networks(job, chosen, arch):
            terminal().say(*profile_lines(network))
