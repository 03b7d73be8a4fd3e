import pytest

from harness.networks.baselines import BASELINES, Baseline
from harness.networks.build import build

# Learned parameters of the implementations that people use: torchvision (MobileNets; of
# MobileNetV3 without the bias of its 1280 mixed features), the authors' torch hub (ProxylessNAS),
# timm (MnasNet-A1 as semnasnet_100, EfficientNet-B0).
COUNTED = {
    "mobilenet-v2": 3_504_872,
    "mobilenet-v3-large": 5_483_032 - 1280,
    "mnasnet-a1": 3_887_038,
    "proxylessnas-mobile": 4_080_512,
    "efficientnet-b0": 5_288_548,
}
# The paper says 6.9 M; what its authors released has 6.06 M without batch norm's.
MISCOUNTED = {"mobilenet-v2-w1.4"}


@pytest.mark.parametrize("baseline", BASELINES, ids=lambda baseline: baseline.name)
def test_macs_and_parameters_are_the_papers(baseline: Baseline) -> None:
    macs_m = sum(block.macs for block in baseline.blocks) / 1e6
    params_m = sum(block.params for block in baseline.blocks) / 1e6
    assert macs_m == pytest.approx(baseline.macs_m, rel=0.015)
    if baseline.name not in MISCOUNTED:
        assert params_m == pytest.approx(baseline.params_m, rel=0.035)


@pytest.mark.parametrize("name", COUNTED)
def test_parameters_are_exactly_those_of_the_implementations_people_use(name: str) -> None:
    (baseline,) = (found for found in BASELINES if found.name == name)
    assert sum(block.params for block in baseline.blocks) == COUNTED[name]
    network = build(baseline.blocks)
    assert sum(p.numel() for p in network.parameters()) == COUNTED[name]
