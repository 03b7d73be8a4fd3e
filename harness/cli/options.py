"""What commands have in common: their options, and what these make."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.console import Terminal
    from harness.devices.device import Device
    from harness.pipeline import Run
    from harness.pipeline.job import Training

Root = Annotated[Path, typer.Option(help="Folder with devices, tables, reports and runs.")]
DeviceNames = Annotated[
    list[str], typer.Option("--device", help="Name of a device; repeat for several.")
]
DeviceName = Annotated[str, typer.Option("--device", help="Name of a device.")]
SpaceName = Annotated[
    str, typer.Option("--space", help="Family of networks; your own as package.module:SPACE.")
]
SpaceThere = Annotated[
    str | None,
    typer.Option(
        "--space",
        help="Family of networks (default: the one that the device has a table or front of, else "
        "digits); your own as package.module:SPACE.",
    ),
]
OptionalSpaceName = Annotated[
    str | None,
    typer.Option(
        "--space", help="Family of networks (default: digits; with --data, that for its images)."
    ),
]
Resolutions = Annotated[
    str | None,
    typer.Option(
        help="Image sizes, such as 160,192,224 (default: all of the space); of released families "
        "also others."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts: one JSON value.")]
Quick = Annotated[bool, typer.Option("--quick", help="A first look in two minutes.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Start over instead of going on.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same networks.")]
Distill = Annotated[
    float, typer.Option(min=0, help="Weight of the largest network's soft labels in training.")
]
OptionalDistill = Annotated[
    float | None,
    typer.Option("--distill", min=0, help="Weight of soft labels (default: the recipe's)."),
]
At = Annotated[
    str | None,
    typer.Option(
        help="Which time is meant: full (speed), p50, p90, p99 or sustained; by default p90 on the "
        "wall clock, where it is known."
    ),
]
FailAbove = Annotated[
    str | None, typer.Option(help="Exit with 8 where it is slower by more than this, such as 5%.")
]
Accuracy = Annotated[
    str | None,
    typer.Option(help="Where accuracies come from: .npz, .pth, .csv or package.module:function."),
]
BenchmarkModel = Annotated[
    Path | None,
    typer.Option("--benchmark-model", help="The runner for phones, where it is not in its place."),
]
RangeImages = Annotated[
    Path | None,
    typer.Option("--images", help="Folder of images from which int8 ranges are collected."),
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Where another run uses the device, wait for it to end.")
]
Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of images: train/CLASS/*.jpg, val/CLASS/*.jpg."),
]
RecipeName = Annotated[
    str | None, typer.Option("--recipe", help="Of training: a name, or a .toml file.")
]
EpochsScale = Annotated[
    float, typer.Option(min=1e-6, help="The same schedule, so many times as long.")
]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Over all ranks; learning rates grow with it.")
]
Accumulate = Annotated[
    int, typer.Option(min=1, help="Parts that each rank computes its batch in, for little memory.")
]
Autocast = Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16 where torch does.")]
Workers = Annotated[
    int | None, typer.Option(min=0, help="Processes that decode images (default: one a processor).")
]
Subnets = Annotated[
    int | None, typer.Option(min=10, help="How many sub-networks are evaluated (paper: 16000).")
]
HERE, CPU = Path(), ["cpu"]
NOTHING: list[str] = []


def job_for(
    space: str | None,
    root: Path,
    quick: bool = False,
    fresh: bool = False,
    seed: int = 0,
    distill: float = 0.0,
    resolutions: str | None = None,
    deadline_s: float | None = None,
    accuracy: str | None = None,
    quantity: str = "latency",
    training: "Training | None" = None,
) -> "Run":
    from harness.effort import FULL, QUICK
    from harness.pipeline import Run
    from harness.pipeline.job import DIGITS_ALONE
    from harness.pipeline.own_images import space_for, trained_before
    from harness.spaces.catalogue import find_space, part_of
    from harness.spaces.images import is_images
    from harness.workspace import Workspace

    if space is None and training is not None and training.data is not None:
        found = space_for(training.data)
    else:
        found = find_space(space or "digits")
    chosen = part_of(found, resolutions)
    if is_images(chosen.name) and training is None and accuracy is None:
        training = trained_before(Workspace(root), chosen.name)
    if quick and training is not None and training.data is not None and not is_images(chosen.name):
        raise UsageError(
            "--quick is for digits and own images; --epochs-scale shortens a recipe in epochs"
        )
    if chosen.about_resolutions and training is None:  # who trains, trains at these
        terminal().say(chosen.about_resolutions)
    effort = QUICK if quick else FULL
    return Run(
        Workspace(root),
        chosen,
        effort,
        seed,
        distill,
        fresh,
        terminal(),
        deadline_s,
        accuracy,
        space if space not in (None, chosen.name) else None,
        resolutions,
        quantity,
        training or DIGITS_ALONE,
    )


def job_of_front(device: str, space: str, root: Path) -> "Run":
    """The settings that made the front of the device."""
    from harness.deploy.front import Front
    from harness.pipeline.job import Kept, Training
    from harness.pipeline.own_images import recorded
    from harness.spaces.catalogue import find_space
    from harness.spaces.images import is_images
    from harness.workspace import Workspace

    family, workspace = find_space(space), Workspace(root)
    name = family.name
    settings = Front.load(workspace.front(device, name), family).settings
    quick = settings["effort"].get("name") == "quick"
    source = (settings.get("accuracy") or {}).get("source")
    pixels = settings.get("resolutions")  # older fronts do not tell: the whole space
    supernet = settings["supernet"]
    training = recorded(workspace, supernet) if supernet else None
    if training is None and supernet and is_images(name):  # what it was trained on is not here
        training = Training(kept=Kept(supernet))
    return job_for(
        space,
        root,
        quick,
        seed=settings["seed"],
        distill=settings["distill"],
        resolutions=",".join(map(str, pixels)) if pixels else None,
        accuracy=source,
        training=training,
    )


def found_there(device: str, space: str | None, root: Path) -> tuple[str, str]:
    """The full name of a device of the catalogue, or of one that only has a table, as imported; and
    the space that was asked for, else the only one that there is a table or front of.

    Raises:
        ProfileError: there is no such device; the nearest is named.
        UsageError: nobody says which of several spaces, or where the only one is.
    """
    from harness.devices.profile import device_names, full_name
    from harness.errors import ProfileError
    from harness.hints import nearest
    from harness.spaces.catalogue import find_space
    from harness.workspace import Workspace

    name, there = full_name(device, root), Workspace(root)
    known = {*device_names(root), *there.devices()}
    if name not in known:
        raise ProfileError(f"no device called {device!r}; {nearest(device, sorted(known))}")
    spaces = there.spaces(name)
    if space is not None or not spaces or "digits" in spaces:
        return name, space or "digits"
    if len(spaces) > 1:
        raise UsageError(f"{name} has tables or fronts of {', '.join(spaces)}: --space says which")
    try:
        return name, find_space(spaces[0]).name
    except UsageError as error:
        raise UsageError(
            f"all that is there of {name} is of {spaces[0]}, a space of your own: say where it is "
            "by --space package.module:SPACE"
        ) from error


def devices_named(
    names: list[str],
    root: Path,
    benchmark_model: Path | None = None,
    range_images: Path | None = None,
    wait: bool = False,
) -> "list[Device]":
    from harness.devices.device import Device
    from harness.devices.profile import device_names
    from harness.workspace import Workspace

    imported = set(Workspace(root).devices()) - set(device_names(root))
    for name in names:
        if name in imported:
            raise UsageError(
                f"{name} has an imported table and no profile: it can be searched and reported, "
                "and nothing can be run on it from here"
            )
    found = [Device.find(name, root) for name in names]
    chosen = {device.name: device for device in found}
    for device in chosen.values():
        if range_images and device.options.precision != "int8":
            raise UsageError(f"--images is for int8, {device.name} is {device.options.precision}")
        if benchmark_model and device.profile.runtime != "benchmark_model":
            raise UsageError(f"--benchmark-model is for phones, {device.name} is none")
    for path in (range_images, benchmark_model):
        if path and not path.exists():
            raise UsageError(f"there is no {path}")
    return [
        replace(device, benchmark_model=benchmark_model, range_images=range_images, waits=wait)
        for device in chosen.values()
    ]


def training_on(
    data: Path | None,
    recipe: str | None,
    epochs_scale: float,
    batch_size: int | None,
    distill: float | None,
    accumulate: int = 1,
    autocast: bool = False,
    workers: int | None = None,
    subnets: int | None = None,
) -> "Training":
    """Raises UsageError where a setting of image folders is given without one."""
    from harness.pipeline.job import Training

    asked = Training(
        data, recipe, epochs_scale, batch_size, distill, accumulate, autocast, workers, subnets
    )
    plain = Training(distill=distill, subnets=subnets)
    if data is None and asked != plain:
        raise UsageError("--recipe, --epochs-scale, --batch-size and the like need --data")
    return asked


def terminal() -> "Terminal":
    """What the first rank says; the others of torchrun are silent."""
    from harness.console import Terminal

    return Terminal(quiet=os.environ.get("RANK", "0") != "0")
