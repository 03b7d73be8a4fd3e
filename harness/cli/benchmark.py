"""`harness benchmark`: model files of users, timed and watched."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.cli.commands import app
from harness.cli.options import (
    HERE,
    NOTHING,
    AsCsv,
    AsJson,
    BenchmarkModel,
    DeviceNames,
    FailAbove,
    RangeImages,
    Root,
    Wait,
    devices_named,
    job_for,
    show_values,
    terminal,
)
from harness.errors import Regression, UsageError

if TYPE_CHECKING:
    from harness.device.device import Device

ACTION = "github-action-benchmark"


@app.command()
def benchmark(
    models: Annotated[
        list[Path],
        typer.Argument(help="Network files, or what the runtime takes: .onnx, .tflite, ..."),
    ],
    device: DeviceNames,
    output: Annotated[Path | None, typer.Option(help="Keep the result in this file.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="A kept result to compare with.")] = None,
    fail_above: FailAbove = None,
    at: Annotated[
        str | None,
        typer.Option(help="Compare by full (speed; the default), p50, p90, p99 or sustained."),
    ] = None,
    ops: Annotated[
        bool,
        typer.Option(
            "--ops", help="Where the time goes, by type of operator, if the runtime tells."
        ),
    ] = False,
    node_data: Annotated[
        Path | None,
        typer.Option(
            help="Keep the time of each node of an .onnx file, for Google's Model Explorer."
        ),
    ] = None,
    streams: Annotated[
        int, typer.Option(min=0, max=1024, help="Throughput of so many streams, each a process.")
    ] = 0,
    scenario: Annotated[
        list[str],
        typer.Option(help="MLPerf's single-stream, multi-stream or offline, by its LoadGen."),
    ] = NOTHING,
    shape: Annotated[
        list[str], typer.Option(help="Sizes of an input: NAME=1,3,320,320. Repeat for several.")
    ] = NOTHING,
    dim: Annotated[
        list[str], typer.Option(help="An open size of all inputs that have it: height=320.")
    ] = NOTHING,
    input_: Annotated[
        list[str],
        typer.Option("--input", help="Values of an input: NAME=ids.npy, or a number: steps=20."),
    ] = NOTHING,
    signature: Annotated[
        str | None, typer.Option(help="Which network of a .tflite file that has several.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="A folder of images that network files are judged on.")
    ] = None,
    page: Annotated[
        Path | None, typer.Option(help="Write all results as one page into this .html file.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="For a summary or comment of CI: a table.")
    ] = False,
    form: Annotated[
        str | None, typer.Option("--format", help=f"For CI: {ACTION} (its custom JSON).")
    ] = None,
    benchmark_model: BenchmarkModel = None,
    images: RangeImages = None,
    wait: Wait = False,
    root: Root = HERE,
) -> None:
    """Time model files of yours, how they run and how they start.

    Of one model on one device it tells whether it became slower, and where its time goes.
    """
    from dataclasses import replace

    from harness.cli.words.benchmark import describe_change
    from harness.cli.words.breakdown import no_profile
    from harness.files import write_json
    from harness.pipeline import benchmark as step
    from harness.pipeline.regression import compare
    from harness.quantities import parse_share
    from harness.reports.benchmark import describe
    from harness.reports.node_data import save_node_data
    from harness.runtimes.model_inputs.asked import parse_asked
    from harness.runtimes.model_inputs.onnx_file import read_nodes
    from harness.tables.statements import check_time

    check_time(at)
    scenarios = step.parse_scenarios(scenario)
    asked = parse_asked(shape, dim, input_, signature)
    if at is not None and baseline is None:
        raise UsageError("--at says what to compare with a --baseline")
    limit = parse_share(fail_above)
    if limit is not None and baseline is None:
        raise UsageError("--fail-above needs a --baseline to compare with")
    old = None if baseline is None else step.load(baseline)
    named = devices_named(device, root, benchmark_model, images, wait)
    devices = [replace(each, asked=asked) for each in named]
    if form not in (None, ACTION):
        raise UsageError(
            f"--format {form}: there is {ACTION}; --json, --csv and --markdown besides"
        )
    if as_json + as_csv + as_markdown + bool(form) > 1:
        raise UsageError(
            "--json, --csv, --markdown and --format say how the answer is written: give one"
        )
    if ops and (as_markdown or form):
        raise UsageError("--ops is told to people: leave out --markdown and --format")
    way = _Way(as_json, as_csv, as_markdown, bool(form))
    if page or as_json or as_csv or len(models) > 1 or len(devices) > 1:
        if output or old or ops or node_data or scenario:
            raise UsageError(
                "--output, --baseline, --ops, --node-data and --scenario are for one model on one "
                "device, without --page, --json and --csv"
            )
        pairs = [(one, model) for model in models for one in devices]
        _several(pairs, root, (streams, data), page, way)
        return
    (chosen,), (model,) = devices, models
    if node_data is not None:
        if node_data in (model, output):
            raise UsageError(f"--node-data {node_data} would replace another file: name another")
        step.check_node_data(chosen, model)
        nodes = read_nodes(model)
    job = job_for("digits", root, listener=terminal(quiet=way.quiet))
    result = step.benchmark(job, chosen, model, old, streams, scenarios, data)
    compared = None if old is None else compare(old, result, at or "full")
    if way.quiet:
        way.show([result], "" if compared is None else describe_change(compared))
    else:
        terminal().say(describe(result))
    if output is not None:
        write_json(output, result)
    if ops and not chosen.profile.runs_on.profiles_operators:
        terminal().say(no_profile(chosen.profile.runtime))
    elif ops or node_data:
        found = step.profile_ops(chosen, model.absolute())
        for each in found if ops else ():
            terminal().say(f"{each.op:<28} {each.count:>4}  {each.mean_ms:10.4f} ms")
        if node_data is not None:
            saved = save_node_data(node_data, chosen.name, nodes, found)
            terminal(quiet=way.quiet).say(saved)
    if compared is None:
        return
    if not way.quiet:
        terminal().say(describe_change(compared))
    if limit is None or compared.interval[0] <= 1 + limit:
        return
    if result["suspect"]:  # on a machine that others use, too, red would mean nothing
        sys.stderr.write(
            f"suspect: {model} seems slower by more than {fail_above}, but "
            f"{', '.join(result['suspect'])}; measure again on a quiet machine\n"
        )
        return
    raise Regression(f"{model} became slower by more than {fail_above}")


@dataclass(frozen=True)
class _Way:
    """How the answer is written; a table for people where none is chosen."""

    json: bool
    csv: bool
    markdown: bool
    action: bool

    @property
    def quiet(self) -> bool:
        """Nothing else is said."""
        return self.json or self.csv or self.markdown or self.action

    def show(self, results: list[dict[str, Any]], compared: str = "") -> None:
        from harness.reports.benchmark import to_row
        from harness.reports.ci import as_markdown, for_action

        rows = [to_row(each) for each in results]
        if self.markdown:
            sys.stdout.write(as_markdown(rows, compared) + "\n")
        elif self.action:
            sys.stdout.write(json.dumps(for_action(rows), indent=1) + "\n")
        elif self.quiet:
            show_values(rows, results, self.json)
        else:
            terminal().show_benchmarks(rows)


def _several(
    pairs: "list[tuple[Device, Path]]",
    root: Path,
    asked: tuple[int, Path | None],
    page: Path | None,
    way: _Way,
) -> None:
    """One after the other, once all can be; what was timed is shown where a later one fails."""
    from harness.pipeline import benchmark as step
    from harness.reports.benchmark_page import save_benchmark_page

    job = job_for("digits", root, listener=terminal(quiet=way.quiet))
    for device, model in pairs:
        step.check_model(device, model)
    results: list[dict[str, Any]] = []
    try:
        for device, model in pairs:
            result = step.benchmark(job, device, model, streams=asked[0], data=asked[1])
            results.append(result)
    finally:
        if results:
            way.show(results)
        if results and page is not None:
            save_benchmark_page(results, page)
