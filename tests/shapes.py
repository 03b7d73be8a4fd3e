"""Folders of images with shapes in noise, as a user's own could be."""

import colorsys
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

SHAPES = ("circle", "cross", "square", "triangle")
SIDES = (56, 72)  # pixels of an image, drawn for each side
NOISE = 55  # standard deviation, of 255


def make_shapes(root: Path, images: int, classes: int = 4, grey: bool = False) -> Path:
    """ROOT/CLASS/*.png: a shape anywhere, of any size and colour, before another, with noise.

    Up to four classes differ by their shapes; more than four also by the shapes' colours.
    """
    for number in range(classes):
        shape, colour = SHAPES[number % len(SHAPES)], number // len(SHAPES)
        name = shape if classes <= len(SHAPES) else f"{shape}-{colour:02}"
        hue = None if classes <= len(SHAPES) else colour * len(SHAPES) / classes
        (root / name).mkdir(parents=True)
        for image in range(images):
            rng = np.random.default_rng([number, image])
            drawn = _drawn(shape, hue, rng)
            (drawn.convert("L") if grey else drawn).save(root / name / f"{image:03}.png")
    return root


def _drawn(shape: str, hue: float | None, rng: np.random.Generator) -> Image.Image:
    width, height = (int(rng.integers(*SIDES)) for _ in range(2))
    light, dark = rng.uniform(0.7, 1.0), rng.uniform(0.1, 0.4)
    before, behind = (light, dark) if hue is not None or rng.random() < 0.5 else (dark, light)
    image = Image.new("RGB", (width, height), _colour(rng.random(), behind))
    radius = rng.uniform(0.2, 0.35) * min(width, height)
    centre = np.array([rng.uniform(radius, side - radius) for side in (width, height)])
    _draw(
        ImageDraw.Draw(image),
        shape,
        centre,
        radius,
        rng.uniform(0, 2 * np.pi),
        _colour(rng.random() if hue is None else hue, before),
    )
    noisy = np.asarray(image) + rng.normal(0, NOISE, (height, width, 3))
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def _colour(hue: float, value: float) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(hue, 0.5, value))
    return red, green, blue


def _draw(
    draw: ImageDraw.ImageDraw,
    shape: str,
    centre: npt.NDArray[np.float64],
    radius: float,
    turned: float,
    colour: tuple[int, int, int],
) -> None:
    """One shape of about the same area, turned by an angle."""
    if shape == "circle":
        low, high = centre - 0.8 * radius, centre + 0.8 * radius
        draw.ellipse((*low, *high), fill=colour)
        return
    corners = {"triangle": 3, "square": 4}.get(shape)
    if corners:
        angles = turned + 2 * np.pi * np.arange(corners) / corners
        _polygon(draw, centre, radius * np.ones(corners), angles, colour)
        return
    for quarter in (0, np.pi / 2):  # a cross: two bars
        thin = 0.3
        angles = turned + quarter + np.array([-thin, thin, np.pi - thin, np.pi + thin])
        _polygon(draw, centre, radius * np.ones(4), angles, colour)


def _polygon(
    draw: ImageDraw.ImageDraw,
    centre: npt.NDArray[np.float64],
    radii: npt.NDArray[np.float64],
    angles: npt.NDArray[np.float64],
    colour: tuple[int, int, int],
) -> None:
    x, y = centre[0] + radii * np.cos(angles), centre[1] + radii * np.sin(angles)
    draw.polygon([(float(a), float(b)) for a, b in zip(x, y, strict=True)], fill=colour)


if __name__ == "__main__":
    make_shapes(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), "grey" in sys.argv)
