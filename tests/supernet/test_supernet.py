import numpy as np
import pytest
import torch
import torch.nn.functional as F

from harness.errors import UsageError
from harness.spaces.arch import Arch
from harness.spaces.catalogue import SPACES
from harness.spaces.digits import DIGITS
from harness.spaces.genome import decode, sample
from harness.spaces.ofa_mbv3 import OFA_MBV3_W1_0
from harness.spaces.space import Space
from harness.spaces.vit import VIT_DIGITS
from harness.supernet.elastic import ElasticKernel, ElasticMBConv
from harness.supernet.supernet import Supernet
from tests.conftest import apart, lively_supernet


@pytest.mark.parametrize("space", [DIGITS, VIT_DIGITS, OFA_MBV3_W1_0], ids=lambda space: space.name)
def test_an_extracted_network_computes_exactly_what_the_active_one_does(
    space: Space, rng: np.random.Generator
) -> None:
    supernet = lively_supernet(space)
    for genome in sample(space, 3 if space is OFA_MBV3_W1_0 else 12, rng):
        arch = decode(space, genome)
        supernet.activate(arch)
        size = (8, space.image_channels, arch.resolution, arch.resolution)
        images = torch.from_numpy(rng.standard_normal(size, dtype=np.float32))
        with torch.no_grad():
            elastic = supernet(images)
            static = supernet.extract(arch)(images)
        assert apart(elastic) > 0.05  # else it would prove nothing
        assert torch.allclose(elastic, static, rtol=1e-5, atol=1e-6)


def test_an_extracted_network_has_the_parameters_that_its_blocks_count(
    rng: np.random.Generator,
) -> None:
    supernet = Supernet(DIGITS)
    for genome in sample(DIGITS, 10, rng):
        arch = decode(DIGITS, genome)
        parameters = sum(p.numel() for p in supernet.extract(arch).parameters())
        assert parameters == sum(block.params for block in DIGITS.blocks(arch))


def test_sorting_channels_changes_nothing_for_the_largest_and_orders_by_l1_norm() -> None:
    supernet = lively_supernet()
    images = torch.randn(2, 1, 20, 20)
    with torch.no_grad():
        before = supernet(images)
        supernet.sort_channels()
        rounding = 1e-4 * float(before.abs().max())
        assert torch.allclose(supernet(images), before, rtol=0, atol=rounding)
    for layer in supernet.layers[1:10]:
        assert isinstance(layer, ElasticMBConv)
        norms = layer.largest.project[0].weight.detach().abs().sum((0, 2, 3))
        assert (norms[:-1] >= norms[1:]).all()


def test_sorting_again_changes_nothing_for_widths_that_were_trained() -> None:
    supernet = lively_supernet()
    images = torch.randn(2, 1, 20, 20)
    trained, smaller = (Arch(20, (3, 3, 3), (7,) * 9, (expand,) * 9) for expand in (4, 3))
    with torch.no_grad():
        outputs = {}
        for opened in (None, 2, 1):
            if opened:
                supernet.sort_channels(opened)
            for arch in (trained, smaller):
                supernet.activate(arch)
                outputs[opened, arch] = supernet(images)
    rounding = 1e-4 * float(outputs[None, trained].abs().max())
    assert torch.allclose(outputs[2, trained], outputs[None, trained], rtol=0, atol=rounding)
    assert not torch.allclose(outputs[2, smaller], outputs[None, smaller], rtol=1e-2)
    assert not torch.allclose(outputs[1, trained], outputs[2, trained], rtol=1e-2)


def test_sorting_keeps_more_of_the_output_in_narrow_networks() -> None:
    # The projection's norm is what the order is made from, so the kept share can only grow.
    supernet = lively_supernet()
    narrow = Arch(20, (3, 3, 3), (7,) * 9, (3,) * 9)

    def kept() -> float:
        shares = []
        for place, block in zip(range(1, 10), DIGITS.blocks(narrow)[1:-3], strict=True):
            layer = supernet.layers[place]
            assert isinstance(layer, ElasticMBConv)
            norms = layer.largest.project[0].weight.detach().abs().sum((0, 2, 3))
            shares.append(float(norms[: block.mid_channels].sum() / norms.sum()))
        return float(np.mean(shares))

    before = kept()
    supernet.sort_channels()
    assert kept() > before


def test_each_layer_has_one_matrix_for_7_to_5_and_one_for_5_to_3() -> None:
    for layer in Supernet(OFA_MBV3_W1_0).layers[2:22]:
        assert isinstance(layer, ElasticMBConv)
        shapes = {name: tuple(m.shape) for name, m in layer.kernel_transform.matrices.items()}
        assert shapes == {"5to3": (9, 9), "7to5": (25, 25)}


def test_a_small_kernel_is_the_transformed_centre_of_the_transformed_centre() -> None:
    transform = ElasticKernel((3, 5, 7))
    with torch.no_grad():
        for matrix in transform.matrices.values():
            matrix.normal_()
        weight = torch.randn(4, 1, 7, 7)
        middle = weight[:, :, 1:6, 1:6].reshape(4, 25) @ transform.matrices["7to5"].T
        small = middle.reshape(4, 5, 5)[:, 1:4, 1:4].reshape(4, 9) @ transform.matrices["5to3"].T
        assert torch.allclose(transform(weight, 3).flatten(1), small, atol=1e-5)
        assert torch.equal(transform(weight, 7), weight)


def test_depth_d_keeps_the_first_d_layers_of_a_stage() -> None:
    supernet = Supernet(DIGITS)
    supernet.activate(Arch(20, (1, 3, 2), (3,) * 9, (3,) * 9))
    assert [place for place, _ in supernet.active] == [0, 1, 4, 5, 6, 7, 8, 10, 11, 12]


def test_every_sub_network_learns_through_the_shared_weights(rng: np.random.Generator) -> None:
    supernet = lively_supernet().train()
    (genome,) = sample(DIGITS, 1, rng)
    supernet.activate(decode(DIGITS, genome))
    resolution = decode(DIGITS, genome).resolution
    loss = F.cross_entropy(
        supernet(torch.randn(8, 1, resolution, resolution)), torch.arange(8) % 10
    )
    loss.backward()
    reached = {name for name, p in supernet.named_parameters() if p.grad is not None}
    active = {f"layers.{place}." for place, _ in supernet.active}
    for name, _ in supernet.named_parameters():
        if name.startswith("layers") and "matrices" not in name:
            assert (name in reached) == any(name.startswith(layer) for layer in active)


def test_the_classifier_drops_a_share_of_its_inputs_in_training_alone() -> None:
    supernet = lively_supernet()
    supernet.set_dropout(0.1)
    classifier, (_, block) = supernet.layers[-1], supernet.active[-1]
    weight, bias = classifier.parameters()
    inputs = block.input_shape[0]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        bias.zero_()
        weight.fill_(1 / inputs)
        ones = torch.ones(4000, inputs)
        assert torch.allclose(classifier(ones, block), torch.ones(()))
        classifier.train()
        kept = 0.9 * classifier(ones, block)[:, 0]  # what is kept is scaled up by 1 / 0.9
    # Of n inputs, each kept with 0.9, the share deviates by sqrt(0.9 * 0.1 / n); five times that.
    assert float(kept.mean()) == pytest.approx(0.9, abs=5 * (0.09 / ones.numel()) ** 0.5)
    assert float(kept.var()) == pytest.approx(0.09 / inputs, rel=5 * (2 / 4000) ** 0.5)


def test_an_arch_of_another_space_cannot_be_activated() -> None:
    with pytest.raises(UsageError):
        Supernet(DIGITS).activate(SPACES["ofa-mbv3-w1.0"].largest)
