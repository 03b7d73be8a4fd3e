"""The flags of `trtexec`: they come and go with TensorRT's versions, and its --help lists them."""

from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated

from pydantic import Field

from harness.errors import DeviceError, TargetFailed
from harness.runtimes.model_inputs.feeding import Feeding
from harness.runtimes.model_inputs.values import Array, values_file
from harness.runtimes.options import RuntimeOptions
from harness.schema import Section

Push = Callable[[Path], PurePosixPath]

WARM_UP_MS = 200  # trtexec's default; after less a GPU may still be in its idle clocks
# Transfers would be counted for each block, and the next run's slow down the computing of this one.
# To wake up a sleeping thread takes longer than a small block. Layers are timed in a second run.
RUNNING = ("--noDataTransfers", "--useSpinWait", "--separateProfileRun")
GRAPHS, NO_GRAPHS = (
    "--useCudaGraph",
    "--noCudaGraph",
)  # the latter since they are usual, TensorRT 11
BUILD_ONLY = ("--skipInference", "--buildOnly")  # since TensorRT 8.6, and until 8.5


class TensorrtOptions(Section):
    """`[tensorrt]`: the board's own trtexec."""

    trtexec: Annotated[str, Field(min_length=1)] = "/usr/src/tensorrt/bin/trtexec"
    cuda_graphs: bool = False
    extra_args: tuple[Annotated[str, Field(pattern=r"^--\w+(=.*)?$")], ...] = ()


def build_flags(options: RuntimeOptions, known: frozenset[str]) -> list[str]:
    """How an engine is built by a trtexec that knows these flags.

    Raises:
        DeviceError: it lacks one that was asked for.
    """
    half = options.precision == "float16"
    if half and "--fp16" not in known:
        raise DeviceError(
            "the device's trtexec has no --fp16: its TensorRT computes as the network file says, "
            'so that only precision = "float32" is possible'
        )
    if options.of(TensorrtOptions).cuda_graphs and not {GRAPHS, NO_GRAPHS} & known:
        raise DeviceError("the device's trtexec has no CUDA graphs: set cuda_graphs = false")
    precision = "--fp16" if half else "--noTF32"  # which keeps ten bits of a float32's fraction
    only_build = [flag for flag in BUILD_ONLY if flag in known][:1]
    return [*_among(known, [precision]), *only_build, *options.of(TensorrtOptions).extra_args]


def run_flags(options: RuntimeOptions, known: frozenset[str]) -> list[str]:
    """How an engine is run, besides how often."""
    graphs = GRAPHS if options.of(TensorrtOptions).cuda_graphs else NO_GRAPHS
    return [
        f"--warmUp={WARM_UP_MS}",
        "--duration=0",
        *_among(known, [*RUNNING, graphs]),
        *options.of(TensorrtOptions).extra_args,
    ]


def _among(known: frozenset[str], flags: Iterable[str]) -> list[str]:
    return [flag for flag in flags if flag in known]


def shape_flags(feeding: Feeding) -> tuple[str, ...]:
    """The flag that fixes open sizes; trtexec itself would take 1."""
    shapes = [
        f"{feed.name}:{'x'.join(map(str, feed.shape))}" for feed in feeding.feeds if not feed.fixed
    ]
    return (f"--shapes={','.join(shapes)}",) if shapes else ()


def input_flags(feeding: Feeding, version: str | None, push: Push) -> tuple[str, ...]:
    """The flag that loads values; trtexec itself would take any, also of indices and steps.

    Raises:
        TargetFailed: this version cannot take them.
    """
    loaded = [
        f"{feed.name}:{push(values_file(_as_bound(feed.name, feed.values, version)))}"
        for feed in feeding.feeds
        if feed.values is not None
    ]
    return (f"--loadInputs={','.join(loaded)}",) if loaded else ()


def _as_bound(name: str, values: Array, version: str | None) -> Array:
    """Before TensorRT 10 whole numbers have 32 bits there, whatever the network says."""
    if values.dtype != "int64" or numbers_of(version) >= (10, 0):
        return values
    short = values.astype("int32")
    if (short != values).any():
        raise TargetFailed(f"input {name!r}: TensorRT {version} has no numbers of 64 bits")
    return short


def numbers_of(version: str | None) -> tuple[int, int]:
    """Major and minor; those before 8 do not tell."""
    major, minor = ((version or "7") + ".0").split(".")[:2]
    return int(major), int(minor)
