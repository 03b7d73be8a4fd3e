"""Images to train and judge on: scikit-learn's digits, randomly transformed.

As they are, the 8x8 digits are too easy: every sub-network gets them right. Rotated, scaled,
sheared, shifted and with noise they separate small networks from large ones. The splits are
disjoint by original image.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from harness.hints import missing
from harness.training.draws import Draw
from harness.training.judging import TestImages

BASE_SIZE = 20  # pixels; every image is made at this size and resized from there
MEAN, STD = 0.3, 0.35  # of pixel values in [0, 1] after the transforms
TRAIN_ORIGINALS, VALIDATION_ORIGINALS = 1097, 350  # of 1,797; the last 350 are the test's
VALIDATION_VARIANTS, TEST_VARIANTS = 2, 4  # transforms of each original
BN_IMAGES = 256  # training images for recomputed batch-norm statistics
_BN_SEED = 20_000
_BATCH = 64  # images at once where nothing is learned from them


@dataclass(frozen=True)
class Images:
    """A fixed set of images."""

    pixels: Tensor  # [n, 1, BASE_SIZE, BASE_SIZE] in [0, 1]
    labels: Tensor  # [n]
    originals: Tensor  # [n]: images with the same number were made from the same original


@dataclass(frozen=True)
class Digits:
    """The data set: training originals, transformed anew in each batch, and fixed judges."""

    originals: Tensor  # [1097, 1, 8, 8] in [0, 1]
    labels: Tensor  # [1097]
    validation: Images
    test: Images
    classes: tuple[str, ...]
    channels: int = 1
    mean: float = MEAN
    std: float = STD
    facts: dict[str, Any] = field(default_factory=dict)  # they are always the same
    _prepared: dict[tuple[str, int], Tensor] = field(default_factory=dict, compare=False)

    @classmethod
    def load(cls, seed: int = 0) -> "Digits":
        """Split and transform; the same seed gives the same images.

        Raises:
            MissingExtra: scikit-learn is not installed.
        """
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise missing("digits come with", "scikit-learn", "train") from error
        raw, targets = load_digits(return_X_y=True)
        order = torch.from_numpy(np.random.default_rng(seed).permutation(len(raw)))
        pixels = torch.tensor(raw, dtype=torch.float32).view(-1, 1, 8, 8)[order] / 16
        labels = torch.tensor(targets, dtype=torch.int64)[order]
        judges = TRAIN_ORIGINALS + VALIDATION_ORIGINALS
        return cls(
            originals=pixels[:TRAIN_ORIGINALS],
            labels=labels[:TRAIN_ORIGINALS],
            validation=_fixed(
                pixels, labels, range(TRAIN_ORIGINALS, judges), VALIDATION_VARIANTS, seed + 1
            ),
            test=_fixed(pixels, labels, range(judges, len(raw)), TEST_VARIANTS, seed + 2),
            classes=tuple(str(digit) for digit in range(10)),
        )

    @property
    def count(self) -> int:
        return len(self.originals)

    def stream(self, draws: Iterable[Draw]) -> Iterator[tuple[Tensor, Tensor]]:
        """For each draw images [n, 1, r, r], and labels [n]."""
        for draw in draws:
            chosen = torch.from_numpy(draw.indices)
            pixels = transform(self.originals[chosen], torch.Generator().manual_seed(draw.seed))
            yield prepare(pixels, draw.resolution), self.labels[chosen]

    def calibration(self, resolution: int) -> list[Tensor]:
        """Batches of training images, always the same."""
        key = "calibration", resolution
        if key not in self._prepared:
            pixels = self.batch(BN_IMAGES, torch.Generator().manual_seed(_BN_SEED))[0]
            self._prepared[key] = prepare(pixels, resolution)
        return list(self._prepared[key].split(_BATCH))

    def judges(self, resolution: int) -> list[tuple[Tensor, Tensor]]:
        """Batches of validation images and labels."""
        key = "judges", resolution
        if key not in self._prepared:
            self._prepared[key] = prepare(self.validation.pixels, resolution)
        labels = self.validation.labels.split(_BATCH)
        return list(zip(self._prepared[key].split(_BATCH), labels, strict=True))

    def tests(self, resolution: int) -> TestImages:
        """The test images, always the same."""
        test = self.test
        pixels = prepare(test.pixels, resolution)
        return TestImages(pixels, test.labels.numpy(), test.originals.numpy())

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """A training batch: pixels [size, 1, BASE_SIZE, BASE_SIZE] in [0, 1], labels [size]."""
        chosen = torch.randint(len(self.originals), (size,), generator=generator)
        return transform(self.originals[chosen], generator), self.labels[chosen]


def _fixed(pixels: Tensor, labels: Tensor, rows: range, variants: int, seed: int) -> Images:
    generator = torch.Generator().manual_seed(seed)
    originals = torch.arange(rows.start, rows.stop).repeat_interleave(variants)
    return Images(transform(pixels[originals], generator), labels[originals], originals)


def transform(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Random affine and noise: 8x8 originals to images of BASE_SIZE, both in [0, 1].

    Rotation within 25 degrees, scale 0.8 to 1.1, shear within 0.25, shift within 10 % of the
    width; then normal noise of standard deviation 0.15.
    """
    count = len(pixels)

    def uniform(limit: float) -> Tensor:
        return (torch.rand(count, generator=generator) * 2 - 1) * limit

    angle, shear = uniform(np.pi / 7.2), uniform(0.25)
    scale = 1 / (0.95 + uniform(0.15))
    cos, sin = angle.cos() * scale, angle.sin() * scale
    rows = [cos, shear - sin, uniform(0.2), sin, cos, uniform(0.2)]
    affine = torch.stack(rows, dim=1).view(count, 2, 3)
    grid = F.affine_grid(affine, [count, 1, BASE_SIZE, BASE_SIZE], align_corners=False)
    images = F.grid_sample(pixels, grid, align_corners=False)
    noise = torch.randn(images.shape, generator=generator) * 0.15
    return (images + noise).clamp(0, 1)


def prepare(
    pixels: Tensor,
    resolution: int,
    mean: float | tuple[float, ...] = MEAN,
    std: float | tuple[float, ...] = STD,
) -> Tensor:
    """What a network takes: resized bilinearly with antialiasing, normalised, channels last."""
    if pixels.shape[-1] != resolution:
        pixels = F.interpolate(
            pixels, (resolution, resolution), mode="bilinear", antialias=True, align_corners=False
        )
    centre, scale = (torch.tensor(value).view(-1, 1, 1) for value in (mean, std))
    return ((pixels - centre) / scale).to(memory_format=torch.channels_last)
