"""What kind of images a folder has, by a look at some of them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

import numpy as np
from PIL import Image

from harness.errors import FileFormatError

LOOKED_AT = 100
_GREY = ("1", "L", "La", "LA", "F")  # Pillow's modes, and all that begin with I


@dataclass(frozen=True)
class Look:
    """What the images have in common."""

    channels: int  # 1 where all are grey, else 3
    pixels: float  # of the shorter side, the median


def look(paths: Sequence[str]) -> Look:
    """Look at LOOKED_AT of the images, evenly; their pixels are not decoded.

    Raises:
        FileFormatError: none of them can be opened.
    """
    grey, sides = True, []
    for number in np.linspace(0, len(paths) - 1, min(LOOKED_AT, len(paths))).astype(int):
        with suppress(Exception), Image.open(paths[number]) as image:  # damaged ones tell nothing
            grey = grey and (image.mode in _GREY or image.mode.startswith("I"))
            sides.append(min(image.size))
    if not sides:
        raise FileFormatError(f"no image can be read, among them {paths[0]}")
    return Look(1 if grey else 3, median(sides))
