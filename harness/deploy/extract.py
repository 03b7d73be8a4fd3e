"""Cutting a sub-network out of the supernet into a network file."""

from typing import Any

from harness.networks.build import fold_eps
from harness.networks.file import NetworkFile, Preprocessing
from harness.spaces.arch import Arch
from harness.training.evaluate import SubnetEvaluator


def extract(evaluator: SubnetEvaluator, arch: Arch, supernet: dict[str, Any]) -> NetworkFile:
    """The sub-network with BN statistics recomputed on training images, ready to leave.

    `supernet`: where it came from, as plain values.
    """
    space = evaluator.supernet.space
    network = evaluator.subnet(arch)
    fold_eps(network)
    data = evaluator.data
    origin: dict[str, Any] = {
        "supernet": supernet,
        "data": data.facts,
        "bn_images": sum(len(batch) for batch in data.calibration(arch.resolution)),
    }
    return NetworkFile(
        space=space.name,
        arch=arch,
        blocks=space.blocks(arch),
        weights=dict(network.state_dict()),
        preprocessing=Preprocessing(arch.resolution, data.mean, data.std),
        classes=data.classes,
        origin=origin,
        source=evaluator.source(arch),
    )
