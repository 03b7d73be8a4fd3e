import numpy as np
import pytest
import torch

from harness.spaces.arch import Arch
from harness.training.data import Digits
from harness.training.evaluate import SubnetEvaluator
from harness.training.judging import top1, top1_interval
from tests.conftest import lively_supernet


def test_a_subnet_is_evaluated_with_statistics_of_its_own() -> None:
    evaluator = SubnetEvaluator(lively_supernet(), Digits.load())
    arch = Arch(12, (1, 1, 1), (3,) * 9, (3,) * 9)
    network = evaluator.subnet(arch)
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    shared = [
        m for m in evaluator.supernet.extract(arch).modules() if isinstance(m, torch.nn.BatchNorm2d)
    ]
    for own, other in zip(norms, shared, strict=True):
        assert own.running_mean is not None
        assert other.running_mean is not None
        assert not torch.allclose(own.running_mean, other.running_mean)
    assert evaluator.accuracy(arch) == evaluator.accuracy(arch)


def test_the_interval_knows_that_images_of_one_original_go_together() -> None:
    rng = np.random.default_rng(1)
    right = np.repeat(rng.random(100) < 0.8, 4)  # all four variants right, or all wrong
    labels = np.zeros(400, dtype=int)
    predicted = np.where(right, 0, 1)
    clustered = top1_interval(predicted, labels, np.repeat(np.arange(100), 4), rng)
    naive = top1_interval(predicted, labels, np.arange(400), rng)
    assert clustered[0] < top1(predicted, labels) < clustered[1]
    assert clustered[1] - clustered[0] == pytest.approx(2 * (naive[1] - naive[0]), rel=0.2)
