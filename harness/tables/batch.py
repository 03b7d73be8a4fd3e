"""Runs and images: a device with a batch takes several images in one run.

Tables, fronts, intervals and limits are of runs. An inference is of one image, and so is whatever
is said `an image`.
"""

from collections.abc import Mapping
from typing import Any


def images_per_run(identity: Mapping[str, Any]) -> int:
    """By a device's identity; that of imported and of older tables does not tell, and is of 1."""
    return int(identity.get("batch", 1))


def an_image(value: float | None, images: int, unit: str = "ms") -> str:
    """` (0.5 ms an image)`, behind a number of a run; nothing where a run has one image."""
    return "" if images == 1 or value is None else f" ({value / images:.4g} {unit} an image)"


def of_batch(images: int) -> str:
    """` of a batch of 16 images`, behind what a run is or takes; nothing where it has one image."""
    return "" if images == 1 else f" of a batch of {images} images"
