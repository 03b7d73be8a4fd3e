"""A network as the files that runtimes take, each loaded again and compared before it counts."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from harness import files
from harness.deploy.eight_bits import in_eight_bits
from harness.deploy.formats import FORMATS, INT8, Format
from harness.deploy.readers import opened
from harness.errors import ConversionFailed
from harness.memory.needs import head_bytes
from harness.networks.build import input_shape
from harness.networks.file import NetworkFile
from harness.runtimes.conversion.ranges import range_inputs
from harness.runtimes.conversion.source import source_of
from harness.runtimes.tflite_micro import (
    MICRO,
    MICRO_HINT,
    arena_of_file,
    has_micro,
    in_tflite_micro,
)

Floats = npt.NDArray[np.float32]
TOLERANCE = 1e-3  # of float logits, relative to the largest one
CHECKED = 16  # images on which outputs are compared
SLACK = 1.5
"""Of errors in 8 bits: a runtime's are typically 0.8 of those of rounding at random, sqrt(2/3), but
both are known from few images, to some 10 % each."""


class Expected(Protocol):
    """What a file must answer to the compared images."""

    @property
    def logits(self) -> Floats: ...

    def agree(self, logits: Floats) -> bool:
        """Whether they may be of the same network."""


@dataclass(frozen=True)
class InFloat32:
    """What torch answers."""

    logits: Floats

    def agree(self, logits: Floats) -> bool:
        return difference(logits, self.logits) <= TOLERANCE


@dataclass(frozen=True)
class Written:
    """One file, and how it compares with the network in torch."""

    format: str
    file: str
    size_bytes: int  # of both, where the weights are in a second one
    largest_difference: float  # of logits, relative to torch's largest
    same_answers: float  # share of the compared images with the same class
    accuracy: float | None  # percent; None where there are no images to tell
    compared: bool  # False: 8 bits leave too little of the network to tell it from another
    second_reader: str  # what another runtime makes of it; "" where we know of none


def write(
    format_: Format,
    network: NetworkFile,
    source: Path,
    folder: Path,
    ranges: Path | None,
    judges: tuple[Floats, npt.NDArray[np.int64]] | None,
) -> Written:
    """Make the file, load it again with its own runtime and a second one, and compare.

    `ranges`: images from which int8 ranges are collected. `judges`: prepared images and labels.

    Raises:
        MissingExtra: a converter or runtime is not installed.
        ConversionFailed: what was written does not compute what the network does, or the network
            answers the same whatever it is shown, so that nothing can be compared with it.
    """
    path = folder / format_.file
    checked = _images(network) if judges is None else judges[0][:CHECKED]
    with torch.inference_mode():
        exact = InFloat32(network.module().eval()(torch.from_numpy(checked)).numpy())
    if len(checked) > 1 and not depends_on_input(exact):
        raise ConversionFailed(
            f"the network answers the same to all images that it was shown, within {TOLERANCE:g}: "
            f"no file can be compared with it; train it, or give it statistics of images (--data)"
        )
    contents = format_.contents(network, source, ranges)
    for name, content in zip(format_.files, contents, strict=True):
        files.replace_atomically(folder / name, content)
    expected = _in_eight_bits(network, source, ranges, checked) if format_.name == INT8 else exact
    infer, close = opened(path)
    try:
        got = infer(checked).reshape(len(checked), *exact.logits.shape[1:])  # sessions flatten
        accuracy = None
        if judges is not None:
            answers = infer(judges[0]).argmax(1)
            accuracy = float(np.mean(answers == judges[1]) * 100)
    finally:
        close()
    _check(path, "its own runtime", got, expected)
    return Written(
        format_.name,
        path.name,
        sum(map(len, contents)),
        difference(got, exact.logits),
        same_answers(got, exact.logits),
        accuracy,
        len(checked) == 1 or depends_on_input(expected),
        _second(path, checked, expected, network) if path.suffix == ".tflite" else "",
    )


def difference(logits: Floats, expected: Floats) -> float:
    """The largest, relative to the largest logit."""
    return float(np.abs(logits - expected).max() / np.abs(expected).max())


def same_answers(logits: Floats, expected: Floats) -> float:
    return float(np.mean(logits.argmax(-1) == expected.argmax(-1)))


def depends_on_input(expected: Expected) -> bool:
    """Whether the comparison would notice answers to other images."""
    return not expected.agree(np.roll(expected.logits, 1, axis=0))


def _check(path: Path, reader: str, got: Floats, expected: Expected) -> None:
    wanted = expected.logits
    if got.shape != wanted.shape or not np.isfinite(got).all():
        raise ConversionFailed(
            f"{path} gives {got.shape} in {reader}, not {wanted.shape} finite numbers"
        )
    if not expected.agree(got):
        raise ConversionFailed(
            f"{path} does not compute what the network does: logits in {reader} differ by "
            f"{difference(got, wanted):.2%}"
        )


def _second(path: Path, checked: Floats, expected: Expected, network: NetworkFile) -> str:
    """What a microcontroller makes of it.

    Raises ConversionFailed where it computes something else there.
    """
    if not has_micro():
        return f"not loaded by a second reader, as {MICRO_HINT}"
    try:
        got = in_tflite_micro(path, checked)
    except ConversionFailed as error:
        return str(error)
    _check(path, MICRO, got, expected)
    if path.name != next(each.file for each in FORMATS if each.name == INT8):
        return f"the same in {MICRO}"
    arena, planned = arena_of_file(path), head_bytes(network.blocks)
    differs = "" if planned == arena.head else f", where {planned / 1e3:.1f} were planned"
    return (
        f"the same in {MICRO}: SRAM of {arena.total / 1e3:.1f} kB, of which {arena.head / 1e3:.1f} "
        f"for maps{differs}"
    )


def _in_eight_bits(
    network: NetworkFile, source: Path, ranges: Path | None, images: Floats
) -> Expected:
    """With the ranges that the file is made with."""
    inputs = range_inputs(source, source_of(source), 1, ranges)
    seen = torch.from_numpy(inputs[:, 0]).contiguous()
    found = in_eight_bits(network.module(), seen, torch.from_numpy(images))
    return replace(found, apart=SLACK * found.apart)


def _images(network: NetworkFile) -> Floats:
    """Random ones, normalised, where there are no others."""
    shape = input_shape(network.blocks, CHECKED)
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)
