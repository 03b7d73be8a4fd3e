"""OFA-MobileNetV3 (Cai et al., ICLR 2020; the released code's `OFAMobileNetV3`)."""

from harness.spaces.mobile import MobileSpace, Stage
from harness.spaces.space import OFA_RESOLUTIONS, make_divisible, width_name


def ofa_mbv3(width_mult: float) -> MobileSpace:
    """The space at a width multiplier: 20 elastic layers, ImageNet classes, 128 to 224 pixels."""

    def scaled(channels: int) -> int:
        return make_divisible(channels * width_mult, 8)

    return MobileSpace(
        name=f"ofa-mbv3-w{width_name(width_mult)}",
        title=f"OFA-MobileNetV3, width {width_name(width_mult)} (ImageNet)",
        resolutions=OFA_RESOLUTIONS,
        released_at=OFA_RESOLUTIONS,
        image_channels=3,
        classes=1000,
        stem=Stage(scaled(16), 2, "h_swish", se=False),
        first_block=Stage(scaled(16), 1, "relu", se=False),
        stages=(
            Stage(scaled(24), 2, "relu", se=False),
            Stage(scaled(40), 2, "relu", se=True),
            Stage(scaled(80), 2, "h_swish", se=False),
            Stage(scaled(112), 1, "h_swish", se=True),
            Stage(scaled(160), 2, "h_swish", se=True),
        ),
        depths=(2, 3, 4),
        kernels=(3, 5, 7),
        expands=(3, 4, 6),
        head_width=scaled(960),
        mix_width=scaled(1280),
        head_act="h_swish",
        divisor=8,
    )


OFA_MBV3_W1_0 = ofa_mbv3(1.0)
OFA_MBV3_W1_2 = ofa_mbv3(1.2)
