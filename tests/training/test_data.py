import pytest
import torch

from harness.training.data import BASE_SIZE, MEAN, STD, Digits, prepare


@pytest.fixture(scope="module")
def data() -> Digits:
    return Digits.load()


def test_splits_are_disjoint_by_original_and_use_all_of_them(data: Digits) -> None:
    validation = set(data.validation.originals.tolist())
    test = set(data.test.originals.tolist())
    assert len(data.originals) == 1097
    assert len(validation) == len(test) == 350
    assert not validation & test
    assert min(validation | test) >= 1097  # rows before that are the training originals
    assert 1097 + 700 == 1797


def test_the_same_seed_gives_the_same_images_and_another_gives_others(data: Digits) -> None:
    again, other = Digits.load(0), Digits.load(1)
    assert torch.equal(again.test.pixels, data.test.pixels)
    assert torch.equal(again.originals, data.originals)
    assert not torch.equal(other.test.pixels, data.test.pixels)


def test_images_are_in_range_of_base_size_and_of_all_classes(data: Digits) -> None:
    pixels, labels = data.batch(256, torch.Generator().manual_seed(1))
    for images in (pixels, data.validation.pixels, data.test.pixels):
        assert images.shape[1:] == (1, BASE_SIZE, BASE_SIZE)
        assert images.min() >= 0
        assert images.max() <= 1
    assert set(labels.tolist()) == set(range(10))


def test_variants_of_an_original_differ(data: Digits) -> None:
    first, second = data.test.pixels[:2]
    assert data.test.originals[0] == data.test.originals[1]
    assert not torch.equal(first, second)


def test_prepared_images_have_the_resolution_and_are_normalised(data: Digits) -> None:
    for resolution in (12, 16, 20):
        prepared = prepare(data.test.pixels, resolution)
        assert prepared.shape[2:] == (resolution, resolution)
    assert abs(float(prepared.mean())) < 0.2
    assert 0.7 < float(prepared.std()) < 1.3
    assert torch.allclose(prepared, (data.test.pixels - MEAN) / STD)
