"""Augmentation of image files, on small images made here."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.training.augment import AREA, ASPECT, augmented, centre_box, centred, random_box


def picture(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards; nothing of it is the same when mirrored."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 90)], axis=2).astype(np.uint8))


def saved(image: Image.Image, path: Path) -> str:
    image.save(path, quality=95)  # of JPEG; PNG takes no notice
    return str(path)


@pytest.mark.parametrize("size", [(400, 350), (90, 160), (33, 32)])
def test_random_crops_lie_inside_and_have_the_stated_areas_and_aspects(
    size: tuple[int, int],
) -> None:
    rng = np.random.default_rng(1)
    areas, aspects = [], []
    for _ in range(300):
        left, top, right, bottom = random_box(*size, rng)
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        areas.append((right - left) * (bottom - top) / (size[0] * size[1]))
        aspects.append((right - left) / (bottom - top))
    rounding = 2 / math.sqrt(AREA[0] * size[0] * size[1])  # a side is rounded to whole pixels
    assert AREA[0] * (1 - rounding) < min(areas) < 0.15
    assert 0.7 < max(areas) <= 1
    assert ASPECT[0] * (1 - rounding) < min(aspects) < 0.85
    assert 1.18 < max(aspects) < ASPECT[1] * (1 + rounding)


def test_an_image_too_narrow_for_any_random_crop_gives_its_middle() -> None:
    left, top, right, bottom = random_box(10, 1000, np.random.default_rng(0))
    assert (left, right) == (0, 10)
    assert bottom - top == 13  # 10 pixels wide at the narrowest aspect
    assert top == (1000 - 13) // 2
    assert random_box(1, 1, np.random.default_rng(0)) == (0, 0, 1, 1)


def test_the_same_random_numbers_give_the_same_image_and_others_another(tmp_path: Path) -> None:
    path = saved(picture(60, 40), tmp_path / "a.png")
    first, again, other = (augmented(path, 24, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert first.size == (24, 24)


def test_about_half_of_the_images_are_mirrored(tmp_path: Path) -> None:
    path = saved(picture(60, 60), tmp_path / "a.png")
    images = [np.asarray(augmented(path, 16, np.random.default_rng(s)), int) for s in range(200)]
    mirrored = sum(image[:, 0, 0].mean() > image[:, -1, 0].mean() for image in images)
    assert 70 < mirrored < 130  # four standard deviations


def test_brightness_and_saturation_change_within_their_limits(tmp_path: Path) -> None:
    grey = saved(Image.new("RGB", (20, 20), (128, 128, 128)), tmp_path / "grey.png")
    red = saved(Image.new("RGB", (20, 20), (160, 100, 100)), tmp_path / "red.png")
    levels, spreads = [], []
    for seed in range(200):
        levels.append(np.asarray(augmented(grey, 8, np.random.default_rng(seed)), int)[4, 4, 0])
        r, g, b = np.asarray(augmented(red, 8, np.random.default_rng(seed)), int)[4, 4]
        assert g == b
        spreads.append((r - g) / 60)
    limit = 128 * 32 / 255
    assert 128 - limit - 2 <= min(levels) < 116
    assert 140 < max(levels) <= 128 + limit + 2
    assert 0.5 * (1 - 32 / 255) - 0.05 <= min(spreads) < 0.6
    assert 1.4 < max(spreads) <= 1.5 * (1 + 32 / 255) + 0.05


def test_a_large_jpeg_decoded_small_looks_like_the_whole_one(tmp_path: Path) -> None:
    jpeg = saved(picture(1600, 1200), tmp_path / "a.jpg")
    whole = saved(picture(1600, 1200), tmp_path / "a.png")
    for seed in range(4):
        a, b = (
            np.asarray(augmented(path, 32, np.random.default_rng(seed)), int)
            for path in (jpeg, whole)
        )
        assert abs(a - b).max() <= 6


def test_the_middle_is_the_reference_resize_and_centre_crop(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 131, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((262, 180), Image.Resampling.BICUBIC)
    got = np.asarray(centred(saved(image, tmp_path / "a.png"), 64), int)
    short = math.ceil(64 / 0.875)
    resized = image.resize((int(262 * short / 180), short), Image.Resampling.BILINEAR)
    left, top = round((resized.width - 64) / 2), round((short - 64) / 2)
    expected = np.asarray(resized.crop((left, top, left + 64, top + 64)), int)
    assert abs(got - expected).max() <= 2


def test_a_very_long_image_is_cut_before_it_is_resized(tmp_path: Path) -> None:
    path = saved(Image.new("RGB", (1, 20_000)), tmp_path / "line.png")
    assert centred(path, 64).size == augmented(path, 64, np.random.default_rng(0)).size == (64, 64)
    left, top, right, bottom = centre_box(1, 20_000, 64)
    assert 0 <= left < right <= 1
    assert bottom - top < 1


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "I;16"])
def test_every_kind_of_image_becomes_rgb(mode: str, tmp_path: Path) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.full((40, 50), 180 * 256, np.uint16))
    else:
        image = Image.new("RGB", (50, 40), (180, 180, 180)).convert(mode)
    assert image.mode == mode
    path = saved(image, tmp_path / ("a.jpg" if mode == "CMYK" else "a.png"))
    with Image.open(path) as stored:
        assert stored.mode[0] == mode[0]
    result = centred(path, 16)
    assert result.mode == augmented(path, 16, np.random.default_rng(0)).mode == "RGB"
    assert abs(np.asarray(result, float).mean() - 180) < (30 if mode == "1" else 4)
