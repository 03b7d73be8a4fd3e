"""The commands about devices and tables that are there."""

import json
import shlex
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.group import Commands
from harness.cli.options import (
    HERE,
    NOTHING,
    AsJson,
    BenchmarkModel,
    FailAbove,
    Root,
    SpaceName,
    SpaceThere,
    Wait,
    devices_named,
    found_there,
    job_for,
    quantity_asked,
    terminal,
)
from harness.errors import FileFormatError, Regression, UsageError

devices_app = typer.Typer(cls=Commands, help="The catalogue of devices.", no_args_is_help=True)
tables_app = typer.Typer(cls=Commands, help="Measured latency tables.", no_args_is_help=True)
spaces_app = typer.Typer(cls=Commands, help="Spaces of your own.", no_args_is_help=True)
OfEnergies = Annotated[bool, typer.Option("--energy", help="The table of energies.")]
OfMemory = Annotated[bool, typer.Option("--memory", help="The table of memories.")]


@devices_app.command("list")
def devices_list(
    imported: Annotated[
        bool, typer.Option("--imported", help="Those of public tables, for `harness predict`.")
    ] = False,
    as_json: AsJson = False,
    root: Root = HERE,
) -> None:
    """All devices, and what stands behind their numbers."""
    from harness.device.profile import profile_paths

    if imported:
        known = _imported(root)
    else:
        known = {name: _said_of(name, root) for name in sorted(profile_paths(root))}
    if as_json:
        keys = ("name", "title", "evidence")
        rows = [dict(zip(keys, (name, *each), strict=True)) for name, each in known.items()]
        terminal().say(json.dumps(rows))
        return
    if not known:
        terminal().say("none yet: `harness tables import --format ncnn` makes some")
        return
    widths = max(map(len, known)), max(len(title) for title, _ in known.values())
    for name, (title, what) in known.items():
        terminal().say(f"{name:<{widths[0]}} {title:<{widths[1]}} {what}")


def _imported(root: Path) -> dict[str, tuple[str, str]]:
    """The title, and the source, of each imported device by the name that commands take."""
    from harness.tables.imported import PREFIX, load_all
    from harness.workspace import Workspace

    return {
        f"{PREFIX}{device.name}": (device.describe(), f"imported from {source.source}")
        for source in load_all(Workspace(root).imported)
        for device in source.devices
    }


def _said_of(name: str, root: Path) -> tuple[str, str]:
    """A device's title, and what stands behind its numbers, or what is wrong with it."""
    from harness.device.device import Device
    from harness.device.profile import load_profile
    from harness.tables.table import evidence

    title = ""
    try:
        profile = load_profile(name, root)
        title = profile.title
        here = profile.transport == "local" and not Device(name, profile).on_gpu
        return title, profile.evidence or evidence(name, root / "tables", here)
    except FileFormatError as error:  # the others are listed all the same
        return title, f"BROKEN: {error}"


@devices_app.command("check")
def devices_check(
    device: Annotated[str, typer.Argument(help="Name of a device.")],
    benchmark_model: BenchmarkModel = None,
    wait: Wait = False,
    root: Root = HERE,
) -> None:
    """Walk the whole way to a device, up to a model that runs there."""
    from harness.cli.words.check import describe_step
    from harness.pipeline.check import check

    (chosen,) = devices_named([device], root, benchmark_model, wait=wait)
    for step in check(chosen):
        terminal().say(f"{step.name:<22} {describe_step(step)}")
    terminal().say(f"ready: harness measure --device {device}")


@devices_app.command("add")
def devices_add(
    name: Annotated[str, typer.Argument(help="Name to give: small letters, digits, - and _.")],
    serial: Annotated[
        str | None, typer.Option(help="Which phone, where several are attached; or HOST:PORT.")
    ] = None,
    ssh: Annotated[
        str | None, typer.Option(help="A board instead: its Host in ~/.ssh/config, or [USER@]NAME.")
    ] = None,
    python: Annotated[
        str | None, typer.Option(help="The board's interpreter, such as /opt/venv/bin/python3.")
    ] = None,
    root: Root = HERE,
) -> None:
    """Write a profile of the attached phone, or of a board."""
    from harness.pipeline.add import add_board, add_phone

    if ssh is None and python is not None:
        raise UsageError("--python is of a board: say which by --ssh")
    if ssh is not None and serial is not None:
        raise UsageError("--serial is of a phone, --ssh of a board: give one")
    path = add_phone(name, serial, root) if ssh is None else add_board(name, ssh, python, root)
    terminal().say(f"{path}; try it: harness devices check {name}")


@devices_app.command("fit")
def devices_fit(
    name: Annotated[str, typer.Argument(help="A simulated device, or a new name.")],
    measurements: Annotated[
        list[Path], typer.Option(help="A CSV file of blocks timed on a board (docs/fpga.md).")
    ],
    like: Annotated[
        str, typer.Option(help="Whose architecture, clock and memory a new device has.")
    ] = "zu3eg",
    skip: Annotated[
        list[str], typer.Option(help="A block_type whose rows are left aside; repeatable.")
    ] = NOTHING,
    root: Root = HERE,
) -> None:
    """Fit a simulated DPU's constants to blocks measured on a board, and write its profile."""
    from harness.cli.words.fit import fit_lines, saved_lines
    from harness.pipeline.fit import fit_device, save_fit

    made = fit_device(name, measurements, like, root, skip)
    terminal().say(*fit_lines(made))
    replaced = made.path.exists()
    save_fit(made)
    if replaced:
        terminal().say(f"replaces {made.path}")
    terminal().say(*saved_lines(made))


@tables_app.command("show")
def tables_show(
    device: Annotated[str, typer.Argument(help="Name of a device.")],
    space: SpaceThere = None,
    energy: OfEnergies = False,
    memory: OfMemory = False,
    root: Root = HERE,
) -> None:
    """A table's campaigns, error and floor."""
    from harness.pipeline import steps
    from harness.tables.table import Table

    name, space = found_there(device, space, root)
    job, quantity = job_for(space, root), quantity_asked(energy, memory)
    table = Table.load(job.workspace.table(name, job.space.name, quantity))
    terminal().tell(steps.table_state(job, table))


@tables_app.command("import")
def tables_import(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Published files: .yaml or .json, or their folder; .csv, also of your own with "
            "the columns key, mean, std and count, its keys as published ones."
        ),
    ],
    device: Annotated[
        str, typer.Option("--device", help="Name to give, such as note10-published.")
    ],
    source: Annotated[str, typer.Option(help="Where the files come from.")],
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="Whose: ofa (tables of blocks), hat (whole transformers, in CSV files), or, whole "
            "networks on many devices, ncnn (its benchmark's README.md, or .csv) and ai-hub "
            "(Qualcomm's perf.yaml).",
        ),
    ] = "ofa",
    unit: Annotated[
        str | None,
        typer.Option(help="Of their times: ms (as published, where it can be), s, us or ns."),
    ] = None,
    space: SpaceName = "ofa-mbv3-w1.2",
    root: Root = HERE,
) -> None:
    """Read latencies that others published: of blocks, of whole networks, on devices of theirs."""
    from harness.pipeline.import_export import import_published

    job = job_for(space, root)
    found = import_published(job, paths, device, source, unit, form)
    terminal().say(f"{found.path}: {found.notes}")


@tables_app.command("export")
def tables_export(
    device: Annotated[str, typer.Argument(help="Name of a device.")],
    folder: Annotated[Path, typer.Argument(help="Where the .yaml files go.")],
    space: SpaceThere = None,
    root: Root = HERE,
) -> None:
    """Write a table in the OFA authors' format, one file a resolution."""
    from harness.cli.words.table import exported_lines
    from harness.pipeline.import_export import export_published

    name, space = found_there(device, space, root)
    made = export_published(job_for(space, root), name, folder)
    terminal().say(*exported_lines(made))


@tables_app.command("compare")
def tables_compare(
    old: Annotated[str, typer.Argument(help="A table, git's REVISION:PATH, or imported:NAME.")],
    new: Annotated[str, typer.Argument(help="A table, git's REVISION:PATH, or imported:NAME.")],
    fail_above: FailAbove = None,
    root: Root = HERE,
) -> None:
    """What changed: everything together, and single blocks beyond noise.

    With an imported device: the published networks that both were timed with.
    """
    from harness.cli.words.table import compare_devices_lines, compare_lines
    from harness.pipeline.beside import compare_imported
    from harness.pipeline.import_export import compare_tables
    from harness.quantities import parse_share
    from harness.tables.imported import PREFIX

    limit = parse_share(fail_above)
    if old.startswith(PREFIX) or new.startswith(PREFIX):
        if limit is not None:
            raise UsageError("--fail-above is of two measured tables of one device")
        terminal().say(*compare_devices_lines(compare_imported(job_for("digits", root), old, new)))
        return
    compared = compare_tables(job_for("digits", root), old, new, limit)
    terminal().say(*compare_lines(compared))
    if compared.regressions:
        raise Regression(
            f"{new} is slower than {old} by more than {fail_above}: "
            f"{compared.regressions.describe()}"
        )


@tables_app.command("pack")
def tables_pack(
    device: Annotated[str, typer.Argument(help="Name of a device.")],
    output: Annotated[Path, typer.Argument(help="The file to write, such as mine.zip.")],
    space: SpaceThere = None,
    energy: OfEnergies = False,
    memory: OfMemory = False,
    root: Root = HERE,
) -> None:
    """Put a table, its profile and raw journals into one file, to give it to others."""
    from harness.pipeline.packing import pack_table

    name, space = found_there(device, space, root)
    quantity = quantity_asked(energy, memory)
    package = pack_table(job_for(space, root), name, output, quantity)
    terminal().say(f"{output}: {', '.join(package.parts)}; SHA-256 of all {package.sha256}")


@tables_app.command("unpack")
def tables_unpack(
    path: Annotated[Path, typer.Argument(help="A file that `harness tables pack` wrote.")],
    root: Root = HERE,
) -> None:
    """Unpack a table of somebody else's, and say how to compare it with yours."""
    from harness.pipeline.packing import unpack_table

    found = unpack_table(root, path)
    terminal().say(f"{found.table}: whole, SHA-256 of all {found.package.sha256}")
    for beside in found.beside:
        if beside.identity:
            pairs = "; ".join(_pair(name, pair) for name, pair in beside.identity.items())
            terminal().say(f"{beside.path} is of another setting, and does not compare: {pairs}")
            continue
        for name, pair in beside.environment.items():
            terminal().say(f"environment: {_pair(name, pair)}")
        own, theirs = (shlex.quote(str(each)) for each in (beside.path, found.table))
        terminal().say(f"compare: harness tables compare {own} {theirs}")


def _pair(name: str, pair: tuple[object, object]) -> str:
    """A fact that differs."""
    return f"{name} {json.dumps(pair[0])} here, {json.dumps(pair[1])} there"


@spaces_app.command("from")
def spaces_from(
    model: Annotated[Path, typer.Argument(help="An .onnx file of a convolutional network.")],
    output: Annotated[Path, typer.Option(help="The Python module to write.")] = Path("my_space.py"),
    shape: Annotated[
        list[str], typer.Option(help="Sizes of its input: NAME=1,3,224,224.")
    ] = NOTHING,
    dim: Annotated[list[str], typer.Option(help="An open size of it: height=224.")] = NOTHING,
) -> None:
    """Write the space around a network: of inverted bottlenecks, or of ResNet bottlenecks.

    The network is one of its archs, and its choices are those of the network and next to them;
    weights are not taken over.
    """
    from harness.cli.words.network import describe_space_of_model
    from harness.pipeline.space_of_model import space_of_model
    from harness.runtimes.model_inputs.asked import parse_asked

    asked = parse_asked(shape, dim, NOTHING, None)
    terminal().say(*describe_space_of_model(space_of_model(model, output, asked), output))
