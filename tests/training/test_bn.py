import torch
from torch import nn

from harness.training import bn


def test_recomputed_statistics_are_those_of_the_images() -> None:
    network = nn.Sequential(nn.BatchNorm2d(3)).eval()
    images = torch.randn(64, 3, 4, 4) * 2 + 5
    bn.recompute(network, images.split(64))
    (norm,) = network
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert torch.allclose(norm.running_mean, images.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(norm.running_var, images.var((0, 2, 3)), atol=1e-3)
    assert not network.training
    assert norm.momentum == 0.1


def test_what_the_statistics_were_before_does_not_matter() -> None:
    images = torch.randn(32, 3, 4, 4)
    first, second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    assert second.running_mean is not None
    second.running_mean.fill_(100)
    for network in (first, second):
        bn.recompute(network, images.split(8))
    assert first.running_mean is not None
    assert torch.equal(first.running_mean, second.running_mean)
