"""Networks of others as their packages define them, with random weights: pytorchcv, whose modules
are imported one by one, and transformers."""

import importlib
from typing import Any

from zoo_networks import OF_TEXT, Network

_MODULES = {
    "mnasnet_small": "mnasnet", "regnety002": "regnet", "regnety006": "regnet",
    "regnety016": "regnet", "mobilenetv2b_wd2": "mobilenetv2", "inceptionv4": "inceptionv4",
    "inceptionv3": "inceptionv3", "bninception": "bninception", "darknet53": "darknet53",
}  # fmt: skip
_SEEN_ELSEWHERE = {
    "linknet_cityscapes": "linknet", "erfnet_cityscapes": "erfnet",
    "simplepose_resnet18_coco": "simplepose_coco", "centernet_resnet18_voc": "centernet",
    "fastscnn_cityscapes": "fastscnn", "lednet_cityscapes": "lednet",
    "bisenet_resnet18_celebamaskhq": "bisenet", "deeplabv3_resnetd50b_voc": "deeplabv3",
    "simplepose_mobile_mobilenet_w1_coco": "simpleposemobile_coco",
    "simplepose_mobile_mobilenetv3_small_w1_coco": "simpleposemobile_coco",
}  # fmt: skip


def build(network: Network) -> tuple[Any, tuple[Any, ...]]:
    """The module, and what it is called with."""
    made = _TRANSFORMERS.get((network.family, network.name))
    return _of_transformers(network, *made) if made else _of_pytorchcv(network)


def _of_pytorchcv(network: Network) -> tuple[Any, tuple[Any, ...]]:
    import torch

    name = (_MODULES | _SEEN_ELSEWHERE).get(network.name, network.family)
    module = importlib.import_module(f"pytorchcv.models.{name}")
    size = (network.pixels, network.pixels)
    sized = network.family in ("segmentation", "segmentation_others", "deeplab", "detection")
    sized |= network.family.startswith("pose") or network.name.endswith("_cityscapes")
    settings: dict[str, Any] = {"in_size": size} if sized else {}
    if network.name == "erfnet_cityscapes" or "fastscnn" in network.name:
        settings["fixed_size"] = True
    model = getattr(module, network.name)(**settings)
    return _pooling_globally(model), (torch.zeros(1, 3, *size),)


def _pooling_globally(model: Any) -> Any:
    """A last pooling over 7x7 pixels is over all there are, at whichever resolution."""
    from torch import nn

    for name, module in list(model.named_modules()):
        if isinstance(module, nn.AvgPool2d) and name.endswith("final_pool"):
            owner, _, own = name.rpartition(".")
            setattr(model.get_submodule(owner), own, nn.AdaptiveAvgPool2d(1))
    return model


def _of_transformers(
    network: Network, config: str, model: str, settings: dict[str, Any]
) -> tuple[Any, tuple[Any, ...]]:
    import torch
    import transformers

    text, pixels = network.family in OF_TEXT, network.pixels
    config = f"{config}Config"
    if not text and config not in ("ConvNextConfig", "PoolFormerConfig"):
        both = config in ("HieraConfig", "YolosConfig")
        settings = settings | {"image_size": [pixels, pixels] if both else pixels}
    made = getattr(transformers, config)(**settings)
    if hasattr(made, "_attn_implementation"):
        made._attn_implementation = "eager"
    example = (
        torch.ones(1, pixels, dtype=torch.int64) if text else torch.zeros(1, 3, pixels, pixels)
    )
    module = getattr(transformers, model)(made)
    if text:  # others of its inputs are left out
        from drawn import Called

        module = Called(lambda model, ids: model(input_ids=ids), module)
    return module, (example,)


def _vit(
    wide: int, deep: int, config: str = "ViT", model: str = "ForImageClassification"
) -> tuple[str, str, dict[str, Any]]:
    sizes = {"hidden_size": wide, "num_hidden_layers": deep, "num_attention_heads": wide // 64}
    sizes["intermediate_size"] = 4 * wide
    return config, f"{config}{model}", sizes


def _bert(wide: int, deep: int, config: str, **more: Any) -> tuple[str, str, dict[str, Any]]:
    sizes = {"hidden_size": wide, "num_hidden_layers": deep, "num_attention_heads": wide // 64}
    sizes |= {"intermediate_size": 4 * wide, "vocab_size": 8000}
    return config, f"{config}Model", sizes | more


def _distilbert(wide: int, deep: int) -> tuple[str, str, dict[str, Any]]:
    sizes = {"dim": wide, "n_layers": deep, "n_heads": wide // 64, "hidden_dim": 4 * wide}
    return "DistilBert", "DistilBertModel", sizes | {"vocab_size": 8000}


def _convnext(
    sizes: list[int], depths: list[int], config: str = "ConvNext"
) -> tuple[str, str, dict[str, Any]]:
    settings = {"hidden_sizes": sizes, "depths": depths}
    return config, f"{config}ForImageClassification", settings


def _swin(wide: int, depths: list[int], config: str = "Swin") -> tuple[str, str, dict[str, Any]]:
    heads = [wide * 2**stage // 32 for stage in range(4)]
    settings = {"embed_dim": wide, "depths": depths, "num_heads": heads}
    return config, f"{config}ForImageClassification", settings


def _classifying(config: str, **settings: Any) -> tuple[str, str, dict[str, Any]]:
    return config, f"{config}ForImageClassification", settings


_NECK = {"backbone_out_indices": [1, 2, 4, 5], "neck_hidden_sizes": [24, 48, 96, 192]}
_T5 = {"d_model": 256, "d_kv": 64, "d_ff": 1024, "num_layers": 4, "num_heads": 4}
_HIERA = {"embed_dim": 48, "num_heads": [1, 2, 4, 8], "depths": [1, 2, 4, 1]}
_TRANSFORMERS: dict[tuple[str, str], tuple[str, str, dict[str, Any]]] = {
    ("vit", "tiny"): _vit(192, 12),
    ("vit", "small"): _vit(384, 12),
    ("vit", "narrow"): _vit(128, 8),
    ("convnext", "tiny"): _convnext([96, 192, 384, 768], [3, 3, 9, 3]),
    ("convnext", "narrow"): _convnext([40, 80, 160, 320], [2, 2, 6, 2]),
    ("swin", "tiny"): _swin(96, [2, 2, 6, 2]),
    ("swin", "narrow"): _swin(32, [2, 2, 4, 2]),
    ("mobilevit", "small"): _classifying("MobileViT"),
    ("poolformer", "s12"): _classifying("PoolFormer"),
    ("levit", "narrow"): _classifying("Levit", hidden_sizes=[128, 256, 384]),
    ("segformer", "small"): _classifying("Segformer"),
    ("distilbert", "small"): _distilbert(256, 6),
    ("distilbert", "medium"): _distilbert(512, 6),
    ("albert", "small"): _bert(384, 6, "Albert", embedding_size=128),
    ("convnextv2", "narrow"): _convnext([40, 80, 160, 320], [2, 2, 6, 2], "ConvNextV2"),
    ("swinv2", "narrow"): _swin(64, [2, 2, 4, 2], "Swinv2"),
    ("beit", "narrow"): _vit(192, 6, "Beit"),
    ("deit", "narrow"): _vit(192, 6, "DeiT", "ForImageClassificationWithTeacher"),
    ("pvt", "tiny"): _classifying("Pvt", hidden_sizes=[32, 64, 160, 256]),
    ("pvtv2", "b0"): _classifying("PvtV2"),
    ("focalnet", "narrow"): _classifying("FocalNet", embed_dim=48, depths=[2, 2, 4, 2]),
    ("hgnetv2", "b4"): _classifying("HGNetV2"),
    ("hiera", "narrow"): _classifying("Hiera", **_HIERA),
    ("swiftformer", "xs"): _classifying("SwiftFormer"),
    ("dinov2", "narrow"): _vit(192, 6, "Dinov2"),
    ("dpt", "narrow"): (
        "DPT", "DPTForDepthEstimation", _vit(192, 6)[2] | _NECK | {"fusion_hidden_size": 64}
    ),
    ("glpn", "narrow"): ("GLPN", "GLPNForDepthEstimation", {}),
    ("yolos", "narrow"): _vit(192, 6, "Yolos", "ForObjectDetection"),
    ("textnet", "tiny"): _classifying("TextNet"),
    ("bert", "small"): _bert(256, 4, "Bert"),
    ("roberta", "small"): _bert(256, 4, "Roberta"),
    ("electra", "small"): _bert(256, 6, "Electra", embedding_size=128),
    ("mobilebert", "small"): _bert(256, 6, "MobileBert"),
    ("squeezebert", "small"): _bert(256, 6, "SqueezeBert", embedding_size=256),
    ("convbert", "small"): _bert(256, 4, "ConvBert", embedding_size=128),
    ("deberta", "small"): _bert(256, 4, "Deberta"),
    ("t5", "small"): ("T5", "T5EncoderModel", _T5 | {"vocab_size": 8000}),
}  # fmt: skip
