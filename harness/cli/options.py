"""What commands have in common: their options, and what these make."""

import csv
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.cli.terminal import Terminal
    from harness.device.device import Device
    from harness.pipeline.job import Run
    from harness.pipeline.supernet_folder import Training

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
Constraint = Annotated[
    list[str],
    typer.Option(
        help="Such as pixel-1:30ms (a run of its batch), pixel-1:30ms@full, macs:300M, params:5M, "
        "memory:64MB (measured), activations:2MB, activations.int8:500kB, sram:256kB and flash:1MB "
        "(of int8 networks on microcontrollers), or a board, such as stm32f746: all that it has."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For scripts: one JSON value.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="For spreadsheets: one row each.")]
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
    listener: "Terminal | None" = None,
    **settings: Any,
) -> "Run":
    """What a command works on; as `pipeline.starting.job_for`, and told on the terminal."""
    from harness.pipeline import starting

    return starting.job_for(listener or terminal(), space, root, quick, **settings)


def job_of_front(device: str, space: str, root: Path) -> "Run":
    """The settings that made the front of the device."""
    from harness.pipeline import starting

    return starting.job_of_front(terminal(), device, space, root)


def found_there(device: str, space: str | None, root: Path) -> tuple[str, str]:
    """A device's full name, and the space that is meant; as `pipeline.starting.found_there`."""
    from harness.pipeline import starting

    return starting.found_there(device, space, root)


def devices_named(
    names: list[str],
    root: Path,
    benchmark_model: Path | None = None,
    range_images: Path | None = None,
    wait: bool = False,
) -> "list[Device]":
    from harness.pipeline import starting

    return starting.devices_named(names, root, benchmark_model, range_images, wait)


def check_training(asked: "Training") -> None:
    """Raises UsageError where a setting of image folders is given without one."""
    plain = type(asked)(distill=asked.distill, subnets=asked.subnets)
    if asked.data is None and asked != plain:
        raise UsageError("--recipe, --epochs-scale, --batch-size and the like need --data")


def show_values(rows: Sequence[Mapping[str, Any]], values: Sequence[Any], as_json: bool) -> None:
    """For scripts the values, else rows for spreadsheets."""
    if as_json:
        terminal().say(json.dumps(values))
        return
    writer = csv.DictWriter(sys.stdout, rows[0])
    writer.writeheader()
    writer.writerows(rows)


def terminal(quiet: bool = False) -> "Terminal":
    """What the first rank says; the others of torchrun are silent."""
    from harness.cli.terminal import Terminal

    return Terminal(quiet=quiet or os.environ.get("RANK", "0") != "0")


def quantity_asked(energy: bool, memory: bool) -> str:
    """Raises UsageError where both are asked for."""
    if energy and memory:
        raise UsageError("--energy and --memory are tables of their own: give one")
    return "energy" if energy else "memory" if memory else "latency"
