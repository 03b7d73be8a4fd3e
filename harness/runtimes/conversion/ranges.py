"""Inputs from which the ranges of int8 files are collected."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from harness.runtimes.conversion import images
from harness.runtimes.options import RuntimeOptions
from harness.runtimes.session import Workload, seed_of

if TYPE_CHECKING:  # which imports torch
    from harness.runtimes.conversion.source import Source

RANGE_INPUTS = 8  # random batches where there are no images


def range_inputs(
    workload: Workload, source: "Source", batch: int, folder: Path | None
) -> npt.NDArray[np.float32]:
    """Batches [n, batch, channels, height, width], or of tokens [n, batch, tokens, embed].

    Of the images in `folder` for network files; without them, and for blocks, normally distributed
    numbers: right for timing, not for accuracy.
    """
    from harness.networks.build import input_shape

    shape = input_shape(source.blocks, batch)
    if folder is None or source.preprocessing is None:
        rng = np.random.default_rng(seed_of(workload))
        if len(shape) != 4:
            return rng.standard_normal((RANGE_INPUTS, *shape)).astype(np.float32)
        _, channels, height, width = shape
        shape = (RANGE_INPUTS, batch, height, width, channels)
        return rng.standard_normal(shape).astype(np.float32).transpose(0, 1, 4, 2, 3)
    inputs = images.network_inputs(folder, shape[1], source.preprocessing)
    batches = -(-len(inputs) // batch)  # the last one is filled up from the first
    inputs = inputs[np.arange(batches * batch) % len(inputs)]
    return inputs.reshape(batches, batch, *inputs.shape[1:])


def ranges_from(workload: Workload, folder: Path | None) -> dict[str, str]:
    """The images that decide the content of an int8 file, where some do."""
    known = folder is not None and isinstance(workload, Path)
    return {"images": images.digest(folder)} if known and folder is not None else {}


def range_images_fact(options: RuntimeOptions) -> dict[str, str]:
    """What int8 ranges were collected on, for the record; nothing where that is random numbers."""
    if options.range_images is None or options.precision != "int8":
        return {}
    return {"range_images": images.digest(options.range_images)[:16]}
