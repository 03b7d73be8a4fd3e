"""Lists of networks of others, by family: which may be used in fits, and which judge."""

from dataclasses import dataclass
from pathlib import Path

PIXELS = 224
OF_TEXT = (
    *("distilbert", "albert", "bert", "roberta", "electra", "mobilebert", "squeezebert"),
    *("convbert", "deberta", "t5"),
)
"""Families that take token ids; what stands for pixels is how many."""


@dataclass(frozen=True)
class Network:
    family: str
    name: str
    pixels: int = PIXELS

    def path(self, folder: Path, suffix: str = ".onnx") -> Path:
        return folder / f"{self.family}.{self.name}.{self.pixels}{suffix}"


def _networks(listed: str) -> tuple[Network, ...]:
    """`family: name name@pixels` a line."""
    found = []
    for line in listed.strip().splitlines():
        family, names = line.split(":")
        for name in names.split():
            plain, _, pixels = name.partition("@")
            found.append(Network(family.strip(), plain, int(pixels or PIXELS)))
    return tuple(found)


KNOWN = _networks("""
    mobilenet: mobilenet_w1 mobilenet_w3d4@160 mobilenet_wd2@192 mobilenet_wd4
    mobilenetv2: mobilenetv2_w1 mobilenetv2_w3d4@192 mobilenetv2b_wd2@160 mobilenetv2_wd4
    mobilenetv3: mobilenetv3_small_w1 mobilenetv3_large_w1 mobilenetv3_large_w3d4@192
    mobilenetv3: mobilenetv3_small_wd2@160 mobilenetv3_large_w5d4
    efficientnet: efficientnet_b0 efficientnet_b1@160 efficientnet_b0b@192 efficientnet_b2
    mnasnet: mnasnet_b1 mnasnet_a1 mnasnet_small@192
    resnet: resnet18 resnet34@160 resnet50 resnet18_wd2 resnetbc26b@192 resnet10
    preresnet: preresnet18 preresnet50@160 preresnet18_wd4 preresnetbc26b
    seresnet: seresnet18 seresnet50@192 seresnet10@160 seresnetbc26b
    resnext: resnext14_32x4d resnext26_16x4d@192 resnext50_32x4d@160
    regnet: regnetx002 regnetx006@192 regnetx016 regnetx032@160
    densenet: densenet121 densenet169@160 densenet121@128
    shufflenetv2: shufflenetv2_wd2 shufflenetv2_w1 shufflenetv2_w3d2@192 shufflenetv2_w2
    squeezenet: squeezenet_v1_0 squeezenet_v1_1@192
    vgg: vgg11 bn_vgg11b
    vit: tiny small@160 narrow
    distilbert: small@128 medium@64
    segmentation: linknet_cityscapes@128 erfnet_cityscapes@128
    pose: simplepose_resnet18_coco@128
""")
UNSEEN = _networks("""
    ghostnet: ghostnet ghostnet@160 ghostnet@192
    shufflenet: shufflenet_g1_w1 shufflenet_g3_w1@192 shufflenet_g8_w1
    regnety: regnety002 regnety006@192 regnety016
    hrnet: hrnet_w18_small_v1 hrnet_w18_small_v2@160
    dla: dla34 dla46c dla60@160
    inception: inceptionv3@192 inceptionv4@160 bninception
    xception: xception@299
    mixnet: mixnet_s mixnet_m@192
    fbnet: fbnet_cb fbnet_cb@160
    selecsls: selecsls42b selecsls60@160
    vovnet: vovnet27s vovnet39@160
    hardnet: hardnet39ds hardnet68ds@192
    dpn: dpn68 dpn68b
    peleenet: peleenet
    darknet: darknet53@160
    igcv3: igcv3_w1 igcv3_wd2@192
    menet: menet108_8x1_g3 menet228_12x1_g3@192
    squeezenext: sqnxt23_w1 sqnxt23v5_w2@192
    resnesta: resnesta18 resnesta50@160
    sknet: sknet50@160
    drn: drnc26@128 drnd22@160
    wrn: wrn50_2@160
    convnext: tiny@160 narrow narrow@160
    swin: tiny narrow
    mobilevit: small@256
    poolformer: s12@160
    albert: small@128 small@64
    detection: centernet_resnet18_voc@128
    segmentation_others: fastscnn_cityscapes@192 lednet_cityscapes@256
    segmentation_others: bisenet_resnet18_celebamaskhq@256
    deeplab: deeplabv3_resnetd50b_voc@128
    pose_mobile: simplepose_mobile_mobilenet_w1_coco@128
    pose_mobile: simplepose_mobile_mobilenetv3_small_w1_coco@192
""")
EARLIER = _networks("""
    airnet: airnet50_1x64d_r16@160
    bamresnet: bam_resnet18@192
    cbamresnet: cbam_resnet18@192
    condensenet: condensenet74_c4_g4
    darts: darts
    diaresnet: diaresnet10
    dicenet: dicenet_w1
    diracnetv2: diracnet18v2@160
    fdmobilenet: fdmobilenet_w1 fdmobilenet_wd2@192
    fishnet: fishnet99@160
    ibnresnet: ibn_resnet50@160
    nasnet: nasnet_4a1056
    octresnet: octresnet10_ad2
    proxylessnas: proxylessnas_mobile proxylessnas_cpu@160
    scnet: scnet50@160
    senet: senet16@192
    sepreresnet: sepreresnet18@160
    spnasnet: spnasnet
    xdensenet: xdensenet121_2@160
    alexnet: alexnet
    espnetv2: espnetv2_wd2 espnetv2_w1
    efficientnetedge: efficientnet_edge_small_b@192
    cgnet: cgnet_cityscapes@256
    edanet: edanet_cityscapes@256
    contextnet: ctxnet_cityscapes@256
    levit: narrow
    segformer: small@192
""")
"""Other families yet, by which an earlier version was judged: looked at since."""
FRESH = _networks("""
    airnext: airnext50_32x4d_r2@160
    bagnet: bagnet9@128
    channelnet: channelnet
    dabnet: dabnet_cityscapes@256
    diapreresnet: diapreresnet10@192
    esnet: esnet_cityscapes@256
    fpenet: fpenet_cityscapes@256
    ibndensenet: ibn_densenet121@160
    inceptionresnetv1: inceptionresnetv1@160
    resattnet: resattnet56@160
    resneta: resneta10
    sinet: sinet_cityscapes@256
    sparsenet: sparsenet121@160
    sqnet: sqnet_cityscapes@256
    zfnet: zfnet
    convnextv2: narrow narrow@160
    swinv2: narrow
    beit: narrow
    deit: narrow
    pvt: tiny@192
    pvtv2: b0
    focalnet: narrow
    hgnetv2: b4@160
    hiera: narrow
    swiftformer: xs
    dinov2: narrow
    dpt: narrow@192
    glpn: narrow@192
    yolos: narrow
    textnet: tiny@160
    bert: small@128
    roberta: small@64
    electra: small@128
    mobilebert: small@128
    squeezebert: small@128
    convbert: small@128
    deberta: small@64
    t5: small@128
""")
"""Other families again, which nobody looked at before the method was settled."""
