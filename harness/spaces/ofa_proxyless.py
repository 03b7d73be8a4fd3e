"""OFA-ProxylessNAS (Cai et al., ICLR 2020; the released code's `OFAProxylessNASNets`)."""

from harness.spaces.mobile import MobileSpace, Stage
from harness.spaces.space import OFA_RESOLUTIONS, make_divisible, width_name


def ofa_proxyless(width_mult: float) -> MobileSpace:
    """The space at a width multiplier: 21 elastic layers, the last stage always has one."""

    def scaled(channels: int) -> int:
        return make_divisible(channels * width_mult, 8)

    return MobileSpace(
        name=f"ofa-proxyless-w{width_name(width_mult)}",
        title=f"OFA-ProxylessNAS, width {width_name(width_mult)} (ImageNet)",
        resolutions=OFA_RESOLUTIONS,
        released_at=OFA_RESOLUTIONS,
        image_channels=3,
        classes=1000,
        stem=Stage(scaled(32), 2, "relu6", se=False),
        first_block=Stage(scaled(16), 1, "relu6", se=False),
        stages=(
            Stage(scaled(24), 2, "relu6", se=False),
            Stage(scaled(40), 2, "relu6", se=False),
            Stage(scaled(80), 2, "relu6", se=False),
            Stage(scaled(96), 1, "relu6", se=False),
            Stage(scaled(192), 2, "relu6", se=False),
            Stage(scaled(320), 1, "relu6", se=False, depths=(1,)),
        ),
        depths=(2, 3, 4),
        kernels=(3, 5, 7),
        expands=(3, 4, 6),
        head_width=scaled(1280),
        mix_width=0,
        head_act="relu6",
        divisor=8,
        bn_eps=1e-3,
    )


OFA_PROXYLESS_W1_3 = ofa_proxyless(1.3)
