import math

import pytest
import torch
from torch import nn

from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0
from harness.spaces.resnet import ofa_resnet50
from harness.spaces.space import Space
from harness.supernet.initialise import he_fout
from harness.supernet.supernet import Supernet

# The first values of OFAMobileNetV3 (width 1.0, all choices) after `init_models(net, "he_fout")` of
# the package ofa 0.1.0, from seed 0.
RELEASED = {
    "0.largest.0": (-0.132682, -0.135807, -0.029531),
    "2.largest.expand.0": (-0.153787, 0.0581071, -0.0584916),
    "2.largest.depthwise.0": (-0.0454869, 0.0207531, 0.00697968),
    "6.largest.depthwise.0": (-0.0227582, 0.014775, -0.0155409),
    "6.largest.se.reduce": (0.120053, -0.221239, -0.0294628),
    "21.largest.project.0": (-0.0664082, -0.0499381, 0.170442),
    "25.largest.1": (0.00567319, -0.00762285, 0.0167645),
}


def drawn(space: Space = OFA_MBV3_W1_0) -> Supernet:
    with torch.random.fork_rng(devices=[]):
        supernet = Supernet(space)
        torch.manual_seed(0)
        he_fout(supernet)
    return supernet


def test_weights_begin_as_the_released_code_draws_them() -> None:
    weights = drawn().state_dict()
    for layer, values in RELEASED.items():
        found = weights[f"layers.{layer}.weight"].flatten()[:3].tolist()
        assert found == pytest.approx(values, rel=1e-5)


@pytest.mark.parametrize("space", [OFA_MBV3_W1_0, ofa_resnet50()], ids=lambda space: space.name)
def test_every_convolution_has_the_spread_of_he_fout_and_no_bias(space: Space) -> None:
    modules = list(drawn(space).modules())
    convolutions = [module for module in modules if isinstance(module, nn.Conv2d)]
    assert len(convolutions) > 50
    for module in convolutions:
        weight = module.weight.detach()
        variance = 2 / (math.prod(module.kernel_size) * module.out_channels)
        # The mean square of n normal numbers deviates by sqrt(2 / n) of itself; five times that.
        within = 5 * math.sqrt(2 / weight.numel())
        assert float(weight.square().mean()) == pytest.approx(variance, rel=within)
        assert module.bias is None or not module.bias.any()
    (classifier,) = (module for module in modules if isinstance(module, nn.Linear))
    bound = 1 / math.sqrt(classifier.in_features)
    assert 0.999 * bound < float(classifier.weight.detach().abs().max()) <= bound
    assert not classifier.bias.any()
