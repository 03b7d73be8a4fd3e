"""Cutting a sub-network out of the supernet into a network file."""

from typing import Any

from harness.networks.build import fold_eps
from harness.networks.file import NetworkFile, Preprocessing
from harness.spaces.arch import Arch
from harness.training.data import MEAN, STD
from harness.training.evaluate import BN_IMAGES, SubnetEvaluator
from harness.training.stages import Recipe


def extract(evaluator: SubnetEvaluator, arch: Arch, recipe: Recipe) -> NetworkFile:
    """The sub-network with BN statistics recomputed on training images, ready to leave."""
    space = evaluator.supernet.space
    network = evaluator.subnet(arch)
    fold_eps(network)
    origin: dict[str, Any] = {
        "supernet": {"recipe": recipe.settings},
        "bn_images": BN_IMAGES,
    }
    return NetworkFile(
        space=space.name,
        arch=arch,
        blocks=space.blocks(arch),
        weights=dict(network.state_dict()),
        preprocessing=Preprocessing(arch.resolution, MEAN, STD),
        classes=evaluator.data.classes,
        origin=origin,
    )
