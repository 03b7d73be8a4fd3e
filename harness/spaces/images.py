"""A small space for images of one's own: minutes on a laptop; its name says what it depends on.

`images-64-4`: up to 64 pixels, 4 classes, colour. `images-grey-128-300`: up to 128, 300, grey.
"""

import re

from harness.spaces.mobile import MobileSpace, Stage

PIXELS = (64, 128)
"""The largest resolution; the others are a half and three quarters of it."""
EXAMPLE = "images-64-4"
_NAME = re.compile(r"images-(grey-)?(64|128)-([1-9]\d{0,5})")


def images_space(pixels: int, classes: int, channels: int) -> MobileSpace:
    """The space for images of at most `pixels`, one of PIXELS, and 1 or 3 channels."""
    grey = "grey-" if channels == 1 else ""
    return MobileSpace(
        name=f"images-{grey}{pixels}-{classes}",
        title=f"Own {'grey ' if grey else ''}images of {classes} classes, up to {pixels} pixels",
        resolutions=(pixels // 2, pixels * 3 // 4, pixels),
        image_channels=channels,
        classes=classes,
        stem=Stage(8, 2, "relu", se=False),
        # Large images are halved once more, so that what follows costs the same.
        first_block=Stage(8, 2, "relu", se=False) if pixels > PIXELS[0] else None,
        stages=(
            Stage(12, 2, "relu", se=False),
            Stage(20, 2, "relu", se=False),
            Stage(32, 2, "h_swish", se=True),
        ),
        depths=(1, 2, 3),
        kernels=(3, 5, 7),
        expands=(3, 4, 6),
        head_width=64,
        mix_width=0,
        head_act="h_swish",
        divisor=4,
    )


def is_images(name: str) -> bool:
    """Whether a space of this file is called so."""
    return _NAME.fullmatch(name) is not None


def named(name: str) -> MobileSpace | None:
    """The space of this file that is called so; None where there is none."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return images_space(int(match[2]), int(match[3]), 1 if match[1] else 3)
