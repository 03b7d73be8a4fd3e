"""One image file as a network's input: cut, resized, and for training changed at random.

The transforms are those of the released once-for-all code for ImageNet
(ofa/imagenet_classification/data_providers/imagenet.py), which are torchvision's on Pillow images.
"""

import math

import numpy as np
from PIL import Image, ImageEnhance

AREA = (0.08, 1.0)  # of the image that a random crop takes, at least and at most
MILD = 0.5  # at least, where there is no time to learn from crops that show little
ASPECT = (3 / 4, 4 / 3)  # width / height of a random crop
BRIGHTNESS, SATURATION = 32 / 255, 0.5  # the largest change of each, either way
CENTRE = 0.875  # of the shorter side that judging looks at

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


def augmented(
    path: str,
    resolution: int,
    rng: np.random.Generator,
    channels: int = 3,
    smallest: float = AREA[0],
) -> Image.Image:
    """A random crop, perhaps mirrored, with other colours: `resolution` pixels square.

    RGB, or grey where `channels` is 1. `smallest`: share of the area that a crop has at least.

    Raises whatever Pillow raises on a damaged file.
    """
    with Image.open(path) as image:
        width, height = image.size
        left, top, right, bottom = random_box(width, height, rng, smallest)
        # JPEG is decoded at 1/2, 1/4 or 1/8 where the crop still has `resolution` pixels.
        enough = resolution / (right - left), resolution / (bottom - top)
        image.draft(None, (math.ceil(width * enough[0]), math.ceil(height * enough[1])))
        x, y = image.width / width, image.height / height
        box = (left * x, top * y, right * x, bottom * y)
        crop = _in(channels, image).resize((resolution, resolution), Image.Resampling.BILINEAR, box)
    if rng.random() < 0.5:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    changes = [
        (ImageEnhance.Brightness, rng.uniform(1 - BRIGHTNESS, 1 + BRIGHTNESS)),
        (ImageEnhance.Color, rng.uniform(1 - SATURATION, 1 + SATURATION)),
    ]
    for change in rng.permutation(2):
        enhance, factor = changes[change]
        crop = enhance(crop).enhance(factor)
    return crop


def centred(path: str, resolution: int, channels: int = 3) -> Image.Image:
    """The middle: shorter side to resolution / 0.875, then a centre crop; RGB or grey.

    Decoded at full size, so that accuracies compare with published ones. Raises whatever Pillow
    raises on a damaged file.
    """
    with Image.open(path) as image:
        box = centre_box(*image.size, resolution)
        return _in(channels, image).resize((resolution, resolution), Image.Resampling.BILINEAR, box)


def random_box(width: int, height: int, rng: np.random.Generator, smallest: float = AREA[0]) -> Box:
    """Where a random crop of AREA and ASPECT lies; the middle where ten tries do not fit."""
    for _ in range(10):
        area = width * height * rng.uniform(smallest, AREA[1])
        aspect = math.exp(rng.uniform(math.log(ASPECT[0]), math.log(ASPECT[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return (left, top, left + w, top + h)
    w = max(1, min(width, round(height * ASPECT[1])))
    h = max(1, min(height, round(width / ASPECT[0])))
    left, top = (width - w) // 2, (height - h) // 2
    return (left, top, left + w, top + h)


def centre_box(width: int, height: int, resolution: int) -> Box:
    """The part of the image that is left after resizing and a centre crop.

    Cut and resized in one step, a very long image never becomes a huge one.
    """
    short = math.ceil(resolution / CENTRE)
    least = min(width, height)
    resized = width * short // least, height * short // least
    x, y = width / resized[0], height / resized[1]
    left, top = round((resized[0] - resolution) / 2), round((resized[1] - resolution) / 2)
    return (left * x, top * y, (left + resolution) * x, (top + resolution) * y)


def _in(channels: int, image: Image.Image) -> Image.Image:
    """The image in grey (1) or in colours (3)."""
    if image.mode.startswith("I"):  # 16-bit grey, which convert() would cut off at 255
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    mode = "L" if channels == 1 else "RGB"
    return image if image.mode == mode else image.convert(mode)
