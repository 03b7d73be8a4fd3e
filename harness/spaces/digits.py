"""A small space for scikit-learn's 8x8 digits: the whole system in minutes on a laptop."""

from harness.spaces.mobile import MobileSpace, Stage

DIGITS = MobileSpace(
    name="digits",
    title="Digits (scikit-learn, randomly transformed)",
    resolutions=(12, 16, 20),
    image_channels=1,
    classes=10,
    stem=Stage(4, 1, "relu", se=False),
    first_block=None,
    stages=(
        Stage(4, 1, "relu", se=False),
        Stage(8, 2, "relu", se=False),
        Stage(12, 1, "h_swish", se=True),
    ),
    depths=(1, 2, 3),
    kernels=(3, 5, 7),
    expands=(3, 4, 6),
    head_width=32,
    mix_width=0,
    head_act="h_swish",
    divisor=4,
)
